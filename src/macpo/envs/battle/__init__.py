"""StarCraft micromanagement as SMAC plays it: units, maps, what is seen, and how battles go."""
