"""What a search may choose: values and ranges of flags of `macpo train`.

--algorithm.lr 1e-4..1e-2 --algorithm.td-lambda 0 0.3 0.6
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from macpo.errors import require, shown
from macpo.study.grid import Arm, flag_groups

LOG_FROM = 10.0
"""A range whose ends have at least this ratio is searched on a logarithmic scale."""
_RANGE = re.compile(r"(?P<low>[^.]+(?:\.\d+)?)\.\.(?P<high>.+)")

Value: TypeAlias = str | int | float


class Range(NamedTuple):
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float
    is_whole: bool

    @property
    def is_log(self) -> bool:
        """Whether it is searched on a logarithmic scale."""
        return self.low > 0 and self.high / self.low >= LOG_FROM


class Space(NamedTuple):
    """The flags that a search varies, and what every trial has besides."""

    dimensions: Mapping[str, tuple[str, ...] | Range]
    """By flag: values to choose from, or a range."""
    fixed: tuple[str, ...]

    def arguments(self, chosen: Mapping[str, Value]) -> list[str]:
        """The flags of a trial with these values."""
        varied = [word for flag, value in chosen.items() for word in (flag, str(value))]
        return [*self.fixed, *varied]


def read_space(arguments: Sequence[str]) -> Space:
    """What these flags leave to a search; UsageError if that is nothing, or a range is none.

    >>> read_space("--algorithm.lr 1e-4..1e-2 --weighting per macpo --steps 100".split())
    Space(dimensions={'--algorithm.lr': Range(low=0.0001, high=0.01, is_whole=False),
    '--weighting': ('per', 'macpo')}, fixed=('--steps', '100'))
    """
    dimensions: dict[str, tuple[str, ...] | Range] = {}
    fixed: list[str] = []
    for flag, *values in flag_groups(arguments):
        found = _range(values[0]) if len(values) == 1 else None
        if found is None and len(values) < 2:
            fixed += [flag, *values]
            continue
        require(flag not in dimensions, f"{flag} is given twice; a search varies it once.")
        dimensions[flag] = found or tuple(values)
    require(
        bool(dimensions),
        "a search needs flags to vary: several values, or a range such as 1e-4..1e-2.",
    )
    return Space(dimensions, tuple(fixed))


def random_arms(space: Space, n_trials: int, seed: int = 0) -> list[Arm]:
    """Trials drawn at random, each independently; the same for the same seed."""
    rng = np.random.default_rng(seed)
    trials = [
        {flag: _drawn(rng, dimension) for flag, dimension in space.dimensions.items()}
        for _ in range(n_trials)
    ]
    return [Arm(trial_name(i), space.arguments(trial)) for i, trial in enumerate(trials)]


def trial_name(number: int) -> str:
    """What a study calls a trial.

    >>> trial_name(7)
    'trial 7'
    """
    return f"trial {number}"


def _drawn(rng: np.random.Generator, dimension: tuple[str, ...] | Range) -> Value:
    if not isinstance(dimension, Range):
        return dimension[rng.integers(len(dimension))]
    low, high, is_whole = dimension
    if is_whole and not dimension.is_log:
        return int(rng.integers(int(low), int(high), endpoint=True))
    ends = np.log([low, high]) if dimension.is_log else np.array([low, high])
    value = float(rng.uniform(*ends))
    value = float(np.clip(np.exp(value), low, high)) if dimension.is_log else value
    return round(value) if is_whole else float(f"{value:.6g}")


def _range(word: str) -> Range | None:
    match = _RANGE.fullmatch(word)
    if match is None:
        return None
    try:
        low, high = float(match["low"]), float(match["high"])
    except ValueError:
        return None
    require(
        -np.inf < low < high < np.inf,
        f"the range {shown(word)} must go from a number to a larger one.",
    )
    is_whole = all(re.fullmatch(r"-?\d+", match[end]) for end in ("low", "high"))
    return Range(low, high, is_whole)
