"""A moment of replay on disk: some steps of one batch, with what their weights are made of.

A file holds at most `MAX_STEPS` steps, of which at most `3 * LISTED` with the states before and
after them, from which pictures can be drawn. That is about 25 kB, and twice as many encoded states
as steps are listed.
"""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, Num

from macpo.errors import UsageError
from macpo.field_types import build
from macpo.runs import arrays
from macpo.runs.arrays import Damaged, Stored
from macpo.runs.files import list_directory
from macpo.training.trainer import ExplainedBatch
from macpo.types import AnyArray

MAX_STEPS = 384
"""Of a batch: the extremes, and evenly spaced ones among the others in the order of weights."""
EXTREMES = 32
"""How many are always kept of the largest weights, of the smallest, and of the largest errors."""
LISTED = 4
"""How many of each of these are kept with their states."""
Part: TypeAlias = Literal["", "agent", "critic"]
_NAME = re.compile(r"\d{4}\.safetensors")


class Steps(NamedTuple):
    """Steps of a batch, one for each agent or critic where those have weights of their own."""

    episode: Int[np.ndarray, " n"]
    """Row of the batch, whose episodes are sorted from longest to shortest."""
    step: Int[np.ndarray, " n"]
    part: Int[np.ndarray, " n"]
    """The agent or critic; 0 where there is one weight for the team."""
    q: Float[np.ndarray, " n"]
    target: Float[np.ndarray, " n"]
    q_star: Float[np.ndarray, " n"]
    """NaN where the learner has none."""
    reward: Float[np.ndarray, " n"]
    log_raw: Float[np.ndarray, " n"]
    """Log of the raw weight; NaN where it is not known."""
    importance: Float[np.ndarray, " n"]
    """Correction for how the episode was drawn."""
    weight: Float[np.ndarray, " n"]
    """The one in the loss: scaled, capped, times `importance`."""
    log_factors: Float[np.ndarray, "n F"]
    """Their sum is `log_raw`."""

    @property
    def td_error_abs(self) -> Float[np.ndarray, " n"]:
        """|δ| = |Q_tot − target|."""
        return np.abs(self.q - self.target)


class Listed(NamedTuple):
    """The steps that are kept with what can be drawn of them."""

    place: Int[np.ndarray, " L"]
    """Of each among the steps of the moment."""
    actions: Int[np.ndarray, "L N"]
    states: tuple[Num[np.ndarray, "L 2 *X"] | Bool[np.ndarray, "L 2 *X"], ...]
    """Leaves of the encoded states before and after each."""


@dataclass(frozen=True)
class About:
    """What a moment says of itself."""

    number: int
    """Of the moments planned, from 1."""
    seed: int
    env_steps: int
    """When it was taken, of that seed."""
    updates: int
    weighting: str
    summary: str
    """The weighting in a sentence of its own."""
    part: Part
    """What has weights of its own: `agent`, `critic`, or nothing but the team (empty)."""
    n_episodes: int
    """Of the batch."""
    n_steps: int
    """Of the batch; those that are kept are fewer."""
    factors: tuple[str, ...]


@dataclass(frozen=True)
class Moment:
    """A batch of replay at one moment of training."""

    about: About
    steps: Steps
    listed: Listed


def moment_file(folder: Path, number: int) -> Path:
    """The file of this moment."""
    return folder / f"{number:04d}.safetensors"


def moment_files(folder: Path) -> list[Path]:
    """Of all moments, sound or not, in order."""
    return [file for file in list_directory(folder) if _NAME.fullmatch(file.name)]


# --- what is kept ---------------------------------------------------------------------------------


