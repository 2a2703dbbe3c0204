"""What the commands do: they read their flags, call the library and show what it returns."""

import dataclasses
import io
import json
import os
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeVar

import tyro
import tyro.constructors

import macpo
from macpo import presets, registry
from macpo.bounds import (
    Fraction,
    NonNegativeInt,
    PositiveInt,
    bounds_of,
    check_bounds,
    check_fields,
)
from macpo.cli import COMMANDS, check_usage
from macpo.errors import (
    MAX_SHOWN,
    UsageError,
    needed,
    require,
    shortened,
    shown,
)
from macpo.experiment import PARTS, SETTINGS, Experiment, Run
from macpo.machine import available_cores, prepare_jax
from macpo.replay.priority import Replay
from macpo.reproduce.figures import BudgetName, EnvName
from macpo.runs.directory import RunDirectory, read_experiment
from macpo.runs.files import parse_json, write_atomically
from macpo.runs.record import trackers
from macpo.runs.record.replay import Moments
from macpo.study import grid
from macpo.study.directory import StudyDirectory
from macpo.study.file import StudyFile
from macpo.study.file import read as read_study
from macpo.terminal import command, say, stdout_console
from macpo.training.host.pool import Workers

if TYPE_CHECKING:
    from macpo.interop.check import Result
    from macpo.report.tables import Table
    from macpo.report.writing import Written

_console = stdout_console()
_Flags = TypeVar("_Flags")
_Trust: TypeAlias = Annotated[
    bool,
    tyro.conf.FlagCreatePairsOff,
    tyro.conf.arg(
        help="Import what the run's own files name, although it is not registered here; only for "
        "files whose author you trust."
    ),
]
_Best: TypeAlias = Annotated[
    bool,
    tyro.conf.FlagCreatePairsOff,
    tyro.conf.arg(
        help="Use the parameters of each seed's best evaluation, which a run keeps at its end, in "
        "place of the last ones."
    ),
]

MAX_MESSAGE = 2_000
"""Characters of a message about flags; a longer one repeats a long word."""


def _named(kind: registry.Kind, name: str) -> Any:
    """The configuration that the user named; their own module may be in the current folder."""
    if registry.is_import_path(name):
        _import_from_current_folder()
    return registry.make_config(kind, name)


def _trusted(trust: bool) -> bool:
    """As given; what is trusted may be in the current folder, as it was in training."""
    if trust:
        _import_from_current_folder()
    return trust


def _import_from_current_folder() -> None:
    """Only when asked: in a folder from somebody else, any module's name may be a trap."""
    if "" not in sys.path:
        sys.path.append("")


# --- train --------------------------------------------------------------------------------------


def _train(arguments: list[str]) -> int | None:
    experiment, flags = _parse_experiment(
        arguments, _TrainFlags, "macpo train", _train_help(), trust="--trust" in arguments
    )
    result = macpo.train(
        experiment,
        flags.out,
        console=_console,
        trackers=_chosen_trackers(flags.trackers),
        workers=flags.workers,
        record_weights=flags.record_weights,
        save_replay=flags.checkpoint.replay,
        command_line=["macpo", "train", *arguments],
    )
    return _finish(result, trust=True)  # the names in its files are those of this command


@dataclass(frozen=True)
class _NoFlags:
    """Nothing besides the experiment."""


# a flag for each tracker there is, so that its type cannot be written down
_Switches: Any = dataclasses.make_dataclass(
    "_Switches",
    [
        (name, Annotated[bool, tyro.conf.arg(help=what)], False)
        for name, what in trackers.known().items()
    ],
    frozen=True,
)
_Trackers: Any = Annotated[_Switches, tyro.conf.arg(name="")]


def _chosen_trackers(switches: Any) -> list[str]:
    """The names of those that are switched on."""
    return [name for name, is_on in vars(switches).items() if is_on]


@dataclass(frozen=True)
class _Checkpoint:
    """What checkpoints hold."""

    replay: bool = True
    """Replay, by far the largest part. Without it a run that is interrupted cannot be continued
    exactly: replay is then empty, and filled anew before the next update."""


