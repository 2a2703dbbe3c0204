"""What a report holds: every number that it shows, for its page, tables and figures.

Drawing needs no more, so JAX is not imported here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from macpo.field_types import Settings
from macpo.report.labels import unit_of
from macpo.report.seeds import Curve

if TYPE_CHECKING:
    from macpo.report.microscope import RecordedReplay

FORMAT = "macpo report 1"
"""By which a report's data.json is known."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval; NaN where it is not known."""

    value: float
    low: float = np.nan
    high: float = np.nan


@dataclass(frozen=True)
class Band:
    """A method's interquartile mean over its seeds; the interval is empty for few seeds."""

    env_steps: Float[np.ndarray, " T"]
    middle: Float[np.ndarray, " T"]
    low: Float[np.ndarray, " T"] | None
    high: Float[np.ndarray, " T"] | None


@dataclass(frozen=True)
class Seed:
    """A trained seed in numbers."""

    seed: int
    directory: str
    env_steps: int
    updates: int
    wall_s: float
    made_by: str
    repeat: str
    """The command that repeats its run; a dash if it was imported."""
    final: float
    """Mean of the last evaluations."""
    area: float
    """Area under the curve, divided by its env steps: the mean height of the curve."""
    absolute: float
    """The absolute metric (`macpo.runs.best`); NaN if the run has none."""
    curve: Curve


@dataclass(frozen=True)
class Scores:
    """A method on a task."""

    method: int
    """Its index in the report."""
    seeds: tuple[Seed, ...]
    band: Band
    final: Estimate
    area: Estimate
    absolute: Estimate
    """NaN unless every seed has an absolute metric."""
    better: tuple[float, ...]
    """Probability that a seed's final score is above one of each method's of the task."""
    better_than_first: Estimate
    """The same against the task's first method."""
    profile: Float[np.ndarray, " K"]
    """Share of seeds whose final score is above each threshold."""


@dataclass(frozen=True)
class Line:
    """A training metric of one seed."""

    seed: int
    values: Float[np.ndarray, " T"]


@dataclass(frozen=True)
class Lines:
    """A training metric of a method: of each seed if they are few, else IQM and range."""

    method: int
    env_steps: Float[np.ndarray, " T"]
    seeds: tuple[Line, ...]
    band: Band | None


@dataclass(frozen=True)
class Diagnostic:
    """A training metric of all methods."""

    metric: str
    methods: tuple[Lines, ...]


@dataclass(frozen=True)
class TaskReport:
    """Everything about one task."""

    title: str
    settings: Settings
    metric: str
    axis: str
    digits: int
    range: tuple[float, float] | None
    """Of the picture of the curves; None for all that there is."""
    outside: int
    """How many values it leaves out."""
    thresholds: Float[np.ndarray, " K"]
    scores: tuple[Scores, ...]
    diagnostics: tuple[Diagnostic, ...]
    constant: Mapping[str, float]
    """Training metrics that had one value in all seeds, all the time."""

    @property
    def unit(self) -> str:
        """Over what its curves are drawn, in words."""
        return unit_of(self.settings)

    @property
    def lacks_absolute(self) -> int:
        """How many seeds have no absolute metric."""
        seeds = [seed for scores in self.scores for seed in scores.seeds]
        return sum(not np.isfinite(seed.absolute) for seed in seeds)

    @property
    def has_absolute(self) -> bool:
        """Whether any seed has an absolute metric."""
        return self.lacks_absolute < sum(len(scores.seeds) for scores in self.scores)

    @property
    def is_evaluated(self) -> bool:
        """Whether any seed has a value of the metric."""
        return any(len(seed.curve.values) for scores in self.scores for seed in scores.seeds)


@dataclass(frozen=True)
class Overall:
    """A method on all tasks together."""

    method: int
    final: Estimate
    """Only of battles won, which mean the same on every task."""
    better_than_first: Estimate
    """Probability of improvement over the first of these methods, mean over tasks."""


@dataclass(frozen=True)
class MethodReport:
    """What a method is."""

    label: str
    settings: Settings


@dataclass(frozen=True)
class Report:
    """Every number of a report; what is written to data.json."""

    format: str
    macpo: str
    """The version that made it."""
    made: str
    """When, in UTC."""
    methods: tuple[MethodReport, ...]
    differences: tuple[str, ...]
    """The names of the settings that are not the same in all methods."""
    tasks: tuple[TaskReport, ...]
    overall: tuple[Overall, ...]
    """Of the methods that have been evaluated on every one of several tasks."""
    notes: tuple[str, ...]
    """Sentences about what was left out, and what should be known before comparing."""
    replays: "tuple[RecordedReplay, ...]" = ()
    """What runs with --record-weights have recorded."""
