"""Looking for good settings: studies whose arms are trials of a search."""
