"""Cooperative multi-agent reinforcement learning with optimised replay weights (MAC-PO), in JAX.

import macpo

run = macpo.train(macpo.Experiment(env="predator-prey", weighting="macpo"))
policy = macpo.load(run.directory)
actions = policy.act(obs, avail_actions)
"""

__version__ = "0.1.0"

from typing import Any

from macpo import registry, weighting
from macpo.config import Experiment, Run
from macpo.envs.base import Environment
from macpo.errors import UsageError
from macpo.run import Policy, RunResult, evaluate, load, resume, train

__all__ = [
    "Environment",
    "Experiment",
    "Policy",
    "Run",
    "RunResult",
    "UsageError",
    "evaluate",
    "load",
    "make_env",
    "resume",
    "train",
    "weighting",
]


def make_env(name: str, **options: Any) -> Environment:
    """The environment called `name` (see `macpo list environments`)."""
    return registry.make_config("envs", name, **options).make()
