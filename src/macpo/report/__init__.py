"""Reports on a run directory: its rows, curves and table. Nothing is trained or loaded here."""