@dataclass(frozen=True)
class _TrainFlags:
    """What `train` takes besides the experiment."""

    out: str | None = None
    """Run directory; default: one in runs/."""
    trackers: _Trackers = field(default_factory=_Switches)  # pyright: ignore[reportInvalidTypeForm]
    record_weights: Moments = 0
    """Record replay at so many evenly spaced moments (at most 100), for `macpo report`: up to 384
    steps of a batch of the first seed, why they weigh what they weigh, and what to draw of 12 of
    them. Some 30 kB a moment and 24 encoded states."""
    trust: _Trust = False
    workers: Workers = field(default_factory=Workers)
    checkpoint: _Checkpoint = field(default_factory=_Checkpoint)


def _parse_experiment(
    arguments: list[str], what: type[_Flags], name: str, description: str, *, trust: bool
) -> tuple[Experiment, _Flags]:
    """The experiment that the flags describe, and the other flags."""
    chosen, rest = _take(arguments, (*PARTS, "preset", "config"))
    experiment = _chosen_experiment(chosen, trust=_trusted(trust))
    parts = {part: getattr(experiment, part) for part in PARTS}
    flags = dataclasses.make_dataclass(
        what.__name__,
        [
            *_chosen_flags(experiment),
            *((part, _flags_of(config), config) for part, config in parts.items()),
            ("replay", Replay, experiment.replay),
            ("run", Annotated[Run, tyro.conf.arg(name="")], experiment.run),
        ],
        bases=(what,),
        frozen=True,
        kw_only=True,
    )
    parsed: Any = _parse(flags, rest, name, description)
    return Experiment(**{part: getattr(parsed, part) for part in (*PARTS, *SETTINGS)}), parsed


def _chosen_experiment(chosen: Mapping[str, list[str]], *, trust: bool) -> Experiment:
    """The defaults that the flags of `train` start from."""
    if "config" in chosen:
        experiment = read_experiment(Path(chosen["config"][-1]), trust=trust)
    else:
        experiment = None
    parts = {part: _named(kind, chosen[part][-1]) for part, kind in PARTS.items() if part in chosen}
    experiment = dataclasses.replace(experiment, **parts) if experiment else Experiment(**parts)
    for name in chosen.get("preset", []):
        experiment = presets.apply(name, experiment)
    return experiment


