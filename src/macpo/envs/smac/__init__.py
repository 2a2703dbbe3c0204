"""SMAC on StarCraft II itself."""

from macpo.envs.smac.environment import SMAC, Config, SMACEnv

__all__ = ["SMAC", "Config", "SMACEnv"]
