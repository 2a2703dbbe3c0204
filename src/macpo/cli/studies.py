"""The commands that carry out studies: sweeps, figures of the paper, comparisons."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

import macpo
from macpo import registry
from macpo.bounds import PositiveInt
from macpo.cli import COMMANDS
from macpo.cli.experiments import import_from_current_folder, parse_experiment, trusted
from macpo.cli.flags import Trust, parse
from macpo.cli.results import show_report
from macpo.errors import UsageError, needed, require, shortened, shown
from macpo.experiment import Experiment
from macpo.field_types import Dataclass
from macpo.machine import available_cores
from macpo.reproduce.figures import BudgetName, EnvName
from macpo.runs.files import write_atomically
from macpo.study import grid
from macpo.study.directory import StudyDirectory
from macpo.study.file import StudyFile
from macpo.study.file import read as read_study
from macpo.terminal import say, stdout_console

_console = stdout_console()


@dataclass(frozen=True)
class _NoFlags:
    """Nothing besides the experiment."""


@dataclass(frozen=True)
class _Sweep:
    study: Annotated[str | None, tyro.conf.Positional] = None
    """A study's directory to go on with, a file of TOML (docs/studies.md), or module:name of a
    macpo.Study; without it, the flags describe the arms."""
    name: str | None = None
    """What the report is headed; default: the name in the file, or of --out."""
    seeds: PositiveInt | None = None
    """How many seeds each arm is trained with; default: 5."""
    seeds_together: PositiveInt | None = None
    """Train so many seeds of an arm in one program, on an accelerator much faster than one after
    the other; default: what the study's file says, or 1."""
    out: str | None = None
    """The study's directory; default: studies/NAME."""
    engine: str = "local"
    """Where the runs are carried out: local, ray or slurm."""
    jobs: PositiveInt | None = None
    """Runs at a time on this machine; default: what is fastest, measured."""
    cores: PositiveInt | None = None
    """Cores of each run; default: what is fastest, measured; on a cluster, 1."""
    search: Literal["random", "optuna"] | None = None
    """Look for good values instead of training every combination; a flag may then have a range
    such as 1e-4..1e-2."""
    trials: PositiveInt = 30
    """Combinations that a search tries."""
    trust: Trust = False


def sweep(arguments: list[str]) -> int | None:
    """`macpo sweep`: the exit status."""
    from macpo.report.writing import write_report

    own, rest = _own_flags(arguments, _Sweep)
    flags: _Sweep = parse(_Sweep, own, "macpo sweep", _sweep_help())
    result = _search(flags, rest) if flags.search else _carry_out(flags, *_study(flags, rest))
    try:
        show_report(write_report([result.directory]))
    except UsageError as error:  # nothing to show yet is no failure of the sweep
        say(_console, f"no report: {error}", "yellow")
    return _status_of(result)


def _carry_out(flags: _Sweep, study: macpo.Study, out: str | Path | None) -> macpo.SweepResult:
    return macpo.sweep(
        study, out, flags.engine, jobs=flags.jobs, cores=flags.cores, console=_console
    )


