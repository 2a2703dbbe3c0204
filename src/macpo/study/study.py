"""A study: experiments under names of their own, its arms, all trained with the same seeds."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from macpo.bounds import MAX_INT
from macpo.errors import UsageError, require, shown
from macpo.experiment import (
    Experiment,
    difference,
    from_dict,
    identity,
    needs_trust,
    to_dict,
)
from macpo.field_types import JsonObject, Settings

MAX_NAME = 100
"""Letters of an arm's name, which is a directory's too; file systems allow 255."""
MAX_SEEDS = 10_000
_NAME = re.compile(r"\w[\w .=+-]*", re.ASCII)


class PlannedRun(NamedTuple):
    """One seed of one arm, or several seeds that one program trains."""

    arm: str
    seed: int
    """The first, if there are several."""
    n_seeds: int = 1

    @property
    def last_seed(self) -> int:
        """The last, if there are several."""
        return self.seed + self.n_seeds - 1

    @property
    def title(self) -> str:
        """Its arm and seeds, in words."""
        several = f"seeds {self.seed} to {self.last_seed}"
        return f"{self.arm}, {several if self.n_seeds > 1 else f'seed {self.seed}'}"


@dataclass(frozen=True, init=False)
class Study:
    """Experiments to compare: each arm is trained with every seed, a run for each.

    An arm's name is a directory's: letters, digits and `. = + - _`. `seeds` is how many, from 0 on,
    or which; a run trains `seeds_together` of them in one program, on an accelerator much faster
    than one after the other. Raises UsageError for names that a file system does not keep apart,
    for arms that have seeds of their own, and for seeds that cannot be grouped so.

    >>> from macpo import Experiment, Study
    >>> arms = {name: Experiment(weighting=name) for name in ("macpo", "uniform")}
    >>> [(run.arm, run.seed) for run in Study("weights", arms, seeds=2).runs()]
    [('macpo', 0), ('uniform', 0), ('macpo', 1), ('uniform', 1)]
    """

    name: str
    arms: Mapping[str, Experiment]
    seeds: tuple[int, ...]
    seeds_together: int

    def __init__(
        self,
        name: str,
        arms: Mapping[str, Experiment],
        seeds: int | Iterable[int] = 5,
        seeds_together: int = 1,
    ) -> None:
        require(bool(name.strip()), "a study needs a name; it stands at the head of its report.")
        require(bool(arms), "a study needs at least one arm: {name: Experiment(…)}.")
        for arm, experiment in arms.items():
            _check_arm(arm, experiment)
        folded = [arm.casefold() for arm in arms]
        require(
            len({*folded}) == len(folded),
            "two arms have names that differ in capital letters alone, which not every file system "
            f"keeps apart: {', '.join(arms)}.",
        )
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "arms", dict(arms))
        object.__setattr__(self, "seeds", _seeds(seeds))
        object.__setattr__(self, "seeds_together", seeds_together)
        _check_groups(self.seeds, seeds_together)

    def runs(self) -> list[PlannedRun]:
        """Every run: all arms with the first seed, all with the second, and so on.

        A study that is stopped half-way can then be compared as far as it has come.
        """
        n = self.seeds_together
        return [PlannedRun(arm, seed, n) for seed in self.seeds[::n] for arm in self.arms]

    def experiment(self, run: PlannedRun) -> Experiment:
        """What one run trains."""
        experiment = self.arms[run.arm]
        return replace(experiment, run=replace(experiment.run, seed=run.seed, seeds=run.n_seeds))

    def length(self, run: PlannedRun) -> int:
        """What one run counts to its end, in `unit`, of all its seeds."""
        return self.arms[run.arm].run.end * run.n_seeds

    @property
    def unit(self) -> str:
        """In words, what is counted to the end of its runs."""
        return " and ".join(sorted({experiment.run.unit for experiment in self.arms.values()}))

    @property
    def needs_trust(self) -> bool:
        """Whether the study's file names code that is not registered."""
        return any(map(needs_trust, self.arms.values()))

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that name what is studied: all arms and seeds."""
        arms = {name: identity(experiment) for name, experiment in self.arms.items()}
        data = {"name": "", "seeds": [*self.seeds], "arms": arms}
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]


def to_data(study: Study) -> JsonObject:
    """Plain data, as in study.json."""
    arms = {name: to_dict(experiment) for name, experiment in study.arms.items()}
    n = study.seeds_together
    return {"name": study.name, "seeds": [*study.seeds], "seeds_together": n, "arms": arms}


def from_data(data: Settings, *, trust: bool = False) -> Study:
    """The inverse of `to_data`; `trust` as in `macpo.experiment.from_dict`."""
    name, seeds, arms = (data.get(key) for key in ("name", "seeds", "arms"))
    if not (isinstance(name, str) and isinstance(seeds, list) and isinstance(arms, dict)):
        raise UsageError("a study needs a name, a list of seeds and arms by name.")
    experiments = dict[str, Experiment]()
    for arm, experiment in arms.items():
        try:
            experiments[arm] = from_dict(experiment, trust=trust)
        except UsageError as error:
            raise UsageError(f"arm {shown(arm)}: {error}") from error
    return Study(name, experiments, seeds, data.get("seeds_together", 1))


def require_extension(new: Study, old: Study) -> None:
    """UsageError unless `new` has every arm and seed of `old` as it is; it may have more."""
    n_new, n_old = new.seeds_together, old.seeds_together
    require(n_new == n_old, f"it was begun with --seeds-together {n_old}, not {n_new}.")
    for arm, experiment in old.arms.items():
        require(arm in new.arms, f"the arm {shown(arm)} is missing; {_ADVICE}")
        changed = difference(to_dict(experiment), to_dict(new.arms[arm]))
        require(not changed, f"the arm {shown(arm)} has changed ({'; '.join(changed)}); {_ADVICE}")
    missing = [seed for seed in old.seeds if seed not in new.seeds]
    require(not missing, f"the seeds {', '.join(map(str, missing))} are missing; {_ADVICE}")
    require(
        {*old.runs()} <= {*new.runs()},
        f"its seeds {shown([*old.seeds])}, {n_old} together, would be grouped otherwise; {_ADVICE}",
    )


_ADVICE = (
    "arms and seeds can be added to a study, but what it has begun stays. Choose another --out."
)


def _check_arm(name: str, experiment: object) -> None:
    require(
        bool(_NAME.fullmatch(name)) and len(name) <= MAX_NAME and not name.endswith("."),
        f"{shown(name)} cannot be an arm's name, since it names a directory: use up to {MAX_NAME} "
        "letters, digits, spaces and . = + - _, a letter or digit first.",
    )
    if not isinstance(experiment, Experiment):
        raise UsageError(f"the arm {name} must be an Experiment(…), not {shown(experiment)}.")
    run = experiment.run
    require(
        (run.seed, run.seeds) == (0, 1),
        f"the arm {name} has seeds of its own (seed {run.seed}, seeds {run.seeds}); all arms of a "
        "study have the same: Study(…, seeds=…).",
    )


def _seeds(given: int | Iterable[object]) -> tuple[int, ...]:
    seeds: Sequence[object] = range(given) if isinstance(given, int) else [*given]
    n = len(seeds)
    require(1 <= n <= MAX_SEEDS, f"a study has 1 to {MAX_SEEDS:,} seeds, not {n:,}.")
    checked = tuple(map(_seed, seeds))
    require(len({*checked}) == n, f"a seed is given twice: {shown([*checked])}.")
    return checked


def _check_groups(seeds: Sequence[int], n: object) -> None:
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise UsageError(f"seeds_together must be a whole number, 1 or more, not {shown(n)}.")
    groups = [seeds[i : i + n] for i in range(0, len(seeds), n)]
    require(
        all([*group] == [*range(group[0], group[0] + n)] for group in groups),
        f"{n} seeds together must be {n} numbers in a row, and the seeds a multiple of {n}; they "
        f"are {shown([*seeds])}.",
    )


def _seed(given: object) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= MAX_INT:
        raise UsageError(
            f"a seed must be a whole number from 0 to {MAX_INT:,}, not {shown(given)}."
        )
    return given
