"""What algorithms share: the forward pass over stored episodes, returns, losses, updates."""