def _take(arguments: list[str], names: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """(values of `--name value` for these names, the other arguments)."""
    chosen: dict[str, list[str]] = {}
    rest: list[str] = []
    queue = list(arguments)
    while queue:
        flag, equals, value = queue.pop(0).partition("=")
        if flag.removeprefix("--") not in names or not flag.startswith("--"):
            rest.append(flag + equals + value)
            continue
        if not equals:
            if not queue or queue[0].startswith("--"):
                raise UsageError(f"{flag} needs a value; see the command's --help.")
            value = queue.pop(0)
        chosen.setdefault(flag.removeprefix("--"), []).append(value)
    return chosen, rest


def _train_help() -> str:
    return "\n\n".join(
        [
            COMMANDS["train"].summary,
            "Choose the parts with --env, --algorithm and --weighting; the flags below are those "
            "of the chosen ones.",
            "Without --algorithm it is QMIX with MAC-PO's weights. An algorithm that is named is "
            "trained as published, with uniform weights and its own schedule, unless --weighting "
            "and other flags say otherwise.",
        ]
    )


def _chosen_flags(experiment: Experiment) -> list[tuple[str, Any, Any]]:
    """The fields of the flags that `_take` has taken: for their help, and for what resembles them.

    Their values are not read.
    """
    parts = [
        _taken(part, f"One of {', '.join(registry.discover(kind))}, or module:name.", name)
        for part, kind in PARTS.items()
        for name in [registry.name_of(getattr(experiment, part))]
    ]
    several = "Sets several flags at once; may be given more than once. Other flags win over it. "
    return [
        *parts,
        _taken("preset", f"{several}One of {', '.join(presets.known())}."),
        _taken("config", "The experiment.json of another run, to start from.", metavar="FILE"),
    ]


def _taken(
    name: str, what: str, value: str | None = None, metavar: str = "NAME"
) -> tuple[str, Any, Any]:
    kind = Annotated[str | None, tyro.conf.arg(name=name, help=what, metavar=metavar)]
    return f"chosen_{name}", kind, value


def _parse(what: Any, arguments: list[str], name: str, description: str) -> Any:
    """The flags as `what`, a dataclass, within the bounds that its types declare."""
    flags = _read(what, arguments, name, description)
    check_bounds(flags)
    return flags


def _read(what: Any, arguments: list[str], name: str, description: str) -> Any:
    for word in arguments:
        # tyro would take it for the beginning of every flag, and explain them all
        require(word.strip("-") != "" or len(word) < 3, f"{shown(word)} is no flag of {name}.")
    parse = partial(tyro.cli, what, prog=name, description=description, registry=_constructors)
    if all(len(word) <= MAX_SHOWN for word in arguments):
        return parse(args=arguments)
    message = io.StringIO()
    try:
        with redirect_stderr(message):
            return parse(args=arguments)
    except SystemExit as stop:
        if stop.code != 2 or len(message.getvalue()) <= MAX_MESSAGE:
            sys.stderr.write(message.getvalue())
            raise
    # tyro's message repeats a long word whole; cut, the word is refused as well
    return parse(args=[shortened(word) for word in arguments])


def _parse_with_env(
    what: type[_Flags], arguments: list[str], name: str, summary: str
) -> tuple[_Flags, Any]:
    """The flags, and the environment that replaces the run's own (None: it stays)."""
    chosen, rest = _take(arguments, ("env",))
    env = _named("envs", chosen["env"][-1]) if "env" in chosen else None
    if env is None and any(word.startswith("--env.") for word in rest):
        env = _env_of_run(rest)
    known = ", ".join(registry.discover("envs"))
    flags = [
        _taken(
            "env",
            "An environment to play instead of that of the training, with observations and actions "
            f"of the same sizes: one of {known}, or module:name. Its flags are then --env.*; "
            "without --env, they change the environment of the training.",
        ),
        *([] if env is None else [("env", _flags_of(env), env)]),
    ]
    both = dataclasses.make_dataclass(
        what.__name__, flags, bases=(what,), frozen=True, kw_only=True
    )
    parsed: Any = _parse(both, rest, name, summary)
    return parsed, getattr(parsed, "env", None)


def _env_of_run(arguments: list[str]) -> Any:
    """The environment of the run that is among the arguments; None if only help is asked for."""
    for word in arguments:
        if (files := RunDirectory(word or ".")).has_experiment():
            return files.read_experiment(trust=_trusted("--trust" in arguments)).env
    require(
        "--help" in arguments or "-h" in arguments,
        "--env.* without --env changes the environment of a run, and there is no run directory "
        "among the arguments; give one, or --env NAME.",
    )
    return None


def _flags_of(config: object) -> Any:
    """The type of a configuration, explained by its summary: an example is no help for flags."""
    return Annotated[type(config), tyro.conf.arg(help=registry.summary(type(config)))]


_constructors = tyro.constructors.ConstructorRegistry()


_FLAGS: Mapping[str, str] = {"from_file": "from"}
"""Flags that Python could not call a field by their names: field → flag."""


@_constructors.struct_rule
def _with_bounds(
    info: tyro.constructors.StructTypeInfo,
) -> tyro.constructors.StructConstructorSpec | None:
    """The help of a dataclass's field ends with its bounds: "(default: 0.99; between 0 and 1)".

    Lines of its docstring are joined, and some fields have flags of other names (`_FLAGS`).
    """
    if _with_bounds in info.markers or not dataclasses.is_dataclass(info.type):
        return None
    info = dataclasses.replace(info, markers=(*info.markers, _with_bounds))  # not this rule again
    spec = _constructors.get_struct_spec(info)
    if not isinstance(spec, tyro.constructors.StructConstructorSpec):
        return None

    def bounded(option: tyro.constructors.StructFieldSpec) -> tyro.constructors.StructFieldSpec:
        option = dataclasses.replace(option, helptext=partial(_joined, option.helptext))
        bounds = bounds_of(option.type)
        if bounds is None:
            name = _FLAGS.get(option.name)
            if name is None:
                return option
            named: Any = Annotated[option.type, tyro.conf.arg(name=name)]
            return dataclasses.replace(option, type=named)
        hint = tyro.conf.arg(help_behavior_hint=lambda default: f"(default: {default}; {bounds})")
        annotated: Any = Annotated[option.type, hint]
        return dataclasses.replace(option, type=annotated)

    return dataclasses.replace(spec, fields=tuple(map(bounded, spec.fields)))


def _joined(text: str | Callable[[], str | None] | None) -> str | None:
    """The lines of a help text as one: tyro keeps the breaks before lines that are indented."""
    found = text() if callable(text) else text
    return None if found is None else " ".join(found.split())


@_constructors.primitive_rule
def _from_json(
    about: tyro.constructors.PrimitiveTypeInfo,
) -> tyro.constructors.PrimitiveConstructorSpec[Any] | None:
    """Dictionaries are given as JSON."""
    if typing.get_origin(about.type) is not dict:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="JSON",
        instance_from_str=lambda words: _dictionary(words[0]),
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=lambda value: [json.dumps(value)],
    )


