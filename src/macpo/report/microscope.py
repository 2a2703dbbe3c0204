"""Replay under the microscope: what runs have recorded of it, as numbers and pictures of a page."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from macpo.envs.base import Environment
from macpo.envs.host import HostEnvironment
from macpo.envs.host_stub import HostEnvStub
from macpo.errors import UsageError, require
from macpo.experiment import part_from_dict
from macpo.field_types import Json, Settings
from macpo.render.frames import stored_picture
from macpo.report.collection import Collection
from macpo.report.seeds import TrainedSeed
from macpo.runs.directory import RunDirectory
from macpo.runs.record.moment import Moment, Part, Steps, moment_files, read_moment
from macpo.types import PyTree

MAX_RUNS, MAX_MOMENTS = 6, 16
"""In a page: recorded runs, and moments of all of them together."""
MAX_PICTURES = 1_500_000
"""Bytes of all pictures in a page."""
COLORS = 48
"""Of a picture."""
DIGITS = 4
"""Significant ones of what is recorded."""
LOG_ZERO = -1e4
"""What stands for the log of 0, which JSON lacks, and for what is below."""


@dataclass(frozen=True)
class RecordedMoment:
    """The kept steps of one batch, a column for each of their numbers."""

    env_steps: int
    updates: int
    n_episodes: int
    n_steps: int
    """Of the batch; those that are kept may be fewer."""
    factors: tuple[str, ...]
    steps: Mapping[str, Int[np.ndarray, " n"] | Float[np.ndarray, " n"]]
    """As `macpo.runs.record.moment.Steps`, without the factors and with `td_error_abs`."""
    log_factors: Float[np.ndarray, "F n"]
    listed: Int[np.ndarray, " L"]
    """Places of the listed steps among them."""


@dataclass(frozen=True)
class RecordedReplay:
    """What one seed has recorded of its replay."""

    task: int
    method: int
    seed: int
    directory: str
    summary: str
    """The weighting in a sentence of its own."""
    part: Part
    """What has weights of its own: `agent`, `critic`, or nothing but the team (empty)."""
    n_recorded: int
    """Moments; those of the page may be fewer."""
    moments: tuple[RecordedMoment, ...]


class Recording(NamedTuple):
    """A seed with the moments that a page shows."""

    task: int
    method: int
    trained: TrainedSeed
    n_recorded: int
    moments: tuple[Moment, ...]


class Found(NamedTuple):
    """The recordings of a page, and sentences about what it lacks."""

    recordings: tuple[Recording, ...]
    notes: tuple[str, ...]


class Picture(NamedTuple):
    """A listed step as it is drawn."""

    recording: int
    moment: int
    place: int
    """Of the step among those of the moment."""
    png: bytes


def find_recordings(collection: Collection) -> Found:
    """Of each method on each task, the first seed that has recorded its replay."""
    recorded: list[tuple[tuple[int, int], TrainedSeed]] = []
    notes: list[str] = []
    for place, seeds in collection.seeds.items():
        having = [seed for seed in seeds if _files(seed, notes)]
        recorded += [(place, seed) for seed in having[:1]]
    if len(recorded) > MAX_RUNS:
        n_more = len(recorded) - MAX_RUNS
        notes.append(
            f"{n_more} more methods have recorded their replay than the {MAX_RUNS} that a page "
            "shows; report on fewer runs to see them."
        )
    recorded = recorded[:MAX_RUNS]
    found: list[Recording] = []
    for (task, method), seed in recorded:
        files = _files(seed, [])
        n = min(MAX_MOMENTS // len(recorded), len(files))
        evenly = np.linspace(len(files) - 1, 0, n).round().astype(int)[::-1]
        moments: list[Moment] = []
        for i in evenly:
            try:
                moments.append(read_moment(files[i]))
            except UsageError as error:
                notes.append(f"Left out: {error}")
        if moments:
            found.append(Recording(task, method, seed, len(files), tuple(moments)))
    return Found(tuple(found), tuple(dict.fromkeys(notes)))


def _files(seed: TrainedSeed, notes: list[str]) -> list[Path]:
    """Those of a seed's moments; why they cannot be told is noted."""
    run: Json = seed.experiment.get("run", {})
    first = run.get("seed", 0) if isinstance(run, Mapping) else 0
    if seed.seed != first:  # the only one of a run that is recorded
        return []
    try:
        return moment_files(RunDirectory(seed.directory).replay)
    except UsageError as error:
        notes.append(f"Left out: {error}")
        return []


def numbers(recording: Recording) -> RecordedReplay:
    """Every number that the page shows of a recording."""
    last = recording.moments[-1].about
    return RecordedReplay(
        recording.task,
        recording.method,
        recording.trained.seed,
        str(recording.trained.directory),
        last.summary,
        last.part,
        recording.n_recorded,
        tuple(map(_numbers, recording.moments)),
    )


