"""The same numbers, faster: what makes XLA's programs proportional to valid steps."""
