"""Hard treatment: kills at any moment, refusing disks, damaged files, bad input."""