@_constructors.primitive_rule
def _number_or_none(
    about: tyro.constructors.PrimitiveTypeInfo,
) -> tyro.constructors.PrimitiveConstructorSpec[Any] | None:
    """A number that may be None; of a union, tyro's message would tell every Python type in it."""
    if typing.get_origin(about.type) not in (typing.Union, types.UnionType):
        return None
    given = [option for option in typing.get_args(about.type) if option is not type(None)]
    kind: Any = given[0]
    if typing.get_origin(kind) is Annotated:
        kind = typing.get_args(kind)[0]
    if len(given) > 1 or kind not in (int, float):
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=f"{kind.__name__.upper()}|None",
        instance_from_str=lambda words: None if words[0] == "None" else kind(words[0]),
        is_instance=lambda value: value is None or isinstance(value, int | float),
        str_from_instance=lambda value: [str(value)],
    )


def _dictionary(text: str) -> dict[str, Any]:
    try:
        value = parse_json(text)
    except ValueError as error:
        raise ValueError(f"{shown(text)} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{shown(text)} is not a JSON object; expected '{{\"name\": value, …}}'")
    return value


def _finish(result: macpo.RunResult, *, trust: bool) -> int | None:
    """Table and pictures of a finished run."""
    from macpo.render.frames import animate
    from macpo.report.curves import draw_learning_curve
    from macpo.report.table import print_summary
    from macpo.runs.policy import play

    if not result.finished:
        return 128 + (result.signal or 0)
    files = RunDirectory(result.directory)
    if not files.metrics.exists():
        return None
    print_summary(_console, files.path)
    policy = macpo.load(files.path, trust=trust)
    env = policy.trainer.env
    draw_learning_curve(files.path, files.learning_curve, env.spec.return_bounds)
    states, actions, rewards, *_ = play(policy)
    animate(env, states, actions, rewards, files.episode)
    say(_console, f"curve: {files.learning_curve}")
    say(_console, f"episode: {files.episode}")
    say(_console, f"everything else: {files.readme}")
    return None


# --- sweep --------------------------------------------------------------------------------------


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
    trust: _Trust = False


def _sweep(arguments: list[str]) -> int | None:
    from macpo.report.writing import write_report

    own, rest = _own_flags(arguments, _Sweep)
    flags: _Sweep = _parse(_Sweep, own, "macpo sweep", _sweep_help())
    result = _search(flags, rest) if flags.search else _carry_out(flags, *_study(flags, rest))
    try:
        _show_report(write_report([result.directory]))
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
        study = macpo.Study(name, _experiments(arms, flags.trust), seeds, together)
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
            experiment_of=lambda words: _experiments([grid.Arm("", words)], flags.trust)[""],
            sweep=lambda study: _carry_out(flags, study, out),
            score_of=score_of,
        )
    print_best(_console, space, ranked(result.directory, arms))
    return result


