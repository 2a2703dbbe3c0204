"""An experiment: environment × algorithm × weighting × run. Frozen, typed, JSON both ways."""

import dataclasses
import hashlib
import json
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias, cast

from macpo import registry
from macpo.bounds import MAX_INT, Bounds, Fraction, NonNegativeInt, PositiveInt, check_fields
from macpo.envs.base import EnvConfig
from macpo.errors import UsageError, nearest, require, shown
from macpo.field_types import (
    YOUNGER,
    Dataclass,
    Json,
    JsonObject,
    Settings,
    Unchecked,
    build,
    conformed,
    field_hints,
    settings,
)
from macpo.learners.base import AlgorithmConfig
from macpo.nets.precision import Precision
from macpo.replay.priority import Replay
from macpo.weighting.weighting import Weighting

NonFiniteRewards: TypeAlias = Literal["refuse", "zero"]
"""What happens to a reward that is NaN or infinite."""


@dataclass(frozen=True)
class Run:
    """How an experiment is run; PyMARL's names where its users know them, units in the text.

    >>> Run(steps=1_000_000, seeds=4).batch_size
    32
    """

    steps: NonNegativeInt = 300_000
    """Env steps per seed (PyMARL: t_max); 0 for a run that learns offline."""
    updates: Annotated[NonNegativeInt, YOUNGER] = 0
    """Gradient steps of a run that learns offline: with steps 0, from the episodes of replay.from
    alone; a multiple of updates_per_iteration. Intervals are counted in updates too
    (docs/offline.md)."""
    seeds: PositiveInt = 1
    """How many seeds are trained at once, in one compiled program."""
    seed: NonNegativeInt = 0
    """The first seed; the others follow."""
    batch_size_run: PositiveInt = 8
    """Parallel environments; one iteration plays one episode in each."""
    batch_size: PositiveInt = 32
    """Episodes in an update."""
    updates_per_iteration: Annotated[int, Bounds(at_least=1, at_most=100_000)] = 4
    """Gradient steps after each iteration. (PyMARL2's preset: one, of 128 episodes.)"""
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
    nonfinite_rewards: NonFiniteRewards = "refuse"
    """`refuse`: a reward that is NaN or infinite ends the run, since no network recovers from it;
    `zero`: it is read as 0, and counted."""
    precision: Annotated[Precision, YOUNGER] = "float32"
    """Of the matrix products in updates. `bf16`: factors are rounded to bfloat16 and summed in
    float32, for processors with units for that (`macpo doctor`); everything else is in float32."""

    def __post_init__(self) -> None:
        check_fields(self, "")
        for name in ("batch_size", "batch_size_run"):
            n_episodes = getattr(self, name)
            require(
                n_episodes <= self.buffer_size,
                f"{name} ({n_episodes} episodes) is larger than buffer_size "
                f"({self.buffer_size}); lower the one or raise the other.",
            )
        self._check_end()
        self._check_counts()

    @property
    def is_offline(self) -> bool:
        """Whether it learns from episodes that were played before, and plays none but to evaluate.

        Whatever is counted in env steps otherwise (the run's end, intervals, annealing) is then
        counted in updates.
        """
        return self.steps == 0

    @property
    def end(self) -> int:
        """How far every seed goes, in `unit`."""
        return self.updates if self.is_offline else self.steps

    @property
    def unit(self) -> str:
        """In words, what is counted to the end."""
        return "updates" if self.is_offline else "env steps"

    @property
    def end_flag(self) -> str:
        """The command line's flag that extends it."""
        return "--updates" if self.is_offline else "--steps"

    def so_far(self, done: int) -> str:
        """In words: "played 1,000 env steps"; "made 1,000 updates" where it learns offline."""
        return f"{'made' if self.is_offline else 'played'} {done:,} {self.unit}"

    def episodes(self, iterations: int) -> int:
        """How many have been played after so many iterations."""
        return 0 if self.is_offline else iterations * self.batch_size_run

    def _check_end(self) -> None:
        """UsageError unless exactly one of `steps` and `updates` is set."""
        require(
            self.steps > 0 or self.updates > 0,
            "steps must be at least 1, not 0, unless a run learns offline, which needs a number of "
            "updates and episodes to begin with (docs/offline.md).",
        )
        require(
            self.steps == 0 or self.updates == 0,
            f"updates ({self.updates:,}) are given to a run that learns offline, with steps 0; "
            f"with {self.steps:,} steps, updates_per_iteration decides how many there are.",
        )
        require(
            self.updates % self.updates_per_iteration == 0,
            f"updates ({self.updates:,}) must be a multiple of updates_per_iteration "
            f"({self.updates_per_iteration:,}), which are made in a row; change either.",
        )

    def _check_counts(self) -> None:
        """UsageError for what 32 bits cannot count."""
        last = self.seed + self.seeds - 1
        require(last <= MAX_INT, f"the last seed must be at most {MAX_INT:,}, not {last:,}.")
        updates = self.steps // self.batch_size_run * self.updates_per_iteration
        require(
            updates <= MAX_INT,
            f"steps ({self.steps:,}) can lead to {updates:,} updates, but at most {MAX_INT:,} are "
            "counted; lower updates_per_iteration or raise batch_size_run.",
        )


