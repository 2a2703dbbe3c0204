"""What the `step` of a SMAC-style environment returned, recognised by the kinds of its values.

Environments with PyMARL's methods return PyMARL's values, Gym's or Gymnasium's. Four values may be
(reward, terminated, truncated, info) as well as (observations, reward, terminated, info): which of
the two is decided by what the values are, and not by their number.
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np

from macpo.errors import require
from macpo.types import Spec, Untyped

Reading: TypeAlias = tuple[str, ...]
"""What each value is."""

READINGS: tuple[Reading, ...] = (
    ("reward", "terminated", "info"),
    ("reward", "terminated", "truncated", "info"),
    ("observations", "reward", "terminated", "info"),
    ("observations", "reward", "terminated", "truncated", "info"),
)
"""PyMARL's, the same with a flag for time-outs, Gym's and Gymnasium's."""


class StepResult(NamedTuple):
    """The values of a step, whatever their order was."""

    reward: Untyped
    """One number, or one for each agent."""
    terminated: bool
    """Whether the episode is over, for whatever reason."""
    truncated: bool
    info: Mapping[str, Untyped]
    reading: Reading


def read(result: Untyped, spec: Spec) -> StepResult:
    """The values of `step`'s result; UsageError if they fit no reading, or more than one."""
    values: tuple[Untyped, ...] = tuple(result) if isinstance(result, tuple | list) else (result,)
    for strict in (True, False):
        fitting = [reading for reading in READINGS if _fits(reading, values, spec, strict)]
        if len(fitting) == 1:
            break
    else:
        fitting = []
    require(
        bool(fitting),
        f"{spec.name}: step returned ({', '.join(map(_described, values))}), which cannot be read "
        f"as {' or '.join(map(written, READINGS))}; rewards must be numbers and flags booleans, "
        f"one for the team or one for each of its {spec.n_agents} agents, and info a dictionary.",
    )
    named = dict(zip(fitting[0], values, strict=True))
    return StepResult(
        named["reward"],
        bool(np.all(named["terminated"])),
        bool(np.any(named.get("truncated", False))),
        named["info"] or {},
        fitting[0],
    )


def written(reading: Reading) -> str:
    """As in documentation: (reward, terminated, info)."""
    return f"({', '.join(reading)})"


def _fits(reading: Reading, values: tuple[Untyped, ...], spec: Spec, strict: bool) -> bool:
    """Whether each value can be what the reading says. Unless `strict`, rewards may be booleans,
    and flags 0 and 1."""
    return len(reading) == len(values) and all(
        _can_be(what, x, spec, strict) for what, x in zip(reading, values, strict=True)
    )


def _can_be(what: str, x: Untyped, spec: Spec, strict: bool) -> bool:
    if what == "info":
        return x is None or isinstance(x, Mapping)
    kind, size, ndim = _kind_size_ndim(x)
    of_team = size in (1, spec.n_agents)
    if what == "reward":
        return of_team and kind in ("iuf" if strict else "biuf")
    if what == "observations":  # of one number an agent they may look like rewards
        return ndim > 0 and (not of_team or kind == "O" or spec.obs_size == 1)
    is_flag = kind == "b" or (not strict and kind in "iu" and bool(np.isin(x, (0, 1)).all()))
    return of_team and is_flag


def _kind_size_ndim(x: Untyped) -> tuple[str, int, int]:
    """Of an array's dtype, its size and number of axes; those of objects for anything else."""
    if isinstance(x, Mapping):
        return "O", len(x), 1
    try:
        array = np.asarray(x)
    except (TypeError, ValueError):  # rows of different lengths
        return "O", len(x), 1
    return array.dtype.kind, array.size, array.ndim


def _described(x: Untyped) -> str:
    """A number as it is, anything else by its kind."""
    if x is None or isinstance(x, bool | int | float | np.generic):
        return str(x)
    shape = getattr(x, "shape", None)
    if shape is not None:
        return f"array of shape {tuple(shape)}"
    return f"{type(x).__name__} of {len(x)}" if hasattr(x, "__len__") else type(x).__name__
