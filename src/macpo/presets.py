"""Named settings: functions from an experiment to an experiment, applied in the order given."""

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from macpo import registry
from macpo.errors import UsageError, nearest, require, shown
from macpo.experiment import Experiment, Run
from macpo.learners.value_based import ValueBased

Preset: TypeAlias = Callable[[Experiment], Experiment]


def pymarl2(experiment: Experiment) -> Experiment:
    """PyMARL2's schedule: 8 environments, one update of 128 episodes after each 8."""
    algorithm = _value_based(experiment, "pymarl2")
    tuned = type(algorithm)()  # every algorithm's defaults are PyMARL2's
    names = ("optimiser", "lr", "optim_eps", "td_lambda")
    return replace(
        experiment,
        algorithm=replace(algorithm, **{name: getattr(tuned, name) for name in names}),
        run=_scheduled(experiment.run, 8, 128, 100_000),
    )


def pymarl(experiment: Experiment) -> Experiment:
    """PyMARL's schedule: RMSprop, one-step, an update of 32 episodes after each single one."""
    algorithm = _value_based(experiment, "pymarl")
    return replace(
        experiment,
        algorithm=replace(algorithm, optimiser="rmsprop", lr=5e-4, optim_eps=1e-5, td_lambda=0.0),
        run=_scheduled(experiment.run, 1, 32, 50_000),
    )


def paper(experiment: Experiment) -> Experiment:
    """MAC-PO's paper (Table 2, Appendix E.3): PyMARL2's, with replay of 10,000 and ε from 0.995."""
    _value_based(experiment, "paper")
    tuned = pymarl2(experiment)
    run = replace(
        tuned.run,
        buffer_size=10_000,
        target_update_interval=200,
        epsilon_start=0.995,
        epsilon_finish=0.05,
        test_interval=10_000,
        test_nepisode=32,
    )
    return replace(tuned, algorithm=replace(tuned.algorithm, lr=1e-3, td_lambda=0.6), run=run)


def iql_pymarl2(experiment: Experiment) -> Experiment:
    """IQL as PyMARL2 leaves it, untuned: one-step, half the learning rate, one update of 32."""
    _one_of(experiment, "iql_pymarl2", "iql")
    tuned = pymarl2(experiment)
    return replace(
        tuned,
        algorithm=replace(tuned.algorithm, lr=5e-4, td_lambda=0.0),
        run=replace(tuned.run, batch_size=32),
    )


def wqmix_official(experiment: Experiment) -> Experiment:
    """Weighted QMIX as its authors released it: PyMARL's schedule, Q* learns at full weight."""
    _one_of(experiment, "wqmix_official", "cwqmix", "owqmix")
    original = pymarl(experiment)
    return replace(original, algorithm=replace(original.algorithm, central_loss=1.0))


def qplex_official(experiment: Experiment) -> Experiment:
    """QPLEX as its authors released it: PyMARL's schedule, two updates each, single layers."""
    _one_of(experiment, "qplex_official", "qplex")
    original = pymarl(experiment)
    return replace(
        original,
        algorithm=replace(original.algorithm, n_layers=1, n_heads=4),
        run=replace(original.run, updates_per_iteration=2),
    )


def coma_pymarl(experiment: Experiment) -> Experiment:
    """COMA as PyMARL has it: RMSprop, no reward of entropy, exploration inside the policies."""
    _one_of(experiment, "coma_pymarl", "coma")
    changes = {"optimiser": "rmsprop", "optim_eps": 1e-5, "td_lambda": 0.8}
    changes |= {"entropy_coef": 0.0, "epsilon_in_policy": True, "sweep_width": 1}
    return replace(experiment, algorithm=replace(experiment.algorithm, **changes))


def vdac_official(experiment: Experiment) -> Experiment:
    """VDAC as its authors released it: no reward of entropy, exploration inside the policies."""
    _one_of(experiment, "vdac_official", "vdac")
    changes = {"lr": 5e-4, "optim_eps": 1e-5, "entropy_coef": 0.0, "epsilon_in_policy": True}
    return replace(
        experiment,
        algorithm=replace(experiment.algorithm, **changes),
        run=replace(experiment.run, epsilon_finish=0.01),
    )


def dop_official(experiment: Experiment) -> Experiment:
    """DOP as its authors released it: 4 environments, 16 new and 32 old episodes an update."""
    _one_of(experiment, "dop_official", "dop")
    changes = {"optim_eps": 1e-5, "critic_lr": 1e-4, "grad_norm_clip": 20.0}
    changes |= {"on_policy_batch_size": 16}
    run = replace(
        experiment.run,
        batch_size_run=4,
        batch_size=32,
        updates_per_iteration=1,
        target_update_interval=12,  # 600 steps of the critic are three updates at full length
    )
    return replace(experiment, algorithm=replace(experiment.algorithm, **changes), run=run)


def fop_official(experiment: Experiment) -> Experiment:
    """FOP as its authors released it: the entropy outside the return, also after an end."""
    _one_of(experiment, "fop_official", "fop")
    return replace(experiment, algorithm=replace(experiment.algorithm, entropy_in_return=False))


def macpo_official(experiment: Experiment) -> Experiment:
    """MAC-PO as released, save its schedule (pymarl2): raw weights, all actions in π, clamp."""
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


def macpo_regret(experiment: Experiment) -> Experiment:
    """The weights that MAC-PO's own objective asks for; in all else like `macpo`."""
    _value_based(experiment, "macpo_regret")
    return replace(macpo(experiment), weighting=registry.make_config("weighting", "macpo-regret"))


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
            f"unknown preset {shown(name)}; {nearest(registry.canonical(name), presets)} "
            f"Known: {', '.join(presets)}."
        )
    return presets[registry.canonical(name)](experiment)


def _value_based(experiment: Experiment, preset: str) -> ValueBased:
    algorithm = experiment.algorithm
    if not isinstance(algorithm, ValueBased):
        raise UsageError(
            f"preset {preset!r} sets up value-based algorithms, not "
            f"{registry.name_of(algorithm)!r}; choose --algorithm qmix or vdn."
        )
    return algorithm


def _one_of(experiment: Experiment, preset: str, *names: str) -> None:
    """UsageError unless the algorithm is one of these."""
    name = registry.name_of(experiment.algorithm)
    require(
        name in names,
        f"preset {preset!r} sets up {' and '.join(names)}, not {name!r}; choose "
        f"--algorithm {' or '.join(names)}.",
    )


def _scheduled(run: Run, batch_size_run: int, batch_size: int, epsilon_anneal_time: int) -> Run:
    """One update of `batch_size` episodes after each `batch_size_run`."""
    return replace(
        run,
        batch_size_run=batch_size_run,
        batch_size=batch_size,
        updates_per_iteration=1,
        epsilon_anneal_time=epsilon_anneal_time,
    )
