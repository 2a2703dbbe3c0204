"""The runs in some folders, read, and sorted by task and method.

A task is an environment with its settings, a method everything else that decides what is learned,
a trained seed what one seed of a run has recorded.
"""

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from macpo.errors import UsageError, require
from macpo.experiment import PARTS, SETTINGS, Run, part_from_dict
from macpo.field_types import Settings, build, settings
from macpo.replay.priority import Replay
from macpo.report import records
from macpo.report.formats import format_of
from macpo.report.labels import OFFLINE, flat, same, tell_apart, unit_of
from macpo.report.places import arm_of, is_run, places, read_study, study_of
from macpo.report.records import Row
from macpo.report.seeds import IMPORTED, TrainedSeed
from macpo.runs.directory import RunDirectory
from macpo.runs.record.timing import total_seconds

FrameKind: TypeAlias = Literal["numpy", "pandas", "polars"]
DIAGNOSTICS = (
    "weight_ess_fraction",
    "weight_raw_mean",
    "weight_max",
    "weight_share_small",
    "f_mean",
    "f_std",
    "td_error_abs",
    "q_star_gap",
    "q_taken_mean",
    "pi_taken_mean",
    "return_mean",
    "epsilon",
)
"""Metrics of training rows that are kept, where a run has them."""
NOT_OF_THE_METHOD = (
    *("run.seed", "run.seeds", "run.steps", "run.updates"),
    *("run.checkpoint_interval", "run.test_interval", "run.test_nepisode"),
    *("replay.from_file", "replay.from_sha256"),
)
"""Settings that say how much is trained, saved and evaluated, not what is learned by when; and the
place of a file, of which its content counts."""
_MADE_BY = re.compile("A run of (.+)\\.")


class Task(NamedTuple):
    """An environment with its settings; of runs that learn offline, with their file's episodes."""

    title: str
    settings: Settings

    @property
    def unit(self) -> str:
        """Over what curves are drawn, in words."""
        return unit_of(self.settings)


class Method(NamedTuple):
    """What was trained, apart from the environment."""

    label: str
    settings: Settings


@dataclass(frozen=True)
class Collection:
    """Every trained seed that could be read, and sentences about the rest."""

    tasks: tuple[Task, ...]
    methods: tuple[Method, ...]
    seeds: Mapping[tuple[int, int], tuple[TrainedSeed, ...]]
    """By the indices of task and method."""
    notes: tuple[str, ...]

    def to_frame(self, kind: FrameKind = "numpy") -> Any:  # of a library as asked
        """All evaluations, a row for each value: task, method, seed, env_steps, metric, value.

        A dictionary of NumPy arrays, or a DataFrame of pandas or polars. Raises UsageError if that
        is not installed.
        """
        rows = [
            (self.tasks[task].title, self.methods[method].label, seed.seed, metric, curve)
            for (task, method), seeds in self.seeds.items()
            for seed in seeds
            for metric, curve in seed.evaluations.items()
        ]
        lengths = [len(curve.values) for *_, curve in rows]
        titles, labels, numbers, metrics, curves = zip(*rows, strict=True) if rows else ((),) * 5
        columns = {
            "task": np.repeat(np.array(titles, str), lengths),
            "method": np.repeat(np.array(labels, str), lengths),
            "seed": np.repeat(np.array(numbers, np.int64), lengths),
            "env_steps": np.concatenate([np.empty(0, np.int64), *(c.env_steps for c in curves)]),
            "metric": np.repeat(np.array(metrics, str), lengths),
            "value": np.concatenate([np.empty(0), *(c.values for c in curves)]),
        }
        if kind == "numpy":
            return columns
        try:
            library = importlib.import_module(kind)
        except ImportError as error:
            raise UsageError(f"{kind} is not installed: `pip install {kind}`.") from error
        return library.DataFrame(columns)


def collect(paths: Sequence[Path]) -> Collection:
    """The runs in these directories, which may be runs, studies, or folders that hold any.

    Files and directories of other programs are read too (`macpo.report.formats`): a directory
    wherever it is found, a file if it is named itself. What cannot be read becomes a note. Raises
    UsageError if nothing can be read.
    """
    seeds, notes = dict[Path, list[TrainedSeed]](), list[str]()
    for path in paths:
        directories = list(places(path, notes))
        for directory in directories:
            place = directory.resolve()
            if place not in seeds:
                try:
                    seeds[place] = list(_read(directory))
                except UsageError as error:
                    seeds[place] = []
                    notes.append(f"Left out: {error}")
    found = [seed for of_run in seeds.values() for seed in of_run]
    notes += _of_studies(found, paths)
    notes = list(dict.fromkeys(notes))
    require(
        bool(found),
        f"there is nothing to report on: {' '.join(first_of(notes, MAX_NOTES))} "
        "Give run directories, as `macpo train` makes them, studies, or folders that hold some.",
    )
    return _sorted(found, notes)


