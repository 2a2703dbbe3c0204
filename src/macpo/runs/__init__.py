"""Runs: a directory that explains itself, records, checkpoints, signals."""
