"""StarCraft II itself: what is installed, a running game, and SMAC's environment played in it."""
