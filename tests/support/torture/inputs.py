"""Bad command lines and settings: each is wrong for certain, and most look nearly right."""

import dataclasses
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np

from macpo import registry
from macpo.bounds import Bounds, bounds_of
from macpo.experiment import PARTS, Run
from macpo.replay.priority import Replay

SMALLEST = (
    *("train", "--env", "two-step", "--algorithm", "vdn", "--weighting", "uniform"),
    *("--algorithm.rnn-hidden-dim", "4", "--batch-size", "2", "--batch-size-run", "2"),
    *("--buffer-size", "2", "--steps", "8", "--test-interval", "8", "--test-nepisode", "2"),
)
"""A command that trains for a second."""
COMMANDS = (
    "train",
    "resume",
    "sweep",
    "evaluate",
    "render",
    "compare",
    "export",
    "export-replay",
    "check-env",
    "bench",
    "list",
    "doctor",
)
NOT_WORDS = (
    *("", " ", "\t", "[/red]", "[bold", "\x1b[31m", "½", "🎲", "--", "-", "\udcff", "%s", "{0}"),
)
NOT_NUMBERS = (*NOT_WORDS, "many", "1e", "0x10", "1,000", "3px", "1e5.5", "--1", "1 2", "9" * 5_000)
NOT_INTEGERS = (*NOT_NUMBERS, "1.5", "nan", "inf", "1e3", "True")
NOT_FINITE = ("nan", "inf", "-inf", "1e400", "-Infinity")
NOT_PLUGINS = (
    *(*NOT_WORDS, ":", "::", "os:", ":system", "..:x", "a.b.c:d", "math:pi", "json:nothing"),
    *("no_such_module:Config", "qmxi", "two step", "predator-prey ,", "x" * 5_000, "../qmix"),
)
NOT_FILES = (
    *("", ".", "nowhere", "nowhere/at/all", "a_file/below", "x" * 300, "/proc/self/mem", "\udcff"),
)


