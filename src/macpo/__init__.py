"""Cooperative multi-agent reinforcement learning with optimised replay weights (MAC-PO), in JAX.

import macpo

run = macpo.train(macpo.Experiment(env="predator-prey", weighting="macpo"))
policy = macpo.load(run.directory)
actions = policy.act(obs, avail_actions)

Names are imported when they are first used, so that `macpo.weighting` alone, which works on NumPy
and torch arrays too, does not import JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from macpo import algorithms, envs, weighting
    from macpo.envs.base import Environment
    from macpo.envs.host import HostEnvironment
    from macpo.errors import UsageError
    from macpo.experiment import Experiment, Run
    from macpo.interop.to_pettingzoo import to_pettingzoo
    from macpo.runs.train import Policy, RunResult, evaluate, load, resume, train

__version__ = "0.1.0"

__all__ = [
    "Environment",
    "Experiment",
    "HostEnvironment",
    "Policy",
    "Run",
    "RunResult",
    "UsageError",
    "algorithms",
    "envs",
    "evaluate",
    "load",
    "make_env",
    "resume",
    "to_pettingzoo",
    "train",
    "weighting",
]

_MODULES = {
    "Environment": "envs.base",
    "Experiment": "experiment",
    "HostEnvironment": "envs.host",
    "Policy": "runs.train",
    "Run": "experiment",
    "RunResult": "runs.train",
    "UsageError": "errors",
    "evaluate": "runs.train",
    "load": "runs.train",
    "resume": "runs.train",
    "to_pettingzoo": "interop.to_pettingzoo",
    "train": "runs.train",
}
"""Where the names above live; those that are missing here are modules."""


def make_env(name: str, **options: Any) -> Any:
    """The environment called `name` (see `macpo list environments`), or made by module:factory.

    It is an `Environment` or a `HostEnvironment`; which one depends on the name, hence `Any`.

    Raises UsageError for a name or an option that does not exist.
    """
    from macpo import registry

    return registry.make_config("envs", name, **options).make()


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"macpo.{_MODULES[name]}"), name)
    if name in __all__:
        return importlib.import_module(f"macpo.{name}")
    raise AttributeError(f"module 'macpo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