def _search(flags: _Sweep, rest: list[str]) -> macpo.SweepResult:
    """Carry out a search, and show its best trials."""
    from macpo.search.best import print_best, ranked, score_of
    from macpo.search.space import random_arms, read_space

    require(flags.study is None, "a search is described by flags; leave out the study.")
    name = flags.name or (Path(flags.out).name if flags.out else f"{flags.search} search")
    out, space = Path(flags.out or f"studies/{name}"), read_space(rest)
    seeds, together = range(flags.seeds or 1), flags.seeds_together or 1
    if flags.search == "random":
        arms = random_arms(space, flags.trials)
        study = macpo.Study(name, experiments_of(arms, flags.trust), seeds, together)
        result = _carry_out(flags, study, out)
    else:
        with needed("--search optuna", "Optuna", "optuna"):
            from macpo.search.optuna import search
        result, arms = search(
            name,
            space,
            flags.trials,
            max((flags.jobs or available_cores()) // max(len(seeds) // together, 1), 1),
            seeds,
            together,
            out,
            experiment_of=lambda words: experiments_of([grid.Arm("", words)], flags.trust)[""],
            sweep=lambda study: _carry_out(flags, study, out),
            score_of=score_of,
        )
    print_best(_console, space, ranked(result.directory, arms))
    return result


def experiments_of(arms: Sequence[grid.Arm], trust: bool) -> dict[str, Experiment]:
    """The experiment of each arm, by its name."""
    return {
        arm.name: parse_experiment(
            arm.arguments, _NoFlags, "macpo sweep", _sweep_help(), trust=trust
        )[0]
        for arm in arms
    }


def _sweep_help() -> str:
    return "\n\n".join(
        [
            COMMANDS["sweep"].summary,
            "The flags of `macpo train` that describe an experiment describe the arms (see its "
            "--help), and each may have several values: every combination of them is an arm. "
            "Trackers and --record-weights belong to single runs of `macpo train`.",
            "For example: macpo sweep --env.punishment 0 -2 --weighting macpo uniform "
            "--algorithm qmix --seeds 5 --out studies/mine",
        ]
    )


def _own_flags(arguments: list[str], what: type[Dataclass]) -> tuple[list[str], list[str]]:
    """(a command's own arguments, the flags of `train` among them with all their values)."""
    names = {f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(what)}
    names |= {"-h", "--help"}
    own: list[str] = []
    rest: list[str] = []
    current = own  # what comes before all flags is the command's own
    for word in arguments:
        if word.startswith("--") or word == "-h":
            current = own if word.partition("=")[0].replace("_", "-") in names else rest
        current.append(word)
    return own, rest


def _study(flags: _Sweep, rest: list[str]) -> tuple[macpo.Study, str | Path | None]:
    """The study that is asked for, and its directory if that is not to be called after it."""
    given = flags.study
    if given is not None and Path(given).is_dir():
        require(not rest, f"{given} has its flags in its plan; only --seeds and --jobs go with it.")
        old = StudyDirectory(given).read(trust=trusted(flags.trust))
        return _with_flags(old, flags), given
    if given is not None and registry.is_import_path(given) and not Path(given).exists():
        import_from_current_folder()
        found = registry.import_object(given, "study", "module:name")
        require(isinstance(found, macpo.Study), f"{shown(given)} is no macpo.Study(…).")
        return _with_flags(found, flags), flags.out
    name = flags.name or (Path(flags.out).name if flags.out else "study")
    if given is None:
        planned = StudyFile(name, None, 1, grid.arms(rest))
    else:
        planned = read_study(Path(given))
        words = shortened(" ".join(rest))
        require(not rest, f"the arms are in {given}; {words} belongs there too.")
    arms = experiments_of(planned.arms, flags.trust)
    seeds = flags.seeds or (5 if planned.seeds is None else planned.seeds)
    together = flags.seeds_together or planned.seeds_together
    return macpo.Study(flags.name or planned.name, arms, seeds, together), flags.out


def _with_flags(study: macpo.Study, flags: _Sweep) -> macpo.Study:
    """A study with the name and seeds that the command line gives it instead of its own."""
    given = {"name": flags.name, "seeds": flags.seeds, "seeds_together": flags.seeds_together}
    return dataclasses.replace(study, **{key: x for key, x in given.items() if x is not None})


@dataclass(frozen=True)
class _Reproduce:
    figure: Annotated[str, tyro.conf.Positional]
    """One of fig1, fig2, fig3, fig4, table2."""
    budget: BudgetName = "laptop"
    """How many env steps and seeds; nothing else depends on it. `paper`: as in the paper."""
    env: EnvName | None = None
    """Where the figure is made; default: the paper's environment, StarCraft as the model in JAX."""
    tasks: tuple[str, ...] = ()
    """Some of the figure's maps or punishments, such as punishment=-2; default: all."""
    seeds: PositiveInt | None = None
    """Seeds of each method, in place of the budget's."""
    seeds_together: PositiveInt = 1
    """Train so many seeds of a method in one program, on an accelerator much faster than one after
    the other."""
    out: str | None = None
    """The study's directory; default: studies/FIGURE-BUDGET."""
    engine: str = "local"
    """Where the runs are carried out: local, ray or slurm."""
    jobs: PositiveInt | None = None
    """Runs at a time on this machine; default: what is fastest, measured."""
    cores: PositiveInt | None = None
    """Cores of each run; default: what is fastest, measured; on a cluster, 1."""
    judge_only: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Train nothing: report on what is there."""
    records: tuple[str, ...] = ()
    """Train nothing, and judge the claims on these runs, studies or records of other programs,
    whatever they were trained with (docs/reports.md)."""


def reproduce(arguments: list[str]) -> int | None:
    """`macpo reproduce`: the exit status."""
    from macpo.report.tables import print_table
    from macpo.reproduce import making
    from macpo.reproduce.figures import plan

    flags: _Reproduce = parse(
        _Reproduce, arguments, "macpo reproduce", COMMANDS["reproduce"].summary
    )
    if flags.figure == "table2":
        print_table(_console, making.table_2())
        return None
    planned = plan(
        flags.figure, flags.budget, flags.env, flags.tasks, flags.seeds, flags.seeds_together
    )
    records = [*map(Path, flags.records)]
    made = making.make(
        planned,
        Path(flags.out or f"studies/{flags.figure}-{flags.budget}"),
        train=not flags.judge_only,
        records=records,
        engine=flags.engine,
        jobs=flags.jobs,
        cores=flags.cores,
        console=_console,
    )
    show_report(made.written)
    print_table(_console, making.verdict_table(planned, made.results, records))
    return _status_of(made.sweep)


def _status_of(result: macpo.SweepResult | None) -> int | None:
    """The exit status of a command that has carried out a study, or nothing."""
    if result is None or result.finished:
        return None
    return 1 if result.signal is None else 128 + result.signal


@dataclass(frozen=True)
class _Compare:
    what: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="A B")]
    """Two runs, arms of a study (STUDY/runs/ARM) or folders of one method's runs; or a study and
    the names of two of its arms: STUDY ARM ARM."""
    metric: str | None = None
    """Metric of evaluations to compare; default: test_battle_won_mean where battles are fought,
    else test_return_mean."""
    json: str | None = None
    """File for every number."""
    until_decided: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Train two arms of a study with further seeds until a group-sequential test decides."""
    most_seeds: PositiveInt | None = None
    """Seeds at most, those of the study among them; default: 20. The first call fixes them."""
    engine: str = "local"
    """Where further seeds are trained, as for `macpo sweep`."""
    jobs: PositiveInt | None = None
    """Runs at a time, as for `macpo sweep`."""
    trust: Trust = False


def compare(arguments: list[str]) -> int | None:
    """`macpo compare`: the exit status."""
    from macpo.report import arms
    from macpo.report.compare import compare_paths
    from macpo.report.comparison import print_comparison
    from macpo.report.plain import to_json

    flags: _Compare = parse(_Compare, arguments, "macpo compare", COMMANDS["compare"].summary)
    n = len(flags.what)
    require(n in (2, 3), f"macpo compare takes A B or STUDY ARM ARM, not {n} names.")
    first, second = Path(flags.what[0]), Path(flags.what[1])
    two = arms.arms_at(first, second) if n == 2 else arms.find_arms(first, *flags.what[1:])
    if flags.until_decided:
        if two is None:
            raise UsageError("--until-decided needs two arms of a study: STUDY ARM ARM.")
        comparison = arms.until_decided(
            two,
            flags.most_seeds,
            flags.metric,
            flags.engine,
            jobs=flags.jobs,
            trust=trusted(flags.trust),
            console=_console,
        )
        if isinstance(comparison, macpo.SweepResult):
            return _status_of(comparison)
    elif two:
        comparison = arms.compare_arms(two, flags.metric)
    else:
        comparison = compare_paths(first, second, flags.metric)
    print_comparison(_console, comparison)
    if flags.json:
        write_atomically(Path(flags.json), f"{to_json(comparison)}\n".encode())
        say(_console, f"numbers: {flags.json}")
    return None
