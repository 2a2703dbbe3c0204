"""Named settings: functions from an experiment to an experiment, applied in the order given."""

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from macpo import registry
from macpo.algorithms.value_based import ValueBased
from macpo.config import Experiment
from macpo.errors import UsageError, require

Preset: TypeAlias = Callable[[Experiment], Experiment]


def pymarl2(experiment: Experiment) -> Experiment:
    """PyMARL2's schedule, the default: 8 environments, one update of 128 episodes after each 8."""
    algorithm = _value_based(experiment, "pymarl2")
    return replace(
        experiment,
        algorithm=replace(algorithm, optimiser="adam", lr=1e-3, optim_eps=1e-8, td_lambda=0.6),
        run=replace(
            experiment.run,
            batch_size_run=8,
            batch_size=128,
            updates_per_iteration=1,
            epsilon_anneal_time=100_000,
        ),
    )


def pymarl(experiment: Experiment) -> Experiment:
    """PyMARL's and Weighted QMIX's schedule: an update of 32 episodes after each single one."""
    algorithm = _value_based(experiment, "pymarl")
    return replace(
        experiment,
        algorithm=replace(algorithm, optimiser="rmsprop", lr=5e-4, optim_eps=1e-5, td_lambda=0.0),
        run=replace(
            experiment.run,
            batch_size_run=1,
            batch_size=32,
            updates_per_iteration=1,
            epsilon_anneal_time=50_000,
        ),
    )


def macpo_official(experiment: Experiment) -> Experiment:
    """MAC-PO as its authors released it: raw weights, unavailable actions in the softmax, clamp."""
    algorithm = _value_based(experiment, "macpo_official")
    weighting = registry.make_config(
        "weighting", "macpo", normalise="none", include_unavailable=True
    )
    return replace(
        experiment,
        algorithm=replace(algorithm, utility_clamp=(-5.0, 2.0)),
        weighting=weighting,
    )


def macpo(experiment: Experiment) -> Experiment:
    """MAC-PO with this library's choices: mean-one weights, available actions only, no clamp."""
    algorithm = _value_based(experiment, "macpo")
    return replace(
        experiment,
        algorithm=replace(algorithm, utility_clamp=None),
        weighting=registry.make_config("weighting", "macpo"),
    )


def known() -> Mapping[str, Preset]:
    """All presets by name."""
    functions = inspect.getmembers(sys.modules[__name__], inspect.isfunction)
    return {
        registry.canonical(name): function
        for name, function in functions
        if list(inspect.signature(function).parameters) == ["experiment"]
    }


def apply(name: str, experiment: Experiment) -> Experiment:
    """The experiment with the preset's settings."""
    presets = known()
    if registry.canonical(name) not in presets:
        raise UsageError(
            f"unknown preset {name!r}; {registry.nearest(registry.canonical(name), presets)} "
            f"Known: {', '.join(presets)}."
        )
    return presets[registry.canonical(name)](experiment)


def _value_based(experiment: Experiment, preset: str) -> ValueBased:
    algorithm = experiment.algorithm
    require(
        isinstance(algorithm, ValueBased),
        f"preset {preset!r} sets up value-based algorithms, not "
        f"{registry.name_of(algorithm)!r}; choose --algorithm qmix or vdn.",
    )
    return algorithm
