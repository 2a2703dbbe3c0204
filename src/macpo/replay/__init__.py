"""The replay buffer and its priorities."""
