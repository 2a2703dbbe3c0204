"""Cooperative multi-agent reinforcement learning with optimised replay weights."""
