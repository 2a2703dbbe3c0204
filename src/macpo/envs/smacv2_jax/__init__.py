"""SMACv2 in JAX: battles of drawn teams at drawn places, on `smac_jax`'s model of the engine."""

from macpo.envs.smacv2_jax.environment import Config, SMACv2Jax, SMACv2JaxEnv, State
from macpo.envs.smacv2_jax.tasks import Task

__all__ = ["Config", "SMACv2Jax", "SMACv2JaxEnv", "State", "Task"]
