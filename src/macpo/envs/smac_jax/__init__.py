"""StarCraft micromanagement, computed: SMAC's interface on a model of the game, in JAX."""

from macpo.envs.smac_jax.environment import Config

__all__ = ["Config"]
