"""Scores of several runs on several tasks, as the other modules take them."""

from typing import TypeAlias

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from macpo.errors import UsageError, require

Scores: TypeAlias = ArrayLike
"""Numbers of shape [runs, tasks]; of shape [runs] for one task. NaN where a run is missing."""


def as_scores(scores: Scores, what: str = "scores") -> Float[np.ndarray, "runs tasks"]:
    """Scores as an array with an axis of tasks, each task's runs in ascending order, NaN last.

    The order of runs within a task therefore changes no statistic. Raises UsageError for anything
    but numbers of these shapes, infinite ones, and a task without any run.
    """
    return np.sort(as_rows(scores, what), axis=0)


def as_rows(scores: Scores, what: str = "scores") -> Float[np.ndarray, "runs tasks"]:
    """Scores as an array with an axis of tasks, each run in the row where it was given."""
    try:
        array = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{what} must be numbers of shape [runs, tasks], with NaN where a run is missing "
            f"({error})."
        ) from error
    require(
        array.ndim in (1, 2) and array.size > 0,
        f"{what} must have the shape [runs, tasks], or [runs] for one task, with at least one run, "
        f"not {list(array.shape)}.",
    )
    array = array.reshape(len(array), -1)
    require(
        not np.isinf(array).any(),
        f"{what} hold infinite numbers; give a run that diverged the score it deserves, or NaN to "
        "leave it out.",
    )
    empty = np.flatnonzero(np.isnan(array).all(axis=0))
    require(
        len(empty) == 0,
        f"{what} hold no run of the task in column {empty[:1].sum()}; leave the task out.",
    )
    return array


def n_runs(scores: Float[np.ndarray, "runs tasks"]) -> list[int]:
    """How many runs each task has."""
    return np.isfinite(scores).sum(axis=0).tolist()
