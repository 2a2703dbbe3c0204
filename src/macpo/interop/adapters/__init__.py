"""Adapters for the environments of other libraries: one file each, none imports its library."""
