"""Environments of other projects, adapted: one file a kind, none of which imports that project."""
