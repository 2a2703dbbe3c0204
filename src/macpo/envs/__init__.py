"""Environments: one file each, found by their location (see `macpo.registry`).

>>> from macpo.envs import PredatorPrey
>>> PredatorPrey(punishment=-2).make().spec.n_actions
6

Here are the configurations of the environments and what the author of another one needs. A name is
imported when it is first used, so that importing this package imports no game.
"""

from typing import TYPE_CHECKING

from macpo.lazy import lazy_names

if TYPE_CHECKING:
    from macpo.envs.base import Environment, first_step
    from macpo.envs.foraging import LevelBasedForaging
    from macpo.envs.host import EnvironmentLost, HostEnvironment
    from macpo.envs.matrix_game import MatrixGame
    from macpo.envs.predator_prey import PredatorPrey
    from macpo.envs.smac import SMAC
    from macpo.envs.smac_jax import SMACJax
    from macpo.envs.smacv2_jax import SMACv2Jax
    from macpo.envs.two_step import TwoStep
    from macpo.types import Observation, Spec, TimeStep

__all__ = [
    "SMAC",
    "Environment",
    "EnvironmentLost",
    "HostEnvironment",
    "LevelBasedForaging",
    "MatrixGame",
    "Observation",
    "PredatorPrey",
    "SMACJax",
    "SMACv2Jax",
    "Spec",
    "TimeStep",
    "TwoStep",
    "first_step",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "SMAC": "macpo.envs.smac",
        "Environment": "macpo.envs.base",
        "EnvironmentLost": "macpo.envs.host",
        "HostEnvironment": "macpo.envs.host",
        "LevelBasedForaging": "macpo.envs.foraging",
        "MatrixGame": "macpo.envs.matrix_game",
        "Observation": "macpo.types",
        "PredatorPrey": "macpo.envs.predator_prey",
        "SMACJax": "macpo.envs.smac_jax",
        "SMACv2Jax": "macpo.envs.smacv2_jax",
        "Spec": "macpo.types",
        "TimeStep": "macpo.types",
        "TwoStep": "macpo.envs.two_step",
        "first_step": "macpo.envs.base",
    },
)
