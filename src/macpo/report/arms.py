"""Two arms of a study: compared, and trained with further seeds until a test decides.

The further seeds are a study of their own in STUDY/until-decided/ARM vs ARM/, so that no other arm
gets any. Its decision.json says what was fixed before the first look. Pairs of seeds are looked at
in ascending order, and `statistics.decide` keeps its error rate although it is asked after each.
"""

from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from macpo.errors import UsageError, nearest, require, shown
from macpo.field_types import Json
from macpo.report.compare import (
    LEVEL,
    MOST_PAIRS,
    Comparison,
    Plan,
    Side,
    compare,
    decide,
    match,
    read_side,
)
from macpo.report.places import read_study
from macpo.runs.files import is_file, read_json, write_json
from macpo.statistics.sequential import check_plan
from macpo.study.directory import StudyDirectory
from macpo.study.study import PlannedRun, Study
from macpo.study.sweep import SweepResult, sweep
from macpo.terminal import command, make_console, say


class Arms(NamedTuple):
    """Two arms of a study."""

    study: StudyDirectory
    a: str
    b: str

    @property
    def further(self) -> StudyDirectory:
        """The study of their further seeds; it need not exist yet."""
        name = " vs ".join(sorted((self.a, self.b)))
        return StudyDirectory(self.study.path / "until-decided" / name)

    @property
    def plan(self) -> Path:
        """The file of what was fixed before the first look."""
        return self.further.path / "decision.json"


def find_arms(study: Path, a: str, b: str) -> Arms:
    """These arms of a study; UsageError if it has none of these names."""
    directory = StudyDirectory(study)
    known = read_study(study).arms
    for arm in (a, b):
        require(
            arm in known,
            f"{study} has no arm {shown(arm)}; {nearest(arm, known)} Its arms: {', '.join(known)}.",
        )
    require(a != b, f"{shown(a)} is given twice; name two arms.")
    return Arms(directory, a, b)


def arms_at(a: Path, b: Path) -> Arms | None:
    """The arms if the paths are STUDY/runs/ARM and STUDY/runs/OTHER; None if they are not."""
    study = StudyDirectory(a.absolute().parent.parent)
    folders = {path.absolute().parent for path in (a, b)}
    if folders != {study.runs} or not is_file(study.plan):
        return None
    return find_arms(study.path, a.name, b.name)


def compare_arms(arms: Arms, metric: str | None = None) -> Comparison:
    """Compare two arms of a study, by their group-sequential test where one was begun.

    Raises UsageError as `compare` does, and for another metric than that of a test that was begun.
    """
    plan = read_plan(arms)
    if plan is None:
        folder = arms.study.runs
        a, b = (read_side(arm, [folder / arm]) for arm in arms[1:])
        return compare(a, b, metric)
    _require_as_planned(arms, "metric", metric, plan.metric)
    return compare(*_sides(arms, plan.most_pairs), plan=plan)


def until_decided(
    arms: Arms,
    most_pairs: int | None = None,
    metric: str | None = None,
    engine: str = "local",
    *,
    jobs: int | None = None,
    trust: bool = False,
    console: Console | None = None,
) -> Comparison | SweepResult:
    """Train both arms with one more seed at a time until the test decides; then the comparison.

    There are at most `most_pairs` seeds (default: 20), those of the study among them. That number
    and the metric are fixed by the first call. Call it again to go on where it was stopped. A sweep
    that was stopped, or in which a run failed, is returned as it ended.

    Raises UsageError if seeds of the study are not finished or are trained together, for so few
    pairs that no difference could show, for a plan other than that of the first call, and as
    `compare` and `sweep` do.
    """
    console = console or make_console()
    study = arms.study.read(trust=trust)
    require(
        study.seeds_together == 1,
        f"{arms.study.path} trains {study.seeds_together} seeds together, and this test decides "
        "after each seed whether there is a next one.",
    )
    _require_finished(arms, study)
    plan = _fixed_plan(arms, most_pairs, metric)
    while True:
        decision = decide(*_sides(arms, plan.most_pairs), plan)
        if decision.verdict != "undecided":
            return compare_arms(arms)
        further = _next(arms, study, trust=trust)
        say(
            console,
            f"undecided after {decision.n_pairs} of at most {plan.most_pairs} pairs of seeds; "
            f"next: seed {further.seeds[-1]}",
        )
        cores = arms.study.read_cores()  # of the study's own runs
        result = sweep(further, arms.further.path, engine, jobs=jobs, cores=cores, console=console)
        if not result.finished:
            return result


