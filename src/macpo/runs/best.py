"""The parameters of the best evaluation so far, and the absolute metric: what they earn at the end.

The absolute metric (Gorsane et al. 2022, "Towards a standardised performance evaluation protocol
for cooperative MARL") is the result of the best parameters over ten times as many episodes as an
evaluation has: the mean of the evaluation that chose them is too high, as the best of many.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from macpo.experiment import Run
from macpo.runs.files import disk_errors, is_file
from macpo.runs.record import Row
from macpo.training.player import Player
from macpo.training.trainer import TrainState
from macpo.types import Metrics, PyTree

TIMES = 10
"""As many episodes as an evaluation has."""
SCORES = ("test_battle_won_mean", "test_return_mean")
"""What the best evaluation has most of: battles won, and of equally many the highest return."""


class Best(NamedTuple):
    """Of each seed, the best evaluation so far; the latest of equal ones. Arrays of NumPy."""

    params: PyTree
    """Leaves [K, ...]."""
    score: Float[np.ndarray, "K 2"]
    """`SCORES`; minus infinity before the first evaluation."""
    env_steps: Int[np.ndarray, " K"]
    iteration: Int[np.ndarray, " K"]
    updates: Int[np.ndarray, " K"]


def before_any(state: TrainState) -> Best:
    """Of a run that has not been evaluated yet."""
    score = np.full((len(state.seed), len(SCORES)), -np.inf, np.float32)
    return Best(score=score, **_current(state))


def best_like(shapes: TrainState) -> Best:
    """The shapes of the best evaluation of a run whose state has these shapes."""
    # shapes stand for arrays, as in a state of `jax.eval_shape`
    score: Any = jax.ShapeDtypeStruct((*shapes.seed.shape, len(SCORES)), np.float32)
    return Best(score=score, **_kept(shapes))


def better_of(best: Best, state: TrainState, metrics: Metrics) -> Best:
    """The best so far, after an evaluation of the state with these metrics [K]."""
    score = _score(jax.device_get(metrics), len(best.score))
    is_better = _at_least(score, best.score)
    if not is_better.any():
        return best
    newest = Best(score=score, **_current(state))
    return jax.tree.map(lambda new, old: _choose(is_better, new, old), newest, best)


def evaluations(player: Player, state: TrainState, best: Best) -> Iterator[Metrics]:
    """The metrics [K] of `TIMES` evaluations of the best parameters, as each of them is done.

    It is what has evaluated the run that plays them, so nothing more is compiled; the `progress`
    that chooses their random keys is negative, which that of no other evaluation is.
    """
    params = jax.device_put(best.params, player.trainer.sharding)
    learner = state.learner._replace(params=params)
    for i in range(TIMES):
        moment = jnp.full_like(state.env_steps, -1 - i)
        yield player.evaluate(state._replace(learner=learner, env_steps=moment, updates=moment))


def absolute_rows(
    evaluated: Sequence[Metrics], state: TrainState, best: Best, run: Run
) -> Iterator[Row]:
    """The absolute metric of each seed, from what `evaluations` gave."""
    seeds, turns = jax.device_get((state.seed, evaluated))
    each = {name: np.stack([metrics[name] for metrics in turns]) for name in turns[0]}
    for k, seed in enumerate(seeds):
        yield {
            "kind": "absolute",
            "seed": int(seed),
            "env_steps": int(best.env_steps[k]),
            "episodes": run.episodes(int(best.iteration[k])),
            "updates": int(best.updates[k]),
            "test_episodes": len(turns) * run.test_nepisode,
            **{name: _together(name, each, k) for name in sorted(each)},
        }


def is_written(file: Path) -> bool:
    """Whether the file holds absolute metrics, and all of their last line."""
    if not is_file(file):
        return False
    with disk_errors(file, "read"):
        return file.read_bytes().endswith(b"\n")


def _kept(state: TrainState) -> dict[str, PyTree]:
    """What is kept of a state."""
    return {
        "params": state.learner.params,
        "env_steps": state.env_steps,
        "iteration": state.iteration,
        "updates": state.updates,
    }


def _current(state: TrainState) -> dict[str, PyTree]:
    """The same on the host, copied: the state's own memory is used again."""
    return jax.tree.map(np.array, jax.device_get(_kept(state)))


def _score(metrics: Metrics, n_seeds: int) -> Float[np.ndarray, "K 2"]:
    """What counts of an evaluation; NaN is the least there is."""
    columns = [np.asarray(metrics.get(name, np.zeros(n_seeds)), np.float32) for name in SCORES]
    return np.nan_to_num(np.stack(columns, 1), nan=-np.inf, posinf=np.inf, neginf=-np.inf)


def _at_least(a: Float[np.ndarray, "K 2"], b: Float[np.ndarray, "K 2"]) -> Bool[np.ndarray, " K"]:
    """Whether a is b or better; the second column decides where the first ones are equal."""
    return (a[:, 0] > b[:, 0]) | ((a[:, 0] == b[:, 0]) & (a[:, 1] >= b[:, 1]))


def _choose(
    which: Bool[np.ndarray, " K"],
    new: Shaped[np.ndarray, "K ..."],
    old: Shaped[np.ndarray, "K ..."],
) -> Shaped[np.ndarray, "K ..."]:
    return np.where(which.reshape(-1, *[1] * (new.ndim - 1)), new, old)


def _together(name: str, each: Mapping[str, Shaped[np.ndarray, "T K"]], k: int) -> int | float:
    """A metric over all episodes: counts are added up, standard deviations are about one mean."""
    values = each[name][:, k]
    if name.endswith("_mean"):
        return float(values.mean(dtype=np.float64))
    if not name.endswith("_std"):
        return int(values.sum())
    means = each[name.removesuffix("_std") + "_mean"][:, k].astype(np.float64)
    return float(np.sqrt(np.mean(values.astype(np.float64) ** 2) + means.var()))