def _experiments(arms: Sequence[grid.Arm], trust: bool) -> dict[str, Experiment]:
    """The experiment of each arm, by its name."""
    return {
        arm.name: _parse_experiment(
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


def _own_flags(arguments: list[str], what: type[Any]) -> tuple[list[str], list[str]]:
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
        old = StudyDirectory(given).read(trust=_trusted(flags.trust))
        return _with_flags(old, flags), given
    if given is not None and registry.is_import_path(given) and not Path(given).exists():
        _import_from_current_folder()
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
    arms = _experiments(planned.arms, flags.trust)
    seeds = flags.seeds or (5 if planned.seeds is None else planned.seeds)
    together = flags.seeds_together or planned.seeds_together
    return macpo.Study(flags.name or planned.name, arms, seeds, together), flags.out


def _with_flags(study: macpo.Study, flags: _Sweep) -> macpo.Study:
    """A study with the name and seeds that the command line gives it instead of its own."""
    given = {"name": flags.name, "seeds": flags.seeds, "seeds_together": flags.seeds_together}
    return dataclasses.replace(study, **{key: x for key, x in given.items() if x is not None})


# --- the other commands -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Resume:
    run: Annotated[Path, tyro.conf.Positional]
    """Run directory."""
    steps: PositiveInt | None = None
    """Env steps per seed to reach; default: those planned at the start."""
    updates: PositiveInt | None = None
    """The same of a run that learns offline: updates per seed to reach."""
    trackers: _Trackers = field(default_factory=_Switches)  # pyright: ignore[reportInvalidTypeForm]
    trust: _Trust = False
    workers: Workers = field(default_factory=Workers)


def _resume(arguments: list[str]) -> int | None:
    flags: _Resume = _parse(_Resume, arguments, "macpo resume", COMMANDS["resume"].summary)
    return _finish(
        macpo.resume(
            flags.run,
            steps=flags.steps,
            updates=flags.updates,
            console=_console,
            trackers=_chosen_trackers(flags.trackers),
            workers=flags.workers,
            trust=_trusted(flags.trust),
            command_line=["macpo", "resume", *arguments],
        ),
        trust=flags.trust,
    )


@dataclass(frozen=True)
class _Evaluate:
    run: Annotated[Path, tyro.conf.Positional]
    """Run directory."""
    episodes: PositiveInt = 320
    """Fresh episodes per trained seed."""
    seed: NonNegativeInt = 0
    """Seed of the episodes, not of the training."""
    epsilon: Fraction | None = None
    """Act as in training with this exploration; 0 samples from policies. Greedily by default."""
    best: _Best = False
    trust: _Trust = False
    workers: Workers = field(default_factory=Workers)


def _evaluate(arguments: list[str]) -> None:
    from macpo.report.tables import print_table

    flags, env = _parse_with_env(
        _Evaluate, arguments, "macpo evaluate", COMMANDS["evaluate"].summary
    )
    rows = macpo.evaluate(
        flags.run,
        flags.episodes,
        flags.seed,
        which="best" if flags.best else "last",
        env=env,
        epsilon=flags.epsilon,
        workers=flags.workers,
        trust=_trusted(flags.trust),
    )
    print_table(_console, _evaluated(rows, "fresh episodes"))


def _evaluated(rows: Sequence[Mapping[str, float]], title: str) -> "Table":
    """What each trained seed has come to."""
    from macpo.report.tables import Table

    own = ("test_return_mean", "test_ep_length_mean")
    outcomes = [name for name in rows[0] if name.endswith("_mean") and name not in own]
    heads = [name.removeprefix("test_").removesuffix("_mean") for name in outcomes]
    head = ("trained seed", "episodes", "return ± s.e.", "episode length", *heads)
    cells = [
        (
            f"{row['seed']:.0f}",
            f"{row['episodes']:.0f}",
            f"{row['test_return_mean']:.2f} ± {row['test_return_sem']:.2f}",
            f"{row['test_ep_length_mean']:.1f}",
            *(f"{row[name]:.3g}" for name in outcomes),
        )
        for row in rows
    ]
    return Table(title, head, cells)


@dataclass(frozen=True)
class _Render:
    run: Annotated[Path, tyro.conf.Positional]
    """Run directory."""
    out: Path | None = None
    """File to write, ending in .gif or .mp4; default: episode.gif in the run directory, with
    --best, --env, --slow or --agent episode-best.gif, episode-ENV.gif, and so on."""
    seed: NonNegativeInt = 0
    """Seed of the episode."""
    slow: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Play it at a quarter of the speed; battles with as many more pictures."""
    agent: NonNegativeInt | None = None
    """An agent to mark, with its actions in words, where the pictures can show it."""
    width: PositiveInt | None = None
    """Pixels of a picture from left to right, where the pictures can be enlarged; default: 960 of
    battles."""
    best: _Best = False
    trust: _Trust = False


def _render(arguments: list[str]) -> None:
    from macpo.render.frames import animate, check_options, encoder, has_picture
    from macpo.render.options import FilmOptions
    from macpo.runs.policy import play

    flags, env = _parse_with_env(_Render, arguments, "macpo render", COMMANDS["render"].summary)
    files = RunDirectory(flags.run)
    which = "best" if flags.best else "last"
    name_of_env = None if env is None else registry.name_of(env)
    options = FilmOptions(flags.width, flags.agent, flags.slow)
    file = flags.out or files.episode_of(which, name_of_env, *options.words())
    encoder(file)  # refuses a wrong ending before anything is played
    policy = macpo.load(flags.run, which=which, env=env, trust=_trusted(flags.trust))
    check_options(policy.trainer.env.spec, options)
    states, actions, rewards, why = play(policy, flags.seed)
    animate(policy.trainer.env, states, actions, rewards, file, options=options)
    name = policy.trainer.env.spec.name
    if not has_picture(name, states[0]):
        say(_console, f"{name} has no picture{f' ({why})' * bool(why)}: its frames show numbers")
    say(_console, f"{file}: {len(rewards)} env steps, return {rewards.sum():g}")


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


def _report(arguments: list[str]) -> None:
    from macpo.report.writing import Written, watch, write_report

    flags: _Report = _parse(_Report, arguments, "macpo report", COMMANDS["report"].summary)
    if flags.watch:
        for event in watch(flags.paths, flags.out, metric=flags.metric, films=flags.films):
            said = f"report: {event.files.page}" if isinstance(event, Written) else str(event)
            say(_console, said)
        return
    written = write_report(flags.paths, flags.out, metric=flags.metric, films=flags.films)
    _show_report(written)


def _show_report(written: "Written") -> None:
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


def _runs(arguments: list[str]) -> None:
    from macpo.report.listing import list_runs, runs_table
    from macpo.report.tables import print_table

    flags: _Runs = _parse(_Runs, arguments, "macpo runs", COMMANDS["runs"].summary)
    runs, notes = list_runs(flags.folder)
    table = runs_table(runs, f"Runs in {flags.folder}")
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


def _clean(arguments: list[str]) -> None:
    from macpo.runs.cleaning import clean, to_free

    flags: _Clean = _parse(_Clean, arguments, "macpo clean", COMMANDS["clean"].summary)
    require(bool(flags.runs), "macpo clean needs at least one run directory.")
    runs = {os.path.realpath(run): run for run in flags.runs}.values()  # each once
    for run in runs:  # a run that is refused leaves all as they are
        to_free(run, force=flags.force)
    total = 0
    for run in runs:
        freed = (to_free if flags.dry_run else clean)(run, force=flags.force)
        total += freed.n_bytes
        files = f"{freed.n_files} checkpoint{'s' * (freed.n_files != 1)}"
        say(_console, f"{run}: {files}, {freed.n_bytes / 1e6:,.1f} MB")
    what = "would be freed; the runs could" if flags.dry_run else "freed; the runs can"
    say(_console, f"{total / 1e6:,.1f} MB {what} not be extended any more")


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


def _reproduce(arguments: list[str]) -> int | None:
    from macpo.report.tables import print_table
    from macpo.reproduce import making
    from macpo.reproduce.figures import plan

    flags: _Reproduce = _parse(
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
    _show_report(made.written)
    print_table(_console, making.verdict_table(planned, made.judged, records))
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
    trust: _Trust = False


def _compare(arguments: list[str]) -> int | None:
    from macpo.report import arms
    from macpo.report.compare import compare_paths
    from macpo.report.comparison import print_comparison
    from macpo.report.plain import to_json

    flags: _Compare = _parse(_Compare, arguments, "macpo compare", COMMANDS["compare"].summary)
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
            trust=_trusted(flags.trust),
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
    best: _Best = False
    trust: _Trust = False


def _export(arguments: list[str]) -> None:
    flags: _Export = _parse(_Export, arguments, "macpo export", COMMANDS["export"].summary)
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
    policy = macpo.load(directory, flags.seed, which=which, trust=_trusted(flags.trust))
    write_policy(policy, file, flags.to)
    say(_console, f"{policy}: {file}")


@dataclass(frozen=True)
class _Push:
    run: Annotated[Path, tyro.conf.Positional]
    """Run directory, finished or stopped. Uploaded are experiment.json, metrics.jsonl,
    absolute.jsonl, model.safetensors, best.safetensors, learning_curve.png and episode.gif, as far
    as they are there, and a model card as README.md. Never uploaded are checkpoints, replay, the
    run's own README with your notes, and sessions.json, which holds your commands."""
    repo: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="OWNER/NAME")]
    """The repository; made if there is none, else it gets another commit."""
    private: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Make it private; one that is there and public is refused."""
    message: str | None = None
    """Of the commit; default: `macpo push OWNER/NAME`."""
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Only show what would be uploaded."""
    trust: _Trust = False