class Setting(NamedTuple):
    """A flag of `macpo train` with the flags that choose its part."""

    chosen: tuple[str, ...]
    flag: str
    type: Any
    """Its annotation, without `| None`."""

    @property
    def kind(self) -> Any:
        """The type without bounds."""
        is_annotated = typing.get_origin(self.type) is Annotated
        return typing.get_args(self.type)[0] if is_annotated else self.type

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values of a `Literal`; none for another type."""
        return typing.get_args(self.type) if typing.get_origin(self.type) is Literal else ()


def settings() -> list[Setting]:
    """Every setting of every plug-in, of replay and of the run."""
    found = [*_fields((), "", Run), *_fields((), "replay.", Replay)]
    for part, kind in PARTS.items():
        for name, config in registry.discover(kind).items():
            found += _fields((f"--{part}", name), f"{part}.", config)
    return found


def _fields(chosen: tuple[str, ...], prefix: str, config: type[Any]) -> list[Setting]:
    hints = typing.get_type_hints(config, include_extras=True)
    return [
        Setting(chosen, f"--{prefix}{field.name.replace('_', '-')}", _given(hints[field.name]))
        for field in dataclasses.fields(config)
        if field.init
    ]


def _given(hint: Any) -> Any:
    """The only type in `X | None`; any other as it is."""
    options = [option for option in typing.get_args(hint) if option is not type(None)]
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return options[0] if is_union and len(options) == 1 else hint


SETTINGS = settings()
NUMBERS = [setting for setting in SETTINGS if setting.kind in (int, float)]


def plugins(kind: registry.Kind) -> list[type[Any]]:
    """The configurations of a kind."""
    return list(registry.discover(kind).values())


def bad_command(rng: np.random.Generator, run: Path) -> list[str]:
    """Arguments that must be refused; `run` is the directory of a finished run.

    The current folder holds `a_file` and `a_folder`.
    """
    make = _MAKERS[rng.integers(len(_MAKERS))]
    return make(rng, str(run))


def _pick(rng: np.random.Generator, options: Sequence[Any]) -> Any:
    return options[rng.integers(len(options))]


def _misspelt(rng: np.random.Generator, word: str) -> str:
    """The word with a letter missing, doubled or too many, so that it is no flag either."""
    at = int(rng.integers(2 if word.startswith("--") else 0, len(word)))
    before, after = word[:at], word[at:]
    wrong = _pick(rng, (before + after[1:], before + after[0] + after, f"{before}q{after}"))
    return wrong if wrong not in {setting.flag for setting in SETTINGS} else f"{word}q"


def _no_command(rng: np.random.Generator, run: str) -> list[str]:
    wrong = [_misspelt(rng, _pick(rng, COMMANDS)), _pick(rng, NOT_WORDS[3:]), "Train", "train "]
    return [_pick(rng, wrong), run]


def _no_flag(rng: np.random.Generator, run: str) -> list[str]:
    setting = _pick(rng, SETTINGS)
    return [*SMALLEST, *setting.chosen, _misspelt(rng, setting.flag), "1"]


def _no_value(rng: np.random.Generator, run: str) -> list[str]:
    setting = _pick(rng, NUMBERS)
    flag = _pick(rng, [setting.flag, "--env", "--algorithm", "--out", "--config", "--preset"])
    return [*SMALLEST, *setting.chosen, flag]


def _wrong_value(rng: np.random.Generator, run: str) -> list[str]:
    setting = _pick(rng, NUMBERS)
    wrong = list(NOT_INTEGERS if setting.kind is int else (*NOT_NUMBERS, *NOT_FINITE * 3))
    if bounds := bounds_of(setting.type):
        wrong += _outside(bounds) * 5
    return [*SMALLEST, *setting.chosen, f"{setting.flag}={_pick(rng, wrong)}"]


def _outside(bounds: Bounds) -> list[str]:
    ends = [(bounds.at_least, -1), (bounds.above, 0), (bounds.at_most, 1), (bounds.below, 0)]
    return [f"{end + step:g}" for end, step in ends if end is not None]


def _wrong_choice(rng: np.random.Generator, run: str) -> list[str]:
    setting = _pick(rng, [s for s in SETTINGS if s.choices])
    known = [str(choice) for choice in setting.choices]
    wrong = _pick(rng, [_misspelt(rng, known[0]) if known[0] else "none", *NOT_WORDS[1:]])
    return [*SMALLEST, *setting.chosen, setting.flag, wrong]


def _no_plugin(rng: np.random.Generator, run: str) -> list[str]:
    part = _pick(rng, [*PARTS, "preset"])
    return [*SMALLEST, f"--{part}={_pick(rng, NOT_PLUGINS)}"]


def _no_settings(rng: np.random.Generator, run: str) -> list[str]:
    return [*SMALLEST, f"--config={_pick(rng, (*NOT_FILES, 'a_file', 'a_folder', run))}"]


def _no_place(rng: np.random.Generator, run: str) -> list[str]:
    wrong = ("", "a_file", "a_file/below", "x" * 300, "/proc/nowhere", "/dev/null", run)
    return [*SMALLEST, f"--out={_pick(rng, wrong)}"]


def _too_much(rng: np.random.Generator, run: str) -> list[str]:
    command = _pick(rng, ([*SMALLEST], ["resume", run], ["evaluate", run], ["render", run]))
    return [*command, _pick(rng, ("surplus", "[/red]", "🎲", "\udcff", "-x", "--=", "---"))]


def _no_run(rng: np.random.Generator, run: str) -> list[str]:
    command = _pick(rng, ("resume", "evaluate", "render"))
    return [command, _pick(rng, (*NOT_FILES, "a_file", "a_folder", "[/red]", "🎲"))]


def _wrong_flag_of_a_run(rng: np.random.Generator, run: str) -> list[str]:
    flags = {
        "resume": [("--steps", (*NOT_INTEGERS, "0", "-1", "8"))],
        "evaluate": [
            ("--episodes", (*NOT_INTEGERS, "0", "-1")),
            ("--seed", NOT_INTEGERS),
            ("--epsilon", (*NOT_NUMBERS, *NOT_FINITE, "-0.1", "1.5")),
            ("--env", (*NOT_PLUGINS, "predator-prey", "matrix-game")),
            ("--workers.n", ("many", "-1")),
        ],
        "render": [
            ("--out", ("", "film", "film.avi", "a_file/film.gif", "a_folder", "x" * 300 + ".gif")),
            ("--seed", NOT_INTEGERS),
            ("--agent", (*NOT_INTEGERS, "-1", "1000000")),
            ("--width", (*NOT_INTEGERS, "0", "960")),
            ("--env", (*NOT_PLUGINS, "predator-prey", "matrix-game")),
        ],
    }
    command = _pick(rng, list(flags))
    flag, wrong = _pick(rng, flags[command])
    return [command, run, f"{flag}={_pick(rng, wrong)}"]


def _wrong_check(rng: np.random.Generator, run: str) -> list[str]:
    plugin = _pick(rng, NOT_PLUGINS)
    flags = ("--episodes=0", "--episodes=x", "--seed=-1", "--seed=1.5", "--env.nothing=1", "x")
    return _pick(
        rng, (["check-env"], ["check-env", plugin], ["check-env", "two-step", _pick(rng, flags)])
    )


def _wrong_small_command(rng: np.random.Generator, run: str) -> list[str]:
    command = _pick(rng, ("list", "doctor", "bench"))
    words = [word for word in NOT_WORDS if word != "--"]  # which measures
    return [command, _pick(rng, (*words, "weight", "now", "--all", "x" * 5_000))]


_MAKERS: tuple[Callable[[np.random.Generator, str], list[str]], ...] = (
    *(_no_command, _no_flag, _no_value, _no_plugin, _no_settings, _no_place, _too_much, _no_run),
    *(_wrong_value,) * 6,
    *(_wrong_flag_of_a_run,) * 2,
    *(_wrong_choice, _wrong_check, _wrong_small_command),
)

# --- large numbers, which may be right ------------------------------------------------------------

EXTREME = {
    int: [str(x) for x in (-1, 0, 1, 2**31 - 1, 2**31, 2**32, 10**10, 2**63, 2**64, 10**30)],
    float: ["0", "-0.0", "5e-324", "1e-300", "-1e-300", "1e30", "1e38", "1e39", "1e300", "1e308"],
}
ENDLESS = ("--steps", "--updates-per-iteration")
"""Large values of these are right, and would never come to an end."""
COSTLY = ("smac", "smac-jax", "smacv2-jax")
"""A minute of compiling each."""


def extreme_command(rng: np.random.Generator) -> list[str]:
    """Arguments with a number at the end of its range: they may be refused, or train."""
    cheap = [s for s in NUMBERS if s.flag not in ENDLESS and not {*s.chosen} & {*COSTLY}]
    setting = _pick(rng, cheap)
    return [*SMALLEST, *setting.chosen, f"{setting.flag}={_pick(rng, EXTREME[setting.kind])}"]


# --- Python ---------------------------------------------------------------------------------------

OBJECTS: tuple[Any, ...] = (
    *(None, True, False, "8", "", b"8", 8.0, 1e4, 0.5, -1, 10**400, 2**63, 2**31),
    *(float("nan"), float("inf"), 1e308, np.int64(3), np.float32(0.5), np.bool_(True)),
    *(np.array(3), np.zeros(2), [8], (8,), {"a": (1, 2)}, {1: 2}, {}, object(), len, complex(1, 2)),
)


def odd_setting(rng: np.random.Generator) -> tuple[type[Any], str, Any]:
    """(a configuration, one of its fields, an object that may not belong there)"""
    configs = [Run, Replay, *(c for kind in PARTS.values() for c in plugins(kind))]
    config = _pick(rng, [c for c in configs if dataclasses.fields(c)])
    field = _pick(rng, dataclasses.fields(config))
    return config, field.name, _pick(rng, OBJECTS)
