"""Cooperative multi-agent reinforcement learning with optimised replay weights (MAC-PO), in JAX.

import macpo

run = macpo.train(macpo.Experiment(env="predator-prey", weighting="macpo"))
policy = macpo.load(run.directory)
actions = policy.act(obs, avail_actions)

Names are imported when they are first used, so that `macpo.weighting` alone, which works on NumPy
and torch arrays too, does not import JAX.
"""

from typing import TYPE_CHECKING

from macpo.lazy import lazy_names

if TYPE_CHECKING:
    from macpo import algorithms, envs, statistics, weighting
    from macpo.envs.base import Environment
    from macpo.envs.host import HostEnvironment
    from macpo.errors import UsageError
    from macpo.experiment import Experiment, Run
    from macpo.interop.to_pettingzoo import to_pettingzoo
    from macpo.registry import make_env
    from macpo.replay.priority import Replay
    from macpo.runs.episodes import Episode
    from macpo.runs.evaluate import evaluate
    from macpo.runs.hub.pull import pull
    from macpo.runs.hub.push import push
    from macpo.runs.loop import RunResult
    from macpo.runs.offline import export_replay
    from macpo.runs.policy import Policy, load
    from macpo.runs.replay_file import read_replay, write_replay
    from macpo.runs.train import resume, train
    from macpo.study.study import Study
    from macpo.study.sweep import SweepResult, sweep

    __version__: str

__all__ = [
    "Environment",
    "Episode",
    "Experiment",
    "HostEnvironment",
    "Policy",
    "Replay",
    "Run",
    "RunResult",
    "Study",
    "SweepResult",
    "UsageError",
    "algorithms",
    "envs",
    "evaluate",
    "export_replay",
    "load",
    "make_env",
    "pull",
    "push",
    "read_replay",
    "resume",
    "statistics",
    "sweep",
    "to_pettingzoo",
    "train",
    "weighting",
    "write_replay",
]

_lazy, __dir__ = lazy_names(
    __name__,
    {
        "Environment": "macpo.envs.base",
        "Episode": "macpo.runs.episodes",
        "Experiment": "macpo.experiment",
        "HostEnvironment": "macpo.envs.host",
        "Policy": "macpo.runs.policy",
        "Replay": "macpo.replay.priority",
        "Run": "macpo.experiment",
        "RunResult": "macpo.runs.loop",
        "Study": "macpo.study.study",
        "SweepResult": "macpo.study.sweep",
        "UsageError": "macpo.errors",
        "algorithms": "macpo.algorithms",
        "envs": "macpo.envs",
        "evaluate": "macpo.runs.evaluate",
        "export_replay": "macpo.runs.offline",
        "load": "macpo.runs.policy",
        "make_env": "macpo.registry",
        "pull": "macpo.runs.hub.pull",
        "push": "macpo.runs.hub.push",
        "read_replay": "macpo.runs.replay_file",
        "resume": "macpo.runs.train",
        "statistics": "macpo.statistics",
        "sweep": "macpo.study.sweep",
        "to_pettingzoo": "macpo.interop.to_pettingzoo",
        "train": "macpo.runs.train",
        "weighting": "macpo.weighting",
        "write_replay": "macpo.runs.replay_file",
    },
)


def __getattr__(name: str) -> object:
    """`__version__` of what is installed, "unknown" of sources that are not; else a lazy name."""
    if name != "__version__":
        return _lazy(name)
    import importlib.metadata

    try:
        return importlib.metadata.version("macpo")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