@dataclass(frozen=True, init=False)
class Experiment:
    """What is trained on what, how. Parts may be given by name: `Experiment(env="two-step")`.

    Where nothing else is given, an algorithm that is named is trained with uniform weights and, if
    it has one, on its own schedule. Without a name it is QMIX with MAC-PO's weights.

    What can be constructed can be written to experiment.json and read back. Raises UsageError for
    settings that a file cannot hold and for configurations that it cannot name.

    >>> experiment = Experiment(env="two-step", algorithm="vdn", weighting="per")
    >>> experiment.weighting.alpha, experiment.run.steps
    (1.0, 300000)
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
        parts = {name: _part(name, given) for name, given in chosen.items()}
        replay = Replay() if replay is None else replay
        run = Run(**parts["algorithm"].schedule) if run is None else run
        for name, value in {**parts, "replay": replay, "run": run}.items():
            object.__setattr__(self, name, _lasting(name, value))
        require(
            not self.run.is_offline or self.replay.from_file is not None,
            f"{self.run.updates:,} updates without env steps need episodes to learn from: name "
            "their file with replay.from_file (--replay.from FILE; `macpo export-replay` writes "
            "it).",
        )

    def __repr__(self) -> str:
        """As it can be typed, with the settings that differ from the defaults."""
        parts = {name: getattr(self, name) for name in PARTS}
        shared = len({type(part).__name__ for part in parts.values()}) < len(parts)
        given = {
            name: f"{PARTS[name]}.{_call(part)}" if shared else _call(part)
            for name, part in parts.items()
        }
        if self.replay != Replay():
            given["replay"] = _call(self.replay)
        if self.run != Run(**self.algorithm.schedule):
            given["run"] = _call(self.run)
        return f"Experiment({', '.join(f'{name}={value}' for name, value in given.items())})"

    @property
    def title(self) -> str:
        """environment, algorithm and weighting in a few words."""
        return " ".join(registry.name_of(getattr(self, name)) for name in PARTS)


def _call(config: Dataclass) -> str:
    """The expression that makes a configuration, without the fields that have their defaults."""
    changed = [
        f"{field.name}={value!r}"
        for field in dataclasses.fields(config)
        for value in [getattr(config, field.name)]
        if value != default_of(field)
    ]
    return f"{type(config).__name__}({', '.join(changed)})"


def default_of(field: "dataclasses.Field[object]") -> object:
    """The value of a dataclass's field where none is given; `dataclasses.MISSING` without one."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


SETTINGS = ("replay", "run")
"""The parts that are not plug-ins."""

PARTS: Mapping[str, registry.Kind] = types.MappingProxyType(
    {"env": "envs", "algorithm": "algorithms", "weighting": "weighting"}
)


def to_dict(experiment: Experiment) -> JsonObject:
    """Plain data: each part with its registered name and every value."""
    parts = {
        name: {"name": registry.name_of(part), **settings(part)}
        for name in PARTS
        for part in [getattr(experiment, name)]
    }
    return {**parts, **{name: settings(getattr(experiment, name)) for name in SETTINGS}}


def from_dict(data: Settings, *, trust: bool = False) -> Experiment:
    """The inverse of `to_dict`.

    UsageError for unknown names and values of a wrong type, and unless `trust` for names that would
    be imported: whoever wrote the file could run any code with them.
    """
    given: Json = data
    require(isinstance(given, Mapping), "an experiment must be an object with sections.")
    known = (*PARTS, *SETTINGS)
    for name in data:
        require(
            name in known,
            f"an experiment has no section {shown(name)}; {nearest(str(name), known)}",
        )
    sections = {name: _mapping(data, name) for name in PARTS}
    if not trust:
        _refuse_imports(sections)
    parts = {name: part_from_dict(name, section, trust=True) for name, section in sections.items()}
    sampling = _mapping(data, "replay") if "replay" in data else {}  # older files have none
    return Experiment(
        **parts,
        replay=build(Replay, sampling, "replay"),
        run=build(Run, _mapping(data, "run"), "run"),
    )