MAX_NOTES = 3
"""In the sentence that there is nothing to report on."""


def first_of(notes: Sequence[str], n: int) -> list[str]:
    """The first notes, and how many more there are.

    >>> first_of(["One.", "Two.", "Three."], 1)
    ['One.', 'And 2 more like these.']
    """
    more = len(notes) - n
    return [*notes[:n], *([f"And {more} more like these."] if more > 0 else [])]


def _read(place: Path) -> Iterator[TrainedSeed]:
    other = None if is_run(place) else format_of(place)
    return other.read(place) if other else read_seeds(place)


def read_seeds(directory: Path) -> Iterator[TrainedSeed]:
    """Every seed of one run; UsageError if the run cannot be read or has no metrics yet."""
    experiment = records.read_experiment(directory)
    rows, reasons = records.read_sound_metrics(directory)
    notes = [f"{reason} The run is shown without it." for reason in reasons]
    tests, trains = (records.by_seed(rows, kind) for kind in ("test", "train"))
    last: dict[int, Row] = {row["seed"]: row for row in rows}
    absolute = dict[int, Row]()
    try:
        absolute = records.read_absolute(directory)
    except UsageError as error:
        notes.append(f"{error} Without it, the run's absolute metric is not shown.")
    for seed, row in sorted(last.items()):
        of_tests = tests.get(seed, [])
        outcomes = sorted(x for x in set[str]().union(*of_tests) if x.startswith("test_"))
        yield TrainedSeed(
            directory,
            seed,
            experiment,
            records.curves(of_tests, outcomes),
            records.curves(trains.get(seed, []), DIAGNOSTICS),
            row["env_steps"],
            row.get("updates", 0),
            total_seconds(RunDirectory(directory).timing),
            _made_by(directory),
            arm_of(directory),
            absolute.get(seed, {}),
            tuple(notes),
        )


def _of_studies(seeds: Sequence[TrainedSeed], paths: Sequence[Path]) -> list[str]:
    """What studies plan in these paths and the seeds lack, and which studies cannot be read."""
    by_study: dict[Path, set[tuple[str, int]]] = {}
    for seed in seeds:
        if study := study_of(seed.directory):
            by_study.setdefault(study, set()).add((seed.arm, seed.seed))
    notes: list[str] = []
    for directory, there in by_study.items():
        try:
            study = read_study(directory)
        except UsageError as error:
            notes.append(f"{error} Its runs are shown all the same.")
            continue
        for arm in study.arms:
            folder = directory / "runs" / arm
            if not any(folder.is_relative_to(path.absolute()) for path in paths):
                continue
            missing = [str(seed) for seed in study.seeds if (arm, seed) not in there]
            if missing:
                which = f"seed{'s' * (len(missing) > 1)} {', '.join(missing)}"
                notes.append(f"Study {study.name}: {arm} has no readable records of {which} yet.")
    return notes


# --- reading --------------------------------------------------------------------------------------


def _made_by(run: Path) -> str:
    """What the run's README says of versions and device."""
    try:
        match = _MADE_BY.search(RunDirectory(run).readme.read_text(errors="replace")[:2000])
    except OSError:
        return ""
    return match[1] if match else ""


def _completed(experiment: Settings) -> Settings:
    """The experiment with the defaults of settings that were added after it was written.

    Parts that are not registered here are as they are: a report imports nothing. Of an imported
    one, what was not recorded is unknown.
    """
    known, is_imported = dict(experiment), IMPORTED in experiment
    for part in ["env"] if is_imported else PARTS:
        with suppress(UsageError):
            config = part_from_dict(part, experiment[part])
            known[part] = {"name": experiment[part]["name"], **settings(config)}
    for name, kind in {} if is_imported else {"replay": Replay, "run": Run}.items():
        given = experiment.get(name, {})
        known[name] = given if isinstance(given, Mapping) else {}
        with suppress(UsageError):
            known[name] = settings(build(kind, known[name], name))
    return known


# --- sorting --------------------------------------------------------------------------------------