def read_plan(arms: Arms) -> Plan | None:
    """What was fixed before the first look; None if there was none."""
    if not arms.plan.exists():
        return None
    data = read_json(arms.plan, "the plan of a test")
    given: list[Json] = [data.get(name) for name in Plan._fields] if isinstance(data, dict) else []
    if [type(value) for value in given] != [int, str]:
        raise UsageError(
            f"{arms.plan} is damaged: it must hold {' and '.join(Plan._fields)} as they were fixed "
            "before the first look."
        )
    return Plan(*given)


# --- the plan -------------------------------------------------------------------------------------


def _fixed_plan(arms: Arms, most_pairs: int | None, metric: str | None) -> Plan:
    """The plan of the first call, which this may be."""
    plan = read_plan(arms)
    if plan is not None:
        _require_as_planned(arms, "most-seeds", most_pairs, plan.most_pairs)
        _require_as_planned(arms, "metric", metric, plan.metric)
        return plan
    most = MOST_PAIRS if most_pairs is None else most_pairs
    a, b = _sides(arms, most + 1)
    ((_, chosen, scores, _), *_), _ = match(a, b, metric)
    plan = Plan(most, chosen)
    check_plan(len(scores), most, LEVEL)
    arms.further.make()
    write_json(arms.plan, plan._asdict())
    return plan


def _require_as_planned(arms: Arms, flag: str, given: object, planned: object) -> None:
    require(
        given in (None, planned),
        f"--{flag} was fixed at {planned} before the first look, and a test whose plan changes "
        f"says nothing; leave out --{flag} {given}. ({arms.plan})",
    )


def _require_finished(arms: Arms, study: Study) -> None:
    finished = _finished(arms.study)
    left = [
        f"{arm}, seed {seed}"
        for seed in study.seeds
        for arm in (arms.a, arms.b)
        if PlannedRun(arm, seed) not in finished
    ]
    require(
        not left,
        f"these runs of {arms.study.path} are not finished: {'; '.join(left)}. Finish the study "
        f"first: `{command('macpo', 'sweep', arms.study.path)}`.",
    )


# --- runs -----------------------------------------------------------------------------------------


def _finished(directory: StudyDirectory) -> set[PlannedRun]:
    outcomes = directory.read_outcomes().items()
    return {run for run, outcome in outcomes if outcome.status == "finished"}


def _sides(arms: Arms, most_pairs: int) -> tuple[Side, Side]:
    """The pairs that both have finished, at most so many, in ascending order of seeds."""
    directories: dict[PlannedRun, Path] = {}
    for directory in (arms.study, arms.further):  # what was looked at stays: the latter counts
        directories |= {run: directory.run(run).path for run in _finished(directory)}
    seeds = sorted({run.seed for run in directories})
    pairs = [s for s in seeds if {PlannedRun(arm, s) for arm in arms[1:]} <= directories.keys()]
    require(bool(pairs), f"{arms.a} and {arms.b} have no finished seed in common.")
    a, b = (
        read_side(arm, [directories[PlannedRun(arm, seed)] for seed in pairs[:most_pairs]])
        for arm in arms[1:]
    )
    for side in (a, b):  # to leave one out would be a choice that may depend on its score
        require(not side.runs.notes, f"a test needs every seed. {' '.join(side.runs.notes)}")
    return a, b


def _next(arms: Arms, study: Study, *, trust: bool) -> Study:
    """The study of further seeds with what it lacks: what was begun, or else one more seed."""
    seeds = [*arms.further.read(trust=trust).seeds] if arms.further.plan.exists() else []
    pair = {arm: study.arms[arm] for arm in sorted(arms[1:])}
    if {PlannedRun(arm, seed) for seed in seeds for arm in pair} <= _finished(arms.further):
        seeds.append(max((*study.seeds, *seeds)) + 1)
    return Study(f"{study.name}: {arms.further.path.name}", pair, seeds)