def part_from_dict(part: str, data: Settings, *, trust: bool = False) -> registry.Plugin:
    """One of `PARTS`, from its section in what `to_dict` gives; `trust` as in `from_dict`."""
    if not trust:
        _refuse_imports({part: data})
    return registry.config_of_section(PARTS[part], {**data, "name": _name_in(part, data)}, part)


def identity(experiment: Experiment) -> JsonObject:
    """What digests are made of: `to_dict`, without what says nothing of what is learned.

    Settings that are younger than digests are left out where they have their defaults; so is the
    place of a file whose content is known.
    """
    data = to_dict(experiment)
    if data["replay"]["from_sha256"] is not None:
        del data["replay"]["from_file"]
    for part, section in data.items():
        config = getattr(experiment, part)
        hints = field_hints(type(config))
        for field in dataclasses.fields(config):
            is_default = getattr(config, field.name) == default_of(field)
            if YOUNGER in getattr(hints[field.name], "__metadata__", ()) and is_default:
                section.pop(field.name, None)
    return data


def digest(experiment: Experiment) -> str:
    """Twelve hexadecimal digits that name this experiment."""
    text = json.dumps(identity(experiment), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def difference(a: Settings, b: Settings) -> list[str]:
    """What differs between two experiments as plain data, one `part.field: a → b` each."""
    return [
        f"{part}.{name}: {a[part].get(name)} → {b[part].get(name)}"
        for part in a
        for name in sorted({*a[part], *b[part]})
        if a[part].get(name) != b[part].get(name)
    ]


def _part(name: str, given: Unchecked) -> registry.Plugin:
    """The configuration of a part that may be given by name."""
    config = registry.make_config(PARTS[name], given) if isinstance(given, str) else given
    require(
        dataclasses.is_dataclass(config) and not isinstance(config, type),
        f"{name} must be a name of `macpo list` or a configuration such as "
        f"macpo.{PARTS[name]}.{_EXAMPLES[name]}(), not {shown(config)}.",
    )
    registry.check_lasting_name(PARTS[name], config)
    return config


_EXAMPLES = {"env": "PredatorPrey", "algorithm": "QMIX", "weighting": "MacPO"}


def _lasting(name: str, config: Unchecked) -> Unchecked:
    """The configuration as experiment.json gives it back; UsageError if it cannot."""
    expected = {"replay": Replay, "run": Run}.get(name, object)
    require(
        isinstance(config, expected),
        f"{name} must be a {expected.__name__}(…), not {shown(config)}.",
    )
    return conformed(config, name)


def needs_trust(experiment: Experiment) -> bool:
    """Whether the experiment's file names code that is not registered."""
    names = (registry.name_of(getattr(experiment, part)) for part in PARTS)
    return any(map(registry.is_import_path, names))


def _refuse_imports(sections: Mapping[str, Settings]) -> None:
    """UsageError, which shows what would be imported, unless every part has a registered name."""
    foreign = [
        f"{registry.NOUN[PARTS[part]]} {shown(name)}" + (f" with {shown(options)}" * bool(options))
        for part, section in sections.items()
        for name, options in [(_name_in(part, section), section.get("options"))]
        if registry.is_import_path(name)
    ]
    require(
        not foreign,
        f"this experiment would import and call what is not registered here, the "
        f"{' and the '.join(foreign)}; if you trust whoever wrote it, allow that with --trust "
        "(trust=True in Python).",
    )


def _name_in(part: str, section: Settings) -> str:
    name = section.get("name", "")
    if not isinstance(name, str):
        raise UsageError(f"{part}.name must be text, not {shown(name)}.")
    return name


def _mapping(data: Settings, key: str) -> Settings:
    value = data.get(key)
    if not isinstance(value, Mapping):
        raise UsageError(
            f"the experiment file has no section {key!r}; it needs env, algorithm, weighting "
            "and run, as `macpo train` writes them to experiment.json."
        )
    return cast(Settings, value)
