"""Scores of several runs on several tasks, as the other modules take them."""

from typing import TypeAlias

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from macpo.errors import UsageError, require

Scores: TypeAlias = ArrayLike
"""Numbers of shape [runs, tasks]; of shape [runs] for one task. NaN where a run is missing."""


def as_numbers(numbers: ArrayLike, what: str) -> Float[np.ndarray, "*shape"]:
    """An array of floats; UsageError that names `what` for anything but numbers."""
    try:
        return np.asarray(numbers, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{what} must be an array of numbers ({error}).") from error


def as_scores(scores: Scores, what: str = "scores") -> Float[np.ndarray, "runs tasks"]:
    """Scores as an array with an axis of tasks, each task's runs in ascending order, NaN last.

    So the order of runs changes no statistic; a row does not connect runs of different tasks.
    Raises UsageError for anything but numbers of these shapes, infinite ones, and a task without
    any run.
    """
    return np.sort(as_rows(scores, what), axis=0)


def as_rows(scores: Scores, what: str = "scores") -> Float[np.ndarray, "runs tasks"]:
    """Scores as an array with an axis of tasks, each run in the row where it was given."""
    array = as_numbers(scores, what)
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
    check_every_task_has_runs(array, what)
    return array


def check_every_task_has_runs(scores: Float[np.ndarray, "runs tasks"], what: str) -> None:
    """UsageError that names the first column without a number."""
    for column in np.flatnonzero(np.isnan(scores).all(axis=0)):
        raise UsageError(f"{what} hold no run of the task in column {column}; leave the task out.")


def as_pairs(
    x: Scores, y: Scores
) -> tuple[Float[np.ndarray, "runs tasks"], Float[np.ndarray, "runs tasks"]]:
    """Scores whose rows belong together; what is missing in one is missing in both, and last.

    Raises UsageError for different shapes, and for a task without any pair.
    """
    x, y = as_rows(x, "scores of x"), as_rows(y, "scores of y")
    require(
        x.shape == y.shape,
        f"paired scores must have the same shape [seeds, tasks], not {list(x.shape)} and "
        f"{list(y.shape)}; give NaN where a seed is missing.",
    )
    alone = np.isnan(x) | np.isnan(y)
    x, y = np.where(alone, np.nan, x), np.where(alone, np.nan, y)
    check_every_task_has_runs(x, "paired scores")
    order = np.argsort(alone, axis=0, kind="stable")
    return np.take_along_axis(x, order, axis=0), np.take_along_axis(y, order, axis=0)


def on_the_same_tasks(
    x: Scores, y: Scores
) -> tuple[Float[np.ndarray, "runs tasks"], Float[np.ndarray, "others tasks"]]:
    """Scores of two methods, each as `as_scores` gives them; UsageError for unequal tasks."""
    x, y = as_scores(x, "scores of x"), as_scores(y, "scores of y")
    require(
        x.shape[1] == y.shape[1],
        f"x has {x.shape[1]} tasks and y has {y.shape[1]}; compare scores on the same tasks.",
    )
    return x, y


def fewest_runs(scores: Float[np.ndarray, "runs tasks"]) -> int:
    """Runs of the task that has the fewest."""
    return int(np.isfinite(scores).sum(axis=0).min())
