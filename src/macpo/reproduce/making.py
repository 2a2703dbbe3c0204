"""From a figure's name to its study, its report and a verdict on each of its claims."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from macpo import presets
from macpo.errors import require
from macpo.experiment import Experiment
from macpo.report.contents import Estimate, MethodReport, Report
from macpo.report.tables import NOTHING, Table, estimate, number, write_table
from macpo.report.writing import Written, write_report
from macpo.reproduce.claims import LEVEL, Claim, ClaimResult, Score, judge
from macpo.reproduce.figures import METHODS, EnvName, Plan, score_range, task_settings
from macpo.study.sweep import SweepResult, sweep
from macpo.terminal import say

VERDICTS = "verdicts"
"""The name of the files with the verdicts, in the study's directory."""
CLAIMS = "claims"
"""The name of the files with the same in short."""


class Reproduction(NamedTuple):
    """A figure as far as it has come."""

    sweep: SweepResult | None
    """None if nothing was to be trained."""
    written: Written
    results: tuple[ClaimResult, ...]


def make(
    plan: Plan,
    out: Path,
    *,
    train: bool = True,
    records: Sequence[Path] = (),
    engine: str = "local",
    jobs: int | None = None,
    cores: int | None = None,
    console: Console,
) -> Reproduction:
    """Train what is left of a figure's study, report on it, and judge its claims.

    Without `train`, on what is there; with `records`, on those, whatever they were trained with.
    Raises UsageError as `macpo.sweep` and `write_report` do, and for records that hold a method of
    the figure several times.
    """
    swept = None
    if not records:
        say(console, f"{plan.study.name}: study {plan.study.digest}")
        if train:
            swept = sweep(plan.study, out, engine, jobs=jobs, cores=cores, console=console)
    written = write_report(records or [out], out / "report")
    results = verdicts(plan, written.report)
    write_table(verdict_table(plan, results, records), out / VERDICTS)
    write_table(claim_table(plan, results, records), out / CLAIMS)
    return Reproduction(swept, written, results)


def verdicts(plan: Plan, report: Report) -> tuple[ClaimResult, ...]:
    """Every claim of the figure beside what was measured."""

    def result_of(claim: Claim) -> ClaimResult:
        of_method, of_other = (
            scores_of(report, method, plan.env, claim.task, claim.score)
            for method in (claim.method, claim.other)
        )
        return judge(claim, of_method, of_other, score_range(plan.env))

    return tuple(map(result_of, plan.figure.claims(plan.tasks)))


def scores_of(
    report: Report, method: str, env: EnvName, task: str, score: Score
) -> Mapping[int, float]:
    """The score of each seed of a method on a task.

    A method is known by its name, or else by those of its algorithm and weighting. UsageError if
    the report has several of these.
    """
    wanted = {"name": env, **task_settings(env, task)}
    found = [
        (report.methods[scores.method].label, scores.seeds)
        for of_task in report.tasks
        if all(of_task.settings.get(f"env.{name}") == value for name, value in wanted.items())
        for scores in of_task.scores
        if _is(method, report.methods[scores.method])
    ]
    found = [x for x in found if x[0] == method] or found
    require(
        len(found) < 2,
        f"the records hold {method} on {task} with several settings "
        f"({'; '.join(label for label, _ in found)}); give those of one.",
    )
    return {
        seed.seed: seed.final if score == "final" else seed.area
        for _, seeds in found
        for seed in seeds
    }


def _is(method: str, found: MethodReport) -> bool:
    named = found.settings.get("algorithm.name"), found.settings.get("weighting.name")
    return found.label == method or named == METHODS[method]


def verdict_table(
    plan: Plan, results: tuple[ClaimResult, ...], records: Sequence[Path] = ()
) -> Table:
    """A row for each claim: the paper's difference, ours with its interval, and the verdict."""
    digits = 3 if score_range(plan.env) == 1 else 1
    head = ("claim", "paper", "ours", f"{LEVEL:.0%} interval", "seeds", "verdict")
    rows = [
        (
            str(x.claim),
            NOTHING if x.claim.by is None else number(x.claim.by, digits),
            *estimate(Estimate(x.value, x.low, x.high), digits),
            str(x.n_seeds),
            x.verdict,
        )
        for x in results
    ]
    return Table(
        f"Verdicts: {plan.figure.title if records else plan.study.name}",
        head,
        rows,
        "Ours: the difference of the interquartile means over the seeds that both have, and its "
        "bootstrap interval over pairs of seeds. A claim is supported or contradicted if the whole "
        f"interval says so. {_source(plan, records)}",
    )


def claim_table(
    plan: Plan, results: tuple[ClaimResult, ...], records: Sequence[Path] = ()
) -> Table:
    """A row for each claim about which anything was measured, a column for each task."""
    digits = 3 if score_range(plan.env) == 1 else 1
    rows = dict[str, dict[str, str]]()
    for x in results:
        if x.n_seeds:
            difference = " ".join(estimate(Estimate(x.value, x.low, x.high), digits))
            seeds = f"{x.n_seeds} seed{'s' * (x.n_seeds > 1)}"
            cell = f"{difference.removesuffix(NOTHING).strip()}, {seeds}: {x.verdict}"
            rows.setdefault(x.claim.in_general, {})[x.claim.task] = cell
    return Table(
        plan.figure.title,
        ("claim", *plan.tasks),
        [
            (name, *(cells.get(task, NOTHING) for task in plan.tasks))
            for name, cells in rows.items()
        ],
        "The difference of the interquartile means, its 95 % bootstrap interval over pairs of "
        f"seeds, and the verdict. {_source(plan, records)}",
    )


def _source(plan: Plan, records: Sequence[Path]) -> str:
    if records:
        return f"From {', '.join(map(str, records))}, whatever was trained there."
    return f"Study {plan.study.digest}, {plan.budget} budget."


def table_2() -> Table:
    """The paper's Table 2 beside the preset `paper`."""
    experiment = presets.paper(Experiment())
    run, algorithm = experiment.run, experiment.algorithm
    ours = {
        "Batch size": ("128", run.batch_size),
        "Replay buffer size": ("10000", run.buffer_size),
        "Target network update interval": ("Every 200 episodes", run.target_update_interval),
        "Learning rate": ("0.001", getattr(algorithm, "lr", None)),
        "TD-lambda": ("0.6", getattr(algorithm, "td_lambda", None)),
    }
    rows = [(name, paper, str(value)) for name, (paper, value) in ours.items()]
    return Table("Table 2: hyperparameters", ("hyperparameter", "paper", "--preset paper"), rows)
