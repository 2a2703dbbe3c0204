"""Environments: one file each, found by their place (see `macpo.registry`)."""
