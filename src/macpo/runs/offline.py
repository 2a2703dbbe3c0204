"""Episodes out of a run's replay, and into that of another: `macpo export-replay`, `--replay.from`.

macpo.export_replay("runs/hunt", "hunt.npz")
replay, run = Replay(from_file="hunt.npz"), Run(steps=0, updates=20_000)
macpo.train(Experiment(env="predator-prey", replay=replay, run=run))
"""

import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Int
from rich.console import Console

from macpo import registry
from macpo.bounds import NonNegativeInt, checked
from macpo.envs.base import Environment
from macpo.errors import UsageError, require, shortened, shown
from macpo.experiment import Experiment, difference, to_dict
from macpo.machine import prepare_jax
from macpo.replay import buffer
from macpo.replay.buffer import ReplayBuffer
from macpo.runs.checkpoint import is_dropped
from macpo.runs.directory import RunDirectory
from macpo.runs.episodes import CHUNK, ENCODED, Chunk, Sizes
from macpo.runs.replay_file import (
    About,
    Source,
    read_about,
    read_chunks,
    sha256_of,
    write_chunks,
)
from macpo.runs.saving import last_state
from macpo.terminal import say
from macpo.training.trainer import Trainer, TrainState, make_trainer
from macpo.types import AnyArray, Episodes, Observation, PyTree

# --- out of a run ---------------------------------------------------------------------------------


def export_replay(
    directory: str | os.PathLike[str],
    file: str | os.PathLike[str],
    seed: int | None = None,
    *,
    trust: bool = False,
) -> About:
    """Write the episodes in the replay of a run's last checkpoint, oldest first, to a .npz file.

    `seed` chooses one of several, by default the run's first; `trust` is as for `load`. Returns
    what the file says of itself. Raises UsageError for a run whose checkpoints hold no replay, and
    for a file that holds anything but episodes.

    >>> import macpo
    >>> small = macpo.Run(steps=64, batch_size=8, test_interval=64, test_nepisode=8)
    >>> run = macpo.train(macpo.Experiment("matrix-game", "vdn", run=small))
    memory planned: ...
    >>> macpo.export_replay(run.directory, "episodes.npz").episodes
    64
    """
    files = RunDirectory(directory)
    experiment, run = files.read_experiment(trust=trust), files.path
    require(
        not experiment.algorithm.about.on_policy,
        f"{run} has learned on-policy ({registry.name_of(experiment.algorithm)}), each episode "
        "once: it has no replay to export.",
    )
    require(
        not is_dropped(files.checkpoints),
        f"the checkpoints of {run} have been dropped, and with them its replay: there is nothing "
        "to export.",
    )
    first, n_seeds = experiment.run.seed, experiment.run.seeds
    seed = checked(seed, NonNegativeInt | None, "seed")
    k = 0 if seed is None else seed - first
    require(0 <= k < n_seeds, f"{run} has seeds {first} to {first + n_seeds - 1}, not {seed}.")
    prepare_jax()
    trainer = make_trainer(experiment)
    last = last_state(files, experiment, lambda: trainer.state_shapes)
    if last.state is None:
        raise UsageError(
            f"{run} has no checkpoint yet, and so no replay to export; wait for its first one."
        )
    require(
        last.has_replay,
        f"{run} was trained with --checkpoint.no-replay: its checkpoints hold no replay to export.",
    )
    replay: ReplayBuffer = jax.tree.map(lambda x: x[k], last.state.replay_buffer)
    return write_chunks(
        Path(file),
        _chunks(trainer.env, replay),
        Sizes.of(trainer.env.spec),
        Source(to_dict(experiment), first + k),
    )


def _chunks(env: Environment, replay: ReplayBuffer) -> Iterator[Chunk]:
    """The episodes of a replay buffer, oldest first."""
    capacity, n_added = len(replay.episodes.length), int(replay.n_added)
    n = min(n_added, capacity)
    rows = (n_added - n + np.arange(n)) % capacity
    # JAX leaves the types of what it maps open
    decode: Any = jax.jit(jax.vmap(jax.vmap(env.decode)))
    for begin in range(0, n, CHUNK):
        chosen = rows[begin : begin + CHUNK]
        padded = np.resize(chosen, min(CHUNK, n))  # as many each time: compiled once
        states = jax.tree.map(lambda x, rows=padded: x[rows], replay.episodes.encoded_state)
        observations: Observation = jax.device_get(decode(states))
        episodes: Episodes = jax.tree.map(lambda x, rows=chosen: x[rows], replay.episodes)
        yield _end_to_end(env, episodes, observations)


def _end_to_end(env: Environment, episodes: Episodes, observations: Observation) -> Chunk:
    """The steps and states that exist, of episodes; `observations` begins with theirs."""
    n, limit = episodes.reward.shape
    length = np.asarray(episodes.length)
    has_step, has_state = _exist(length, limit)

    def states(x: AnyArray) -> np.ndarray:
        return np.asarray(x)[:n][has_state]

    encoded = {} if _keeps_observations(env) else _named(episodes.encoded_state)
    return Chunk(
        length=length,
        terminated=np.asarray(episodes.terminated),
        actions=np.asarray(episodes.actions)[has_step],
        reward=np.asarray(episodes.reward)[has_step],
        obs=states(observations.obs),
        state=states(observations.state),
        avail_actions=states(observations.avail_actions),
        encoded={name: states(x) for name, x in encoded.items()},
    )


