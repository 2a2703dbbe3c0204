"""An experiment: environment × algorithm × weighting × run. Frozen, typed, JSON both ways."""

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from macpo import registry
from macpo.bounds import Fraction, NonNegativeInt, PositiveInt, check_fields
from macpo.envs.base import EnvConfig
from macpo.errors import UsageError, nearest, require
from macpo.learners.base import AlgorithmConfig
from macpo.replay.priority import Replay
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class Run:
    """How an experiment is run; PyMARL's names where its users know them, units in the text."""

    steps: PositiveInt = 300_000
    """Env steps per seed (PyMARL: t_max)."""
    seeds: PositiveInt = 1
    """How many seeds are trained at once, in one compiled program."""
    seed: NonNegativeInt = 0
    """The first seed; the others follow."""
    batch_size_run: PositiveInt = 8
    """Parallel environments; one iteration plays one episode in each."""
    batch_size: PositiveInt = 128
    """Episodes in an update."""
    updates_per_iteration: PositiveInt = 1
    """Gradient steps after each iteration."""
    buffer_size: PositiveInt = 5_000
    """Episodes in the replay buffer (the paper: 10,000)."""
    target_update_interval: PositiveInt = 200
    """Episodes between copies of the online into the target networks."""
    epsilon_start: Fraction = 1.0
    """Exploration at env step 0 (the paper: 0.995)."""
    epsilon_finish: Fraction = 0.05
    """Exploration once annealed."""
    epsilon_anneal_time: PositiveInt = 100_000
    """Env steps over which epsilon falls linearly."""
    test_interval: PositiveInt = 10_000
    """Env steps between evaluations."""
    test_nepisode: PositiveInt = 32
    """Greedy episodes in an evaluation."""
    checkpoint_interval: PositiveInt = 100_000
    """Env steps between checkpoints; the last one is always written."""

    def __post_init__(self) -> None:
        check_fields(self, "")
        for name in ("batch_size", "batch_size_run"):
            n_episodes = getattr(self, name)
            require(
                n_episodes <= self.buffer_size,
                f"{name} ({n_episodes} episodes) is larger than buffer_size "
                f"({self.buffer_size}); lower the one or raise the other.",
            )


@dataclass(frozen=True, init=False)
class Experiment:
    """What is trained on what, how. Parts may be given by name: `Experiment(env="two-step")`.

    An algorithm that is named is trained as published: with uniform weights and its own schedule,
    where nothing else is given. Without a name it is QMIX with MAC-PO's weights.
    """

    env: EnvConfig
    algorithm: AlgorithmConfig
    weighting: Weighting
    replay: Replay
    run: Run

    def __init__(
        self,
        env: EnvConfig | str = "predator-prey",
        algorithm: AlgorithmConfig | str | None = None,
        weighting: Weighting | str | None = None,
        replay: Replay | None = None,
        run: Run | None = None,
    ) -> None:
        if weighting is None:
            weighting = "macpo" if algorithm is None else "uniform"
        chosen = {"env": env, "algorithm": algorithm or "qmix", "weighting": weighting}
        parts: dict[str, Any] = {
            name: registry.make_config(PARTS[name], part) if isinstance(part, str) else part
            for name, part in chosen.items()
        }
        schedule = parts["algorithm"].schedule
        settings = {"replay": replay or Replay(), "run": run or Run(**schedule)}
        for name, value in {**parts, **settings}.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        """As it can be typed, with the settings that differ from the defaults."""
        given = {name: _call(getattr(self, name)) for name in PARTS}
        if self.replay != Replay():
            given["replay"] = _call(self.replay)
        if self.run != Run(**self.algorithm.schedule):
            given["run"] = _call(self.run)
        return f"Experiment({', '.join(f'{name}={value}' for name, value in given.items())})"

    @property
    def title(self) -> str:
        """environment, algorithm and weighting in a few words."""
        return " ".join(registry.name_of(getattr(self, name)) for name in PARTS)


def _call(config: Any) -> str:
    """The expression that makes a configuration, without the fields that have their defaults."""
    changed = [
        f"{field.name}={value!r}"
        for field in dataclasses.fields(config)
        for value in [getattr(config, field.name)]
        if value != default_of(field)
    ]
    return f"{type(config).__name__}({', '.join(changed)})"


def default_of(field: "dataclasses.Field[Any]") -> Any:
    """The value of a dataclass's field where none is given; `dataclasses.MISSING` without one."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


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


def difference(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """What differs between two experiments as plain data, one `part.field: a → b` each."""
    return [
        f"{part}.{name}: {a[part].get(name)} → {b[part].get(name)}"
        for part in a
        for name in sorted({*a[part], *b[part]})
        if a[part].get(name) != b[part].get(name)
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