def every_step(batch: ExplainedBatch) -> Steps:
    """All steps of a batch that exist, episode by episode."""
    why, n_episodes = batch.explanation, len(batch.importance)
    weights, n_rows = np.asarray(why.weights), len(why.mask)
    exists = np.broadcast_to(_like(why.mask, weights), weights.shape)
    row, step, *agent = np.nonzero(exists)
    n_parts = n_rows // n_episodes
    episode, part = row // n_parts, row % n_parts
    importance = np.asarray(batch.importance)[episode]

    def of(x: AnyArray | None) -> np.ndarray:
        if x is None:
            return np.full(len(row), np.nan, np.float32)
        x = _like(np.asarray(x, np.float32), weights)
        return np.broadcast_to(x, weights.shape)[exists]

    logs = [of(log) for log in why.log_factors.values()]
    return Steps(
        episode.astype(np.int32),
        step.astype(np.int32),
        (agent[0] if agent else part).astype(np.int32),
        of(why.q),
        of(why.target),
        of(why.q_star),
        np.asarray(batch.episodes.reward, np.float32)[episode, step],
        of(why.log_raw),
        importance.astype(np.float32),
        of(weights) * importance,
        np.stack(logs, -1) if logs else np.zeros((len(row), 0), np.float32),
    )


def _like(x: AnyArray, weights: np.ndarray) -> np.ndarray:
    """An array [R, T] or [R, T, N] with as many axes as the weights."""
    x = np.asarray(x)
    return x if x.ndim == weights.ndim else x[..., None]


def extremes(steps: Steps, n: int) -> Int[np.ndarray, " E"]:
    """The steps of the n largest and n smallest weights and the n largest errors, in their order.

    A weight or error that is not a number counts as the largest.
    """
    by_weight = np.argsort(steps.weight, kind="stable")
    by_error = np.argsort(steps.td_error_abs, kind="stable")
    ends = by_weight[:n], by_weight[max(len(by_weight) - n, 0) :], by_error[-n:]
    return np.unique(np.concatenate(ends))


def kept(steps: Steps) -> Int[np.ndarray, " n"]:
    """The steps that are kept of all those of a batch, in their order."""
    first, by_weight = extremes(steps, EXTREMES), np.argsort(steps.weight, kind="stable")
    others = by_weight[~np.isin(by_weight, first)]
    n_others = min(MAX_STEPS - len(first), len(others))
    evenly = np.linspace(0, len(others) - 1, n_others).round().astype(np.int64)
    return np.sort(np.concatenate([first, others[evenly]]))


def choose(batch: ExplainedBatch, steps: Steps) -> tuple[Steps, Listed]:
    """(what is kept of all steps of a batch, what of that is listed)"""
    steps = Steps(*(x[kept(steps)] for x in steps))
    place = extremes(steps, LISTED)
    episode, step = steps.episode[place], steps.step[place]
    leaves = [np.asarray(x) for x in jax.tree.leaves(batch.episodes.encoded_state)]
    states = tuple(np.stack([x[episode, step], x[episode, step + 1]], 1) for x in leaves)
    actions = np.asarray(batch.episodes.actions)[episode, step]
    return steps, Listed(place.astype(np.int32), actions, states)


# --- files ----------------------------------------------------------------------------------------


def write_moment(file: Path, moment: Moment) -> None:
    """Write it atomically; UsageError if the disk refuses."""
    tree = {"steps": moment.steps._asdict(), "listed": moment.listed._asdict()}
    arrays.write(file, tree, asdict(moment.about))


def read_moment(file: Path) -> Moment:
    """A moment from its file; UsageError if that cannot be read or is damaged."""
    stored = arrays.read(file)
    try:
        about = build(About, stored.info, "moment")
        steps = Steps(*(stored.arrays[f"steps.{name}"] for name in Steps._fields))
        place, actions = (stored.arrays[f"listed.{name}"] for name in ("place", "actions"))
        listed = Listed(place, actions, _states(stored))
    except (KeyError, UsageError) as error:
        raise Damaged(file, f"it lacks what a moment of replay has ({error})") from error
    n, n_listed = len(steps.episode), len(place)
    fits = (
        all(x.shape == (n,) for x in steps[:-1])
        and steps.log_factors.shape == (n, len(about.factors))
        and all(x.shape[:2] == (n_listed, 2) for x in listed.states)
        and actions.ndim == 2
        and len(actions) == n_listed
        and all(0 <= i < n for i in place.tolist())
    )
    if not fits:
        raise Damaged(file, "its arrays do not fit together")
    return Moment(about, steps, listed)


def _states(stored: Stored) -> tuple[np.ndarray, ...]:
    names = [name for name in stored.arrays if name.startswith("listed.states.")]
    return tuple(stored.arrays[f"listed.states.{i}"] for i in range(len(names)))