def _exist(
    length: Int[np.ndarray, " E"], limit: int
) -> tuple[Bool[np.ndarray, "E T"], Bool[np.ndarray, "E Tp1"]]:
    """(whether a step exists, whether a state does) in arrays of whole episodes."""
    t = np.arange(limit + 1)
    return t[:-1] < length[:, None], t <= length[:, None]


def _keeps_observations(env: Environment) -> bool:
    """Whether replay holds observations as they are, and not as the environment encodes them."""
    return type(env).decode is Environment.decode


def _named(encoded: PyTree) -> dict[str, AnyArray]:
    """The arrays of encoded states by their names in a file."""
    found = dict[str, AnyArray]()
    for path, x in jax.tree_util.tree_leaves_with_path(encoded):
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        found[f"{ENCODED}.{name}" if name else ENCODED] = x
    return found


# --- into another ---------------------------------------------------------------------------------


def pinned(experiment: Experiment) -> Experiment:
    """The experiment with the file that replay begins with as it is now: its place, its SHA-256.

    Without such a file it is the same. UsageError if the file is not there, or is another than the
    experiment's own SHA-256 says.
    """
    given = experiment.replay
    if given.from_file is None:
        return experiment
    file = Path(given.from_file).absolute()
    sha256 = sha256_of(file)
    require(
        given.from_sha256 in (None, sha256),
        f"{file} is not the file that this experiment begins with: its SHA-256 is {sha256[:12]}…, "
        f"not {shown(given.from_sha256)}; put the file back, or begin another run without "
        "replay.from_sha256.",
    )
    return replace(experiment, replay=replace(given, from_file=str(file), from_sha256=sha256))


def filled(
    trainer: Trainer, experiment: Experiment, state: TrainState, console: Console
) -> TrainState:
    """The state with the episodes that replay begins with, if there are any, in that of each seed.

    UsageError unless the file is the one that the experiment names, sound, and of such an
    environment.
    """
    if experiment.replay.from_file is None:
        return state
    file = Path(pinned(experiment).replay.from_file or "")
    about = read_about(file)
    _check_fits(about, file, trainer, experiment)
    for episodes in read_episodes(file, about, trainer.env):
        state = trainer.fill(state, episodes)
    other = _other_settings(about, experiment)
    if other:
        say(
            console,
            f"{file} has episodes of the same environment with other settings: {'; '.join(other)}",
            "yellow",
        )
    say(
        console,
        f"replay begins with {about.episodes:,} episodes of {file}, {about.steps:,} env steps",
    )
    return state


def _check_fits(about: About, file: Path, trainer: Trainer, experiment: Experiment) -> None:
    """UsageError unless the run's environment and replay can take these episodes."""
    run, given, own = experiment.run, asdict(about.environment), asdict(Sizes.of(trainer.env.spec))
    other = [
        f"{name} {shortened(str(given[name]))}, not {own[name]}"
        for name in own
        if given[name] != own[name]
    ]
    require(
        not other,
        f"{file} holds episodes of another environment than the run's: {'; '.join(other)}.",
    )
    require(
        about.episodes <= run.buffer_size,
        f"{file} holds {about.episodes:,} episodes, and replay only {run.buffer_size:,}; raise "
        "buffer_size.",
    )
    require(
        not run.is_offline or about.episodes >= run.batch_size,
        f"{file} holds {about.episodes:,} episodes, and an update learns from {run.batch_size:,}; "
        "lower batch_size.",
    )


def _other_settings(about: About, experiment: Experiment) -> list[str]:
    """How the environment of the episodes differs from the run's, as far as it is known."""
    before, now = (about.experiment or {}).get("env"), to_dict(experiment)["env"]
    if not isinstance(before, dict):
        return []
    return [*map(shortened, difference({"env": before}, {"env": now}))]


def read_episodes(file: Path, about: About, env: Environment) -> Iterator[Episodes]:
    """The episodes of a file as the replay of this environment holds them; a chunk at a time.

    UsageError if the file is damaged, or lacks what the environment's replay holds.
    """
    one: Episodes = jax.eval_shape(lambda: buffer.init(env, 1).episodes)
    for chunk in read_chunks(file, about):
        n = len(chunk.length)
        found: Episodes = jax.tree.map(lambda x, n=n: np.zeros((n, *x.shape[1:]), x.dtype), one)
        has_step, has_state = _exist(chunk.length, found.reward.shape[1])
        found.length[:], found.terminated[:] = chunk.length, chunk.terminated
        found.actions[has_step], found.reward[has_step] = chunk.actions, chunk.reward
        for name, x in _states_by_name(env, found).items():
            x[has_state] = _as_kept(chunk, name, x, file, env)
        yield found


def _states_by_name(env: Environment, episodes: Episodes) -> dict[str, AnyArray]:
    """The arrays of replay's states by the names of the fields that they are in a file."""
    if _keeps_observations(env):
        return episodes.encoded_state._asdict()
    return _named(episodes.encoded_state)


def _as_kept(chunk: Chunk, name: str, like: AnyArray, file: Path, env: Environment) -> AnyArray:
    """A field of a file in the type of an array of replay; UsageError if it does not fit there."""
    given = chunk.arrays().get(name)
    if given is None:
        raise UsageError(
            f"{file} holds observations, but replay of {env.spec.name} holds states as the "
            "environment encodes them, which only the files of `macpo export-replay` have."
        )
    kept = given.astype(like.dtype)
    require(
        given.shape[1:] == like.shape[2:] and bool((kept == given).all()),
        f"{file} has {name} of {given.dtype}{list(given.shape[1:])}, which replay of "
        f"{env.spec.name}, {like.dtype}{list(like.shape[2:])}, cannot hold without loss.",
    )
    return kept
