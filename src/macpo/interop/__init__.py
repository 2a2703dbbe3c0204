"""Environments of other libraries here, and ours there; `check` tests either."""
