"""SMAC on StarCraft II itself."""

from macpo.envs.smac.environment import Config

__all__ = ["Config"]
