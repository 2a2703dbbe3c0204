"""An experiment: environment × algorithm × weighting × run. Frozen, typed, JSON both ways."""

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from macpo import registry
from macpo.envs.base import EnvConfig
from macpo.errors import UsageError, nearest, require
from macpo.replay.priority import Replay


@dataclass(frozen=True)
class Run:
    """How an experiment is run; PyMARL's names where its users know them, units in the text."""

    steps: int = 300_000
    """Env steps per seed (PyMARL: t_max)."""
    seeds: int = 1
    """How many seeds are trained at once, in one compiled program."""
    seed: int = 0
    """The first seed; the others follow."""
    batch_size_run: int = 8
    """Parallel environments; one iteration plays one episode in each."""
    batch_size: int = 128
    """Episodes in an update."""
    updates_per_iteration: int = 1
    """Gradient steps after each iteration."""
    buffer_size: int = 5_000
    """Episodes in the replay buffer (the paper: 10,000)."""
    target_update_interval: int = 200
    """Episodes between copies of the online into the target networks."""
    epsilon_start: float = 1.0
    """Exploration at env step 0 (the paper: 0.995)."""
    epsilon_finish: float = 0.05
    """Exploration once annealed."""
    epsilon_anneal_time: int = 100_000
    """Env steps over which epsilon falls linearly."""
    test_interval: int = 10_000
    """Env steps between evaluations."""
    test_nepisode: int = 32
    """Greedy episodes in an evaluation."""
    checkpoint_interval: int = 100_000
    """Env steps between checkpoints; the last one is always written."""

    def __post_init__(self) -> None:
        positive = (
            "steps",
            "seeds",
            "batch_size_run",
            "batch_size",
            "updates_per_iteration",
            "buffer_size",
            "target_update_interval",
            "epsilon_anneal_time",
            "test_interval",
            "test_nepisode",
            "checkpoint_interval",
        )
        for name in positive:
            value = getattr(self, name)
            require(value >= 1, f"{name} must be at least 1, not {value}.")
        require(self.seed >= 0, f"seed must not be negative, but is {self.seed}.")
        for name in ("epsilon_start", "epsilon_finish"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"{name} must be between 0 and 1, not {value}.")
        require(
            self.batch_size <= self.buffer_size,
            f"batch_size ({self.batch_size} episodes) is larger than buffer_size "
            f"({self.buffer_size}); lower the one or raise the other.",
        )
        require(
            self.batch_size_run <= self.buffer_size,
            f"batch_size_run ({self.batch_size_run} episodes) is larger than buffer_size "
            f"({self.buffer_size}); lower the one or raise the other.",
        )


@dataclass(frozen=True)
class Experiment:
    """What is trained on what, how. Parts may be given by name: `Experiment(env="two-step")`.

    An algorithm that is named is trained as published: with uniform weights and its own schedule,
    where nothing else is given. Without a name it is QMIX with MAC-PO's weights.
    """

    env: EnvConfig | Any = "predator-prey"
    algorithm: Any = None
    weighting: Any = None
    replay: Replay = field(default_factory=Replay)
    run: Run = field(default=cast(Run, None))

    def __post_init__(self) -> None:
        if self.weighting is None:
            weighting = "macpo" if self.algorithm is None else "uniform"
            object.__setattr__(self, "weighting", weighting)
        if self.algorithm is None:
            object.__setattr__(self, "algorithm", "qmix")
        for name, kind in PARTS.items():
            part = getattr(self, name)
            if isinstance(part, str):
                object.__setattr__(self, name, registry.make_config(kind, part))
        if cast(Any, self.run) is None:
            object.__setattr__(self, "run", Run(**cast(Any, self.algorithm).schedule))

    @property
    def title(self) -> str:
        """environment, algorithm and weighting in a few words."""
        return " ".join(registry.name_of(getattr(self, name)) for name in PARTS)