def _push(arguments: list[str]) -> None:
    from macpo.runs.hub.push import publish, to_push

    flags: _Push = _parse(_Push, arguments, "macpo push", COMMANDS["push"].summary)
    uploads, notes = to_push(flags.run, flags.repo, trust=_trusted(flags.trust))
    for upload in uploads:
        say(_console, f"{len(upload.content):>13,} bytes  {upload.name}")
    for note in notes:
        say(_console, note, "yellow")
    if flags.dry_run:
        say(_console, f"to {flags.repo}; nothing has been uploaded")
        return
    address = publish(uploads, flags.repo, private=flags.private, message=flags.message)
    say(_console, f"pushed: {address}")


@dataclass(frozen=True)
class _Pull:
    repo: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="OWNER/NAME")]
    """A repository that `macpo push` has made."""
    revision: str | None = None
    """A branch, tag or commit; default: the newest commit."""
    out: Path | None = None
    """The run's directory, new or empty; default: runs/NAME."""


def _pull(arguments: list[str]) -> None:
    flags: _Pull = _parse(_Pull, arguments, "macpo pull", COMMANDS["pull"].summary)
    with _console.status(f"fetching {flags.repo}"):
        directory = macpo.pull(flags.repo, flags.out, revision=flags.revision)
    say(_console, f"pulled: {directory}; try `{command('macpo', 'evaluate', directory)}`")


