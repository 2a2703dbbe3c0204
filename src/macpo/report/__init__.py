"""What a run directory says: its rows, its curves, its table. Nothing is trained or loaded here."""