SETTINGS = ("replay", "run")
"""The parts that are not plug-ins."""

PARTS: Mapping[str, registry.Kind] = types.MappingProxyType(
    {"env": "envs", "algorithm": "algorithms", "weighting": "weighting"}
)


def to_dict(experiment: Experiment) -> dict[str, Any]:
    """Plain data: each part with its registered name and every value."""
    parts = {
        name: {"name": registry.name_of(part), **dataclasses.asdict(part)}
        for name in PARTS
        for part in [getattr(experiment, name)]
    }
    settings = {name: dataclasses.asdict(getattr(experiment, name)) for name in SETTINGS}
    return {**parts, **settings}


def from_dict(data: Mapping[str, Any]) -> Experiment:
    """The inverse of `to_dict`; UsageError for unknown names and values of a wrong type."""
    parts = {name: part_from_dict(name, _mapping(data, name)) for name in PARTS}
    sampling = _mapping(data, "replay") if "replay" in data else {}  # older files have none
    return Experiment(
        **parts,
        replay=_build(Replay, sampling, "replay"),
        run=_build(Run, _mapping(data, "run"), "run"),
    )


def part_from_dict(part: str, data: Mapping[str, Any]) -> Any:
    """One of `PARTS`, from its section in what `to_dict` gives."""
    values = dict(data)
    cls = registry.config_class(PARTS[part], str(values.pop("name", "")))
    return _build(cls, values, part)


def digest(experiment: Experiment) -> str:
    """Twelve hexadecimal digits that name this experiment."""
    canonical = from_dict(to_dict(experiment))  # a whole number given for a float becomes one
    text = json.dumps(to_dict(canonical), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def difference(a: Experiment, b: Experiment) -> list[str]:
    """What differs, one `part.field: a → b` each."""
    first, second = to_dict(a), to_dict(b)
    return [
        f"{part}.{name}: {first[part].get(name)} → {second[part].get(name)}"
        for part in first
        for name in sorted({*first[part], *second[part]})
        if first[part].get(name) != second[part].get(name)
    ]


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    if not isinstance(value, Mapping):
        raise UsageError(
            f"the experiment file has no section {key!r}; it needs env, algorithm, weighting "
            "and run, as `macpo train` writes them to experiment.json."
        )
    return cast(Mapping[str, Any], value)


def _build(cls: type[Any], values: Mapping[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(cls)
    known = {f.name for f in dataclasses.fields(cls)}
    for name in values:
        if name not in known:
            raise UsageError(
                f"unknown setting {where}.{name}; {nearest(name, known)} "
                f"Known: {', '.join(sorted(known))}."
            )
    return cls(**{name: _checked(v, hints[name], f"{where}.{name}") for name, v in values.items()})


def _checked(value: Any, hint: Any, where: str) -> Any:
    """The value as the annotated type; JSON's lists become tuples, its whole numbers floats."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        for option in args:
            try:
                return _checked(value, option, where)
            except UsageError:
                continue
    elif origin is typing.Literal:
        if value in args:
            return value
    elif origin is tuple and isinstance(value, list | tuple):
        items = cast(list[Any], list(value))  # pyright: ignore[reportUnknownArgumentType]
        hints = args[:1] * len(items) if args[1:] == (...,) else args
        if len(items) == len(hints):
            return tuple(_checked(v, t, where) for v, t in zip(items, hints, strict=True))
    elif origin is dict and isinstance(value, dict):
        return dict(cast(dict[Any, Any], value))
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif (
        isinstance(hint, type)
        and isinstance(value, hint)
        and not (hint is int and isinstance(value, bool))  # True is an int to Python, not to users
    ):
        return value
    raise UsageError(f"{where} must be {_describe(hint)}, not {value!r}.")


def _describe(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(repr(v) for v in typing.get_args(hint))
    return getattr(hint, "__name__", str(hint)) if isinstance(hint, type) else str(hint)