def _numbers(moment: Moment) -> RecordedMoment:
    about, steps = moment.about, moment.steps
    steps = steps._replace(
        log_raw=np.maximum(steps.log_raw, LOG_ZERO),
        log_factors=np.maximum(steps.log_factors, LOG_ZERO),
    )
    columns = {
        name: _rounded(column)
        for name, column in zip(Steps._fields, steps, strict=True)
        if name != "log_factors"
    }
    columns["td_error_abs"] = _rounded(steps.td_error_abs)
    return RecordedMoment(
        about.env_steps,
        about.updates,
        about.n_episodes,
        about.n_steps,
        about.factors,
        columns,
        _rounded(steps.log_factors.T),
        moment.listed.place,
    )


def _rounded(x: np.ndarray) -> np.ndarray:
    """To `DIGITS` significant digits; whole numbers as they are."""
    if x.dtype.kind in "iu":
        return x
    rounded = [float(f"{value:.{DIGITS}g}") for value in x.ravel().tolist()]
    return np.array(rounded, np.float64).reshape(x.shape)


# --- pictures -------------------------------------------------------------------------------------


class Drawn(NamedTuple):
    """The pictures of a page, and sentences about those that are not there."""

    pictures: tuple[Picture, ...]
    notes: tuple[str, ...]


def draw_pictures(recordings: Sequence[Recording]) -> Drawn:
    """A picture of every listed step, as far as they fit into a page.

    Where there is no room for all, moments go without pictures evenly.
    """
    pictures: list[Picture] = []
    notes: list[str] = []
    for i, recording in enumerate(recordings):
        room = MAX_PICTURES // len(recordings)
        try:
            env, n_left_out = _environment(recording.trained.experiment), 0
            encoded = _encoded_shapes(env)
            for j in _spread(len(recording.moments)):
                drawn = [
                    Picture(i, j, *each) for each in _drawn(env, encoded, recording.moments[j])
                ]
                size = sum(len(picture.png) for picture in drawn)
                if size <= room:
                    pictures += drawn
                    room -= size
                else:
                    n_left_out += 1
            if n_left_out:
                notes.append(
                    f"{recording.trained.directory}: {n_left_out} of {len(recording.moments)} "
                    "moments of replay are shown without pictures, for which the page has no room."
                )
        except UsageError as error:
            notes.append(f"{recording.trained.directory}: no pictures of its replay: {error}")
    return Drawn(tuple(pictures), tuple(notes))


def _spread(n: int) -> list[int]:
    """0 … n−1 in such an order that the first ones are far from each other; the last comes first.

    >>> _spread(6)
    [5, 1, 3, 0, 2, 4]
    """
    order = list[int]()
    step = 1 << max(n - 1, 0).bit_length()
    while step:
        order += [i for i in range(n - 1, -1, -step) if i not in order][::-1]
        step //= 2
    return order


def _drawn(env: Environment, encoded: PyTree, moment: Moment) -> Iterator[tuple[int, bytes]]:
    """(place, PNG) of every listed step of a moment; UsageError if they cannot be drawn."""
    steps, listed = moment.steps, moment.listed
    done: dict[tuple[int, int], bytes] = {}  # agents of a step share its picture
    for k, place in enumerate(listed.place.tolist()):
        episode, step = int(steps.episode[place]), int(steps.step[place])
        if (episode, step) not in done:
            before, after = (_state(encoded, [x[k, i] for x in listed.states]) for i in (0, 1))
            caption = f"step {step}   reward {steps.reward[place]:+.4g}".replace("-", "−")
            image = stored_picture(env, (before, after), step, listed.actions[k], caption)
            done[episode, step] = _png(image)
        yield place, done[episode, step]


def _environment(experiment: Settings) -> Environment:
    """The environment of a run; UsageError if it is not one that is registered here."""
    env = part_from_dict("env", experiment["env"]).make()
    return HostEnvStub(env.spec) if isinstance(env, HostEnvironment) else env


def _encoded_shapes(env: Environment) -> PyTree:
    """Shapes and types of an encoded state."""
    return jax.eval_shape(lambda: env.encode(env.reset(jax.random.key(0))[0]))


def _state(encoded: PyTree, leaves: Sequence[np.ndarray]) -> PyTree:
    """The leaves of an encoded state put together; UsageError if they do not fit its shapes."""
    shapes, structure = jax.tree.flatten(encoded)
    require(
        [(x.shape, x.dtype) for x in leaves] == [(x.shape, x.dtype) for x in shapes],
        "the environment does not encode its states as it did when they were recorded.",
    )
    return jax.tree.unflatten(structure, leaves)


def _png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    fast = Image.Quantize.FASTOCTREE  # a sixth of the time of the best one; nobody sees it here
    small = image.convert("RGB").quantize(COLORS, method=fast, dither=Image.Dither.NONE)
    small.save(data, "PNG")
    return data.getvalue()


def data_url(png: bytes) -> str:
    """The picture as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