def _sorted(found: Sequence[TrainedSeed], notes: Sequence[str]) -> Collection:
    """By task and method, both in the order in which they are met."""
    completed = [_completed(seed.experiment) for seed in found]
    envs = [_of_the_task(experiment) for experiment in completed]
    others = [_of_the_method(experiment) for experiment in completed]
    tasks = {same(env): env for env in envs}
    methods = {same(other): other for other in others}
    titles = tell_apart(list(tasks.values()), ["env.name"])
    named, source = ["algorithm.name", "weighting.name"], f"{IMPORTED}.from"
    if len({other.get(source) for other in others}) > 1:
        named.append(source)
    labels = tell_apart(list(methods.values()), named)
    cells = [
        (list(tasks).index(same(env)), list(methods).index(same(other)))
        for env, other in zip(envs, others, strict=True)
    ]
    seeds: dict[tuple[int, int], tuple[TrainedSeed, ...]] = {}
    for place, seed in zip(cells, found, strict=True):
        seeds[place] = (*seeds.get(place, ()), seed)
    labels = _with_arms(labels, seeds)
    collection = Collection(
        tuple(map(Task, titles, tasks.values())),
        tuple(map(Method, labels, methods.values())),
        {place: tuple(sorted(seeds[place], key=lambda seed: seed.seed)) for place in sorted(seeds)},
        (),
    )
    return replace(collection, notes=(*notes, *_oddities(collection)))


_ALWAYS_TOLD = ("algorithm.name", "weighting.name", f"{IMPORTED}.from")
"""In the label of a method."""


_OF_THE_METHOD = ("algorithm", "weighting", *SETTINGS, IMPORTED)
"""Sections of an experiment; of an imported one not all are there."""


def _of_the_task(experiment: Settings) -> Settings:
    env = flat(experiment, "env")
    is_offline = experiment.get("run", {}).get("steps") == 0
    return {**env, OFFLINE: _episodes_of(experiment)} if is_offline else env


def _episodes_of(experiment: Settings) -> str | None:
    """Which episodes replay begins with, in a few letters; None for none.

    What is in a file counts, not where it lies.
    """
    sha256 = experiment.get("replay", {}).get("from_sha256")
    return None if sha256 is None else str(sha256)[:12]


def _of_the_method(experiment: Settings) -> Settings:
    sections = [name for name in _OF_THE_METHOD if name in experiment]
    found = flat(experiment, *sections)
    others = {name: value for name, value in found.items() if name not in NOT_OF_THE_METHOD}
    begins_with = _episodes_of(experiment)
    is_offline = OFFLINE in _of_the_task(experiment)
    return others if begins_with is None or is_offline else {**others, "replay.from": begins_with}


def _with_arms(
    labels: Sequence[str], seeds: Mapping[tuple[int, int], tuple[TrainedSeed, ...]]
) -> list[str]:
    """The labels; of a method that is all of one arm, and all of that arm, the arm's name."""
    arms = [
        {seed.arm for (_, m), of in seeds.items() if m == i for seed in of}
        for i in range(len(labels))
    ]
    users = [arm for of_method in arms for arm in of_method]
    return [
        arm if len(of_method) == 1 and arm and users.count(arm) == 1 else label
        for label, of_method in zip(labels, arms, strict=True)
        for arm in [min(of_method)]
    ]


def _oddities(collection: Collection) -> Iterator[str]:
    """What a reader should know before comparing."""
    for (task, method), seeds in collection.seeds.items():
        where = f"{collection.methods[method].label} on {collection.tasks[task].title}"
        numbers = [seed.seed for seed in seeds]
        for number in sorted({n for n in numbers if numbers.count(n) > 1}):
            places = " and ".join(str(s.directory) for s in seeds if s.seed == number)
            yield f"{where}: seed {number} is there more than once, in {places}; all are shown."
        for seed in seeds:
            if not seed.evaluations:
                yield f"{where}: seed {seed.seed} has not been evaluated yet ({seed.directory})."
    runs = {s.directory: s.notes for seeds in collection.seeds.values() for s in seeds}
    for _, told in sorted(runs.items()):
        yield from first_of(told, MAX_NOTES)
    for i, task in enumerate(collection.tasks):
        last = [s.done for place, of in collection.seeds.items() if place[0] == i for s in of]
        if max(last) > 1.1 * min(last):
            yield (
                f"{task.title}: seeds have been trained for {min(last):,} to {max(last):,} "
                f"{task.unit}; the final scores are those of each seed's own end."
            )
