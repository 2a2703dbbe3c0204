"""The same numbers, faster: computations whose cost is proportional to valid steps."""