@dataclass(frozen=True)
class _ExportReplay:
    run: Annotated[Path, tyro.conf.Positional]
    """Run directory."""
    file: Annotated[Path, tyro.conf.Positional]
    """File to write, ending in .npz; an earlier one is replaced, anything else never."""
    seed: NonNegativeInt | None = None
    """The trained seed whose replay it is; default: the run's first."""
    trust: _Trust = False


def _export_replay(arguments: list[str]) -> None:
    flags: _ExportReplay = _parse(
        _ExportReplay, arguments, "macpo export-replay", COMMANDS["export-replay"].summary
    )
    about = macpo.export_replay(flags.run, flags.file, flags.seed, trust=_trusted(flags.trust))
    megabytes = flags.file.stat().st_size / 1e6
    say(
        _console,
        f"{flags.file}: {about.episodes:,} episodes, {about.steps:,} env steps, "
        f"{megabytes:,.1f} MB",
    )


def _check_env(arguments: list[str]) -> int:
    from macpo.envs.host import HostEnvironment
    from macpo.interop import check

    fields = [
        ("episodes", Annotated[PositiveInt, tyro.conf.arg(help="Episodes to play.")], 3),
        ("seed", Annotated[NonNegativeInt, tyro.conf.arg(help="Seed of the first of them.")], 0),
    ]
    name, parsed = _parse_part("env", COMMANDS["check-env"].summary, arguments, fields)
    env = parsed.env.make()
    spec, kind = env.spec, "Python" if isinstance(env, HostEnvironment) else "JAX"
    say(
        _console,
        f"{name} ({kind}): {spec.n_agents} agents, {spec.n_actions} actions, observations of "
        f"{spec.obs_size} and a state of {spec.state_size} numbers, "
        f"episodes of at most {spec.episode_limit} env steps",
    )
    try:
        wrong = _print_results(check.examine(env, parsed.episodes, parsed.seed))
    finally:
        if isinstance(env, HostEnvironment):
            env.close()
    return _verdict(wrong)


