"""The commands that train, and those that play what was trained."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

import macpo
from macpo import registry
from macpo.bounds import Fraction, NonNegativeInt, PositiveInt
from macpo.cli import COMMANDS
from macpo.cli.experiments import parse_experiment, parse_with_env, trusted
from macpo.cli.flags import Best, Trust, parse
from macpo.field_types import TypeHint
from macpo.runs.directory import RunDirectory
from macpo.runs.record import trackers
from macpo.runs.record.replay import Moments
from macpo.terminal import say, stdout_console
from macpo.training.host.pool import Workers

if TYPE_CHECKING:
    from macpo.report.tables import Table

_console = stdout_console()


def train(arguments: list[str]) -> int | None:
    """`macpo train`: the exit status."""
    experiment, flags = parse_experiment(
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


# a flag for each tracker there is, so that its type cannot be written down
_Switches: Any = dataclasses.make_dataclass(
    "_Switches",
    [
        (name, Annotated[bool, tyro.conf.arg(help=what)], False)
        for name, what in trackers.known().items()
    ],
    frozen=True,
)


_Trackers: TypeHint = Annotated[_Switches, tyro.conf.arg(name="")]


def _chosen_trackers(switches: object) -> list[str]:
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
    trust: Trust = False
    workers: Workers = field(default_factory=Workers)
    checkpoint: _Checkpoint = field(default_factory=_Checkpoint)


def _train_help() -> str:
    return "\n\n".join(
        [
            COMMANDS["train"].summary,
            "Choose the parts with --env, --algorithm and --weighting; the flags below are those "
            "of the chosen ones.",
            "Without --algorithm it is QMIX with MAC-PO's weights. An algorithm that is named is "
            "trained with uniform weights unless --weighting says otherwise. Its own schedule, if "
            "it has one, is the default of the flags below; for value-based ones --preset pymarl2 "
            "and --preset pymarl have those of the references.",
        ]
    )


def _finish(result: macpo.RunResult, *, trust: bool) -> int | None:
    """Table and pictures of a finished run."""
    from macpo.render.frames import animate
    from macpo.report.curves import draw_learning_curve
    from macpo.report.table import print_summary
    from macpo.runs.film import play

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


@dataclass(frozen=True)
class _Resume:
    run: Annotated[Path, tyro.conf.Positional]
    """Run directory."""
    steps: PositiveInt | None = None
    """Env steps per seed to reach; default: those planned at the start."""
    updates: PositiveInt | None = None
    """The same of a run that learns offline: updates per seed to reach."""
    trackers: _Trackers = field(default_factory=_Switches)  # pyright: ignore[reportInvalidTypeForm]
    trust: Trust = False
    workers: Workers = field(default_factory=Workers)


def resume(arguments: list[str]) -> int | None:
    """`macpo resume`: the exit status."""
    flags: _Resume = parse(_Resume, arguments, "macpo resume", COMMANDS["resume"].summary)
    return _finish(
        macpo.resume(
            flags.run,
            steps=flags.steps,
            updates=flags.updates,
            console=_console,
            trackers=_chosen_trackers(flags.trackers),
            workers=flags.workers,
            trust=trusted(flags.trust),
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
    best: Best = False
    trust: Trust = False
    workers: Workers = field(default_factory=Workers)


def evaluate(arguments: list[str]) -> None:
    """`macpo evaluate`."""
    from macpo.report.tables import print_table

    flags, env = parse_with_env(
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
        trust=trusted(flags.trust),
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
    best: Best = False
    trust: Trust = False


def render(arguments: list[str]) -> None:
    """`macpo render`."""
    from macpo.render.frames import animate, check_options, encoder, has_picture
    from macpo.render.options import FilmOptions
    from macpo.runs.film import play

    flags, env = parse_with_env(_Render, arguments, "macpo render", COMMANDS["render"].summary)
    files = RunDirectory(flags.run)
    which = "best" if flags.best else "last"
    name_of_env = None if env is None else registry.name_of(env)
    options = FilmOptions(flags.width, flags.agent, flags.slow)
    file = flags.out or files.episode_of(which, name_of_env, *options.words())
    encoder(file)  # refuses a wrong ending before anything is played
    policy = macpo.load(flags.run, which=which, env=env, trust=trusted(flags.trust))
    check_options(policy.trainer.env.spec, options)
    states, actions, rewards, why = play(policy, flags.seed)
    animate(policy.trainer.env, states, actions, rewards, file, options=options)
    name = policy.trainer.env.spec.name
    if not has_picture(name, states[0]):
        say(_console, f"{name} has no picture{f' ({why})' * bool(why)}: its frames show numbers")
    say(_console, f"{file}: {len(rewards)} env steps, return {rewards.sum():g}")
