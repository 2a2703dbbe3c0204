"""From a figure's name to its study, its report and a verdict on each of its claims."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from macpo import presets
from macpo.experiment import Experiment
from macpo.report.summary import Estimate, Report
from macpo.report.tables import NOTHING, Table, estimate, number, write_table
from macpo.report.writing import Written, write_report
from macpo.reproduce.claims import LEVEL, Claim, Judged, Score, judge
from macpo.reproduce.figures import Plan, arm_name, score_range
from macpo.study.sweep import SweepResult, sweep
from macpo.terminal import say

VERDICTS = "verdicts"
"""The name of the files with the verdicts, in the study's directory."""


class Made(NamedTuple):
    """A figure as far as it has come."""

    sweep: SweepResult | None
    """None if nothing was to be trained."""
    written: Written
    judged: tuple[Judged, ...]


def make(
    plan: Plan,
    out: Path,
    *,
    train: bool = True,
    engine: str = "local",
    jobs: int | None = None,
    cores: int | None = None,
    console: Console,
) -> Made:
    """Train what is left of a figure's study, report on it, and judge its claims.

    Without `train`, on what is there. Raises UsageError as `macpo.sweep` and `write_report` do.
    """
    say(console, f"{plan.study.name}: study {plan.study.digest}")
    result = None
    if train:
        result = sweep(plan.study, out, engine, jobs=jobs, cores=cores, console=console)
    written = write_report([out], out / "report")
    judged = verdicts(plan, written.report)
    write_table(verdict_table(plan, judged), out / VERDICTS)
    return Made(result, written, judged)


def verdicts(plan: Plan, report: Report) -> tuple[Judged, ...]:
    """Every claim of the figure beside what was measured."""

    def judged(claim: Claim) -> Judged:
        of_method, of_other = (
            scores_of(report, arm_name(method, claim.task), claim.score)
            for method in (claim.method, claim.other)
        )
        return judge(claim, of_method, of_other, score_range(plan.env))

    return tuple(map(judged, plan.figure.claims(plan.tasks)))


def scores_of(report: Report, arm: str, score: Score) -> Mapping[int, float]:
    """A study's arm: the score of each of its seeds."""
    return {
        seed.seed: seed.final if score == "final" else seed.area
        for task in report.tasks
        for scores in task.scores
        for seed in scores.seeds
        if Path(seed.directory).parent.name == arm
    }


def verdict_table(plan: Plan, judged: tuple[Judged, ...]) -> Table:
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
        for x in judged
    ]
    return Table(
        f"Verdicts: {plan.study.name}",
        head,
        rows,
        "Ours: the difference of the interquartile means over the seeds that both have, and its "
        "bootstrap interval over pairs of seeds. A claim is supported or contradicted if the whole "
        f"interval says so. Study {plan.study.digest}, {plan.budget} budget.",
    )


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