def _check_weighting(arguments: list[str]) -> int:
    from macpo.conformance.weighting import check_weighting

    _, parsed = _parse_part("weighting", COMMANDS["check-weighting"].summary, arguments)
    return _verdict(_print_results(check_weighting(parsed.weighting)))


def _check_algorithm(arguments: list[str]) -> int:
    from macpo.conformance.algorithm import check_algorithm

    _, parsed = _parse_part("algorithm", COMMANDS["check-algorithm"].summary, arguments)
    return _verdict(_print_results(check_algorithm(parsed.algorithm)))


def _parse_part(
    part: str,
    description: str,
    arguments: list[str],
    fields: Sequence[tuple[str, Any, Any]] = (),  # as `dataclasses.make_dataclass` takes them
) -> tuple[str, Any]:
    """(name, flags) of `macpo check-PART`, which takes the part's name first, then its flags."""
    name, *rest = arguments or ["nothing"]
    noun = registry.NOUN[PARTS[part]]
    if not arguments or name.startswith("-"):
        article = "an" if noun[0] in "ae" else "a"
        raise UsageError(
            f"macpo check-{part} needs {article} {noun} first, but got {name}. {check_usage(part)}"
        )
    prepare_jax()
    default = _named(PARTS[part], name)
    flags = dataclasses.make_dataclass(
        "Checked", [(part, _flags_of(default), default), *fields], frozen=True
    )
    parsed: Any = _parse(flags, rest, f"macpo check-{part} {name}", description)
    check_fields(parsed, "")  # also that a run's files can hold it
    return name, parsed


def _print_results(results: Iterable["Result"]) -> int:
    """Print each result as it comes; how many checks found something."""
    wrong = 0
    for result in results:
        wrong += bool(result.findings)
        _print_result(result)
    return wrong


def _verdict(wrong: int) -> int:
    """Print how many checks found something; the exit status."""
    say(_console, f"{wrong or 'nothing'} wrong")
    return 1 if wrong else 0


_MAX_FINDINGS = 3
"""Shown of each check."""


def _print_result(result: "Result") -> None:
    say(_console, f"{'WRONG' if result.findings else 'ok   '} {result.title}")
    for note in result.notes:
        say(_console, f"      {note}")
    for finding in result.findings[:_MAX_FINDINGS]:
        say(_console, f"      {finding}")
    if len(result.findings) > _MAX_FINDINGS:
        say(_console, f"      and {len(result.findings) - _MAX_FINDINGS} more")


def _bench(arguments: list[str]) -> None:
    from macpo.bench import Bench, run_bench

    flags: Bench = _parse(Bench, arguments, "macpo bench", COMMANDS["bench"].summary)
    run_bench(flags, _console)


def _doctor(arguments: list[str]) -> None:
    from macpo.doctor import print_report

    if arguments:
        raise UsageError(
            f"macpo doctor takes no arguments, but got {shortened(' '.join(arguments))}."
        )
    print_report(_console)


RUN: Mapping[str, Callable[[list[str]], int | None]] = {
    "train": _train,
    "resume": _resume,
    "sweep": _sweep,
    "evaluate": _evaluate,
    "render": _render,
    "runs": _runs,
    "clean": _clean,
    "report": _report,
    "reproduce": _reproduce,
    "compare": _compare,
    "export": _export,
    "push": _push,
    "pull": _pull,
    "export-replay": _export_replay,
    "check-env": _check_env,
    "check-weighting": _check_weighting,
    "check-algorithm": _check_algorithm,
    "bench": _bench,
    "doctor": _doctor,
}
"""What each command does: it takes the other arguments, and gives the exit status."""
