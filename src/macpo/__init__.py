"""Cooperative multi-agent reinforcement learning with optimised replay weights (MAC-PO), in JAX.

import macpo

run = macpo.train(macpo.Experiment(env="predator-prey", weighting="macpo"))
policy = macpo.load(run.directory)
actions = policy.act(obs, avail_actions)
"""

__version__ = "0.1.0"

from typing import Any

from macpo import registry, weighting
from macpo.envs.base import Environment
from macpo.envs.host import HostEnvironment
from macpo.errors import UsageError
from macpo.experiment import Experiment, Run
from macpo.interop.to_pettingzoo import to_pettingzoo
from macpo.runs.evaluate import evaluate
from macpo.runs.loop import RunResult
from macpo.runs.policy import Policy, load
from macpo.runs.train import resume, train

__all__ = [
    "Environment",
    "Experiment",
    "HostEnvironment",
    "Policy",
    "Run",
    "RunResult",
    "UsageError",
    "evaluate",
    "load",
    "make_env",
    "resume",
    "to_pettingzoo",
    "train",
    "weighting",
]


def make_env(name: str, **options: Any) -> Any:
    """The environment called `name` (see `macpo list environments`), or made by module:factory.

    It is an `Environment`, or else a `HostEnvironment`.
    """
    return registry.make_config("envs", name, **options).make()
