"""Whether the parts of an experiment and its schedule fit together; a UsageError says why not."""

from macpo import registry
from macpo.bounds import MAX_INT
from macpo.errors import require
from macpo.experiment import Experiment, Run
from macpo.learners.base import Algorithm
from macpo.types import MAX_ACTIONS, Spec


def check_schedule(experiment: Experiment, spec: Spec) -> None:
    """UsageError for what arrays cannot number, and what an on-policy algorithm cannot use."""
    _check_sizes(spec, experiment.run)
    if experiment.algorithm.about.on_policy:
        _check_on_policy(experiment)


def check_recent_play(experiment: Experiment, algorithm: Algorithm) -> None:
    """UsageError if a run keeps too little, or has none, of the recent play to learn from."""
    run = experiment.run
    newest = algorithm.recent_episodes(run.batch_size, run.buffer_size)
    if newest is not None:
        _check_newest(experiment, newest.n_episodes)
        _check_plays(experiment)


def _check_sizes(spec: Spec, run: Run) -> None:
    """UsageError for what the arrays of a run cannot number or count."""
    require(
        spec.n_actions <= MAX_ACTIONS,
        f"{spec.name} has {spec.n_actions:,} actions, but an agent can have at most "
        f"{MAX_ACTIONS:,}.",
    )
    last = run.steps + run.batch_size_run * spec.episode_limit  # the last iteration goes beyond
    require(
        last <= MAX_INT,
        f"a run of {run.steps:,} env steps, {run.batch_size_run:,} episodes of at most "
        f"{spec.episode_limit:,} at a time, can come to {last:,}, but at most {MAX_INT:,} are "
        "counted; lower steps.",
    )


def _check_newest(experiment: Experiment, n: int) -> None:
    """UsageError unless replay holds as many of the newest episodes as the algorithm needs."""
    name, size = registry.name_of(experiment.algorithm), experiment.run.buffer_size
    require(
        n <= size,
        f"{name} also learns from the {n} newest episodes, but replay holds only {size}; raise "
        "buffer_size.",
    )


def _check_plays(experiment: Experiment) -> None:
    """UsageError for an algorithm that needs recent play where nothing is played."""
    parts = (registry.name_of(part) for part in (experiment.algorithm, experiment.weighting))
    require(
        not experiment.run.is_offline,
        f"{' with weighting '.join(parts)} also learns from the newest episodes of its own policy, "
        "of which a run that learns offline has none; choose another algorithm or weighting "
        "(`macpo list`).",
    )


def _check_on_policy(experiment: Experiment) -> None:
    """UsageError unless every update learns from exactly the episodes just played."""
    run, name = experiment.run, registry.name_of(experiment.algorithm)
    require(
        experiment.replay.from_file is None,
        f"{name} learns on-policy, from the episodes that it has just played, and from no others: "
        "leave out replay.from, or choose an algorithm with replay (`macpo list algorithms`).",
    )
    require(
        not experiment.weighting.all_factors and experiment.replay.sampling == "uniform",
        f"{name} learns on-policy: each episode is used once, while it is new, so there is no "
        "replay to weigh or to prioritise; leave out --weighting and --replay.sampling, or choose "
        "an algorithm with replay (`macpo list algorithms`).",
    )
    require(
        run.buffer_size == run.batch_size == run.batch_size_run,
        f"{name} learns on-policy, from the episodes just played: batch_size ({run.batch_size}) "
        f"and buffer_size ({run.buffer_size}) must equal batch_size_run ({run.batch_size_run}).",
    )
    require(
        run.updates_per_iteration == 1,
        f"{name} learns on-policy, once from each episode: updates_per_iteration must be 1, not "
        f"{run.updates_per_iteration} (mappo's passes over its episodes are --algorithm.epochs).",
    )
