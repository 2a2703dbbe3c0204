"""The experiment, or the environment in place of a run's own, that flags describe."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import tyro

from macpo import presets, registry
from macpo.cli.flags import Flags, flags_of, parse
from macpo.errors import UsageError, require
from macpo.experiment import PARTS, SETTINGS, Experiment, Run
from macpo.field_types import TypeHint
from macpo.replay.priority import Replay
from macpo.runs.directory import RunDirectory, read_experiment


def named(kind: registry.Kind, name: str) -> registry.Plugin:
    """The configuration that the user named; their own module may be in the current folder."""
    if registry.is_import_path(name):
        import_from_current_folder()
    return registry.make_config(kind, name)


def trusted(trust: bool) -> bool:
    """As given; what is trusted may be in the current folder, as it was in training."""
    if trust:
        import_from_current_folder()
    return trust


def import_from_current_folder() -> None:
    """Only when asked: in a folder from somebody else, any module's name may be a trap."""
    if "" not in sys.path:
        sys.path.append("")


def parse_experiment(
    arguments: list[str], what: type[Flags], name: str, description: str, *, trust: bool
) -> tuple[Experiment, Flags]:
    """The experiment that the flags describe, and the other flags."""
    chosen, rest = _take(arguments, (*PARTS, "preset", "config"))
    experiment = _chosen_experiment(chosen, trust=trusted(trust))
    parts = {part: getattr(experiment, part) for part in PARTS}
    flags = dataclasses.make_dataclass(
        what.__name__,
        [
            *_chosen_flags(experiment),
            *((part, flags_of(config), config) for part, config in parts.items()),
            ("replay", Replay, experiment.replay),
            ("run", Annotated[Run, tyro.conf.arg(name="")], experiment.run),
        ],
        bases=(what,),
        frozen=True,
        kw_only=True,
    )
    parsed = parse(flags, rest, name, description)
    return Experiment(**{part: getattr(parsed, part) for part in (*PARTS, *SETTINGS)}), parsed


def _chosen_experiment(chosen: Mapping[str, list[str]], *, trust: bool) -> Experiment:
    """The defaults that the flags of `train` start from."""
    if "config" in chosen:
        experiment = read_experiment(Path(chosen["config"][-1]), trust=trust)
    else:
        experiment = None
    parts = {part: named(kind, chosen[part][-1]) for part, kind in PARTS.items() if part in chosen}
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


def _chosen_flags(experiment: Experiment) -> list[tuple[str, TypeHint, object]]:
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
) -> tuple[str, TypeHint, object]:
    kind = Annotated[str | None, tyro.conf.arg(name=name, help=what, metavar=metavar)]
    return f"chosen_{name}", kind, value


def parse_with_env(
    what: type[Flags], arguments: list[str], name: str, summary: str
) -> tuple[Flags, registry.Plugin]:
    """The flags, and the environment that replaces the run's own (None: it stays)."""
    chosen, rest = _take(arguments, ("env",))
    env = named("envs", chosen["env"][-1]) if "env" in chosen else None
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
        *([] if env is None else [("env", flags_of(env), env)]),
    ]
    both = dataclasses.make_dataclass(
        what.__name__, flags, bases=(what,), frozen=True, kw_only=True
    )
    parsed = parse(both, rest, name, summary)
    return parsed, getattr(parsed, "env", None)


def _env_of_run(arguments: list[str]) -> registry.Plugin:
    """The environment of the run that is among the arguments; None if only help is asked for."""
    for word in arguments:
        if (files := RunDirectory(word or ".")).has_experiment():
            return files.read_experiment(trust=trusted("--trust" in arguments)).env
    require(
        "--help" in arguments or "-h" in arguments,
        "--env.* without --env changes the environment of a run, and there is no run directory "
        "among the arguments; give one, or --env NAME.",
    )
    return None
