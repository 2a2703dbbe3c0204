"""The commands that look after results: list, report, export, clean."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

import macpo
from macpo.bounds import NonNegativeInt
from macpo.cli import COMMANDS
from macpo.cli.experiments import trusted
from macpo.cli.flags import Best, Trust, parse
from macpo.errors import require
from macpo.terminal import say, stdout_console

if TYPE_CHECKING:
    from macpo.report.writing import Written

_console = stdout_console()


@dataclass(frozen=True)
class _Report:
    paths: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PATH…")]
    """Run directories, studies, or folders that hold any, at any depth; results of sacred, wandb
    and marl-eval."""
    out: Path | None = None
    """Directory of the report; default: report/ in a single study, else one in reports/."""
    metric: str | None = None
    """Metric of evaluations to report; default: test_battle_won_mean where battles are fought,
    else test_return_mean."""
    films: NonNegativeInt = 1
    """Films of episodes to show of each method on each task."""
    watch: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Write the report again whenever records change, until Ctrl-C; the open page follows."""


def report(arguments: list[str]) -> None:
    """`macpo report`."""
    from macpo.report.writing import Written, watch, write_report

    flags: _Report = parse(_Report, arguments, "macpo report", COMMANDS["report"].summary)
    if flags.watch:
        for event in watch(flags.paths, flags.out, metric=flags.metric, films=flags.films):
            said = f"report: {event.files.page}" if isinstance(event, Written) else str(event)
            say(_console, said)
        return
    written = write_report(flags.paths, flags.out, metric=flags.metric, films=flags.films)
    show_report(written)


def show_report(written: "Written") -> None:
    """A report's tables of scores, what is odd about it, and where it is."""
    from macpo.report.collection import first_of
    from macpo.report.tables import overall_table, print_table, scores_table

    files, report = written
    for task in report.tasks:
        print_table(_console, scores_table(report, task))
    if report.overall:
        print_table(_console, overall_table(report))
    for note in first_of(report.notes, 10):  # the page has them all
        say(_console, note, "yellow")
    say(_console, f"report: {files.page}")


@dataclass(frozen=True)
class _Runs:
    folder: Annotated[Path, tyro.conf.Positional] = Path("runs")
    """A folder that holds runs at any depth: runs, a study, or several of either."""


def runs(arguments: list[str]) -> None:
    """`macpo runs`."""
    from macpo.report.listing import list_runs, runs_table
    from macpo.report.tables import print_table

    flags: _Runs = parse(_Runs, arguments, "macpo runs", COMMANDS["runs"].summary)
    found, notes = list_runs(flags.folder)
    table = runs_table(found, f"Runs in {flags.folder}")
    print_table(_console, table, max_name=_console.width // 2)  # names are there to be copied
    for note in notes:
        say(_console, note, "yellow")


@dataclass(frozen=True)
class _Clean:
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN…")]
    """Run directories. Only files in their checkpoints/ are deleted: what a run has recorded, its
    parameters and pictures stay, and it can be evaluated, filmed and reported on as before. It can
    not be extended any more."""
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Only show what would be freed."""
    force: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Drop the checkpoints of a run that is not finished as well: what it has learned beyond its
    parameters is lost, and it can not be continued."""


def clean(arguments: list[str]) -> None:
    """`macpo clean`."""
    from macpo.runs import cleaning

    flags: _Clean = parse(_Clean, arguments, "macpo clean", COMMANDS["clean"].summary)
    require(bool(flags.runs), "macpo clean needs at least one run directory.")
    runs = {os.path.realpath(run): run for run in flags.runs}.values()  # each once
    for run in runs:  # a run that is refused leaves all as they are
        cleaning.to_free(run, force=flags.force)
    drop = cleaning.to_free if flags.dry_run else cleaning.clean
    total = 0
    for run in runs:
        freed = drop(run, force=flags.force)
        total += freed.n_bytes
        files = f"{freed.n_files} checkpoint{'s' * (freed.n_files != 1)}"
        say(_console, f"{run}: {files}, {freed.n_bytes / 1e6:,.1f} MB")
    what = "would be freed; the runs could" if flags.dry_run else "freed; the runs can"
    say(_console, f"{total / 1e6:,.1f} MB {what} not be extended any more")


@dataclass(frozen=True)
class _Export:
    paths: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PATH…")]
    """As for `macpo report`; with --to, one run directory."""
    marl_eval: Path | None = None
    """File to write all results to, in marl-eval's JSON."""
    to: Literal["numpy", "torch"] | None = None
    """Write the run's policy as one Python file that acts with this library alone."""
    out: Path | None = None
    """With --to: the file; default: policy_numpy.py or policy_torch.py in the run directory."""
    seed: NonNegativeInt | None = None
    """With --to: the trained seed; default: the run's first."""
    best: Best = False
    trust: Trust = False


def export(arguments: list[str]) -> None:
    """`macpo export`."""
    flags: _Export = parse(_Export, arguments, "macpo export", COMMANDS["export"].summary)
    require(
        (flags.marl_eval is None) != (flags.to is None),
        "macpo export writes either results (--marl-eval FILE) or a run's policy (--to numpy or "
        "--to torch); say which.",
    )
    if flags.marl_eval is not None:
        _export_results(flags.paths, flags.marl_eval)
    else:
        _export_policy(flags)


def _export_results(paths: Sequence[Path], file: Path) -> None:
    from macpo.report.collection import collect
    from macpo.report.export import write_marl_eval

    collection = collect(paths)
    for note in (*collection.notes, *write_marl_eval(collection, file)):
        say(_console, note, "yellow")
    say(_console, f"marl-eval: {file}")


def _export_policy(flags: _Export) -> None:
    from macpo.runs.standalone import write_policy

    require(len(flags.paths) == 1, f"--to takes one run directory, not {len(flags.paths)} paths.")
    assert flags.to is not None
    (directory,) = flags.paths
    file = flags.out or directory / f"policy_{flags.to}.py"
    which = "best" if flags.best else "last"
    policy = macpo.load(directory, flags.seed, which=which, trust=trusted(flags.trust))
    write_policy(policy, file, flags.to)
    say(_console, f"{policy}: {file}")
