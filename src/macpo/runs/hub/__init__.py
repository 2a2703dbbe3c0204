"""Runs on the Hugging Face Hub, or on another server with its interface: `push` and `pull`."""
