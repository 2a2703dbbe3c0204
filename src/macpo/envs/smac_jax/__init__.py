"""StarCraft micromanagement in JAX: SMAC's interface on a model of the game's engine.

Offered here are the environment, and the functions of SMAC's interface, which also apply to the
real game: units → available actions, observations, global state, reward, visibility.
"""

from typing import TYPE_CHECKING

from macpo.lazy import lazy_names

if TYPE_CHECKING:
    from macpo.envs.smac_jax.environment import Config, SMACJax, SMACJaxEnv, State
    from macpo.envs.smac_jax.features import (
        Units,
        available_actions,
        columns_of,
        global_state,
        observe,
        reward,
        visibility,
    )
    from macpo.envs.smac_jax.maps import battle_map

__all__ = [
    "Config",
    "SMACJax",
    "SMACJaxEnv",
    "State",
    "Units",
    "available_actions",
    "battle_map",
    "columns_of",
    "global_state",
    "observe",
    "reward",
    "visibility",
]

_ENVIRONMENT, _FEATURES = "macpo.envs.smac_jax.environment", "macpo.envs.smac_jax.features"
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(("Config", "SMACJax", "SMACJaxEnv", "State"), _ENVIRONMENT),
        **dict.fromkeys(
            (
                "Units",
                "available_actions",
                "columns_of",
                "global_state",
                "observe",
                "reward",
                "visibility",
            ),
            _FEATURES,
        ),
        "battle_map": "macpo.envs.smac_jax.maps",
    },
)
