"""Where runs, studies and records of other programs lie.

A study's runs are in STUDY/runs/ARM/.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from macpo.errors import UsageError, require, shown
from macpo.field_types import Json, Settings
from macpo.report.formats import format_of
from macpo.runs.directory import RunDirectory
from macpo.runs.files import disk_errors, is_file, read_json
from macpo.study.directory import PLAN


class PlannedStudy(NamedTuple):
    """What a study's directory says of its runs."""

    name: str
    arms: tuple[str, ...]
    seeds: tuple[int, ...]


def read_study(directory: Path) -> PlannedStudy:
    """The study of a directory; UsageError if its file cannot be read."""
    file = directory / PLAN
    data = read_json(file, "a study")
    require(
        isinstance(data, dict) and isinstance(data.get("arms"), dict),
        f"{file} holds no study: it needs name, arms and seeds.",
    )
    seeds: Json = data.get("seeds", [])
    require(
        isinstance(seeds, list) and all(type(seed) is int for seed in seeds),
        f"{file}: seeds must be a list of whole numbers, not {shown(seeds)}.",
    )
    plan: Settings = data
    return PlannedStudy(str(plan.get("name", directory.name)), tuple(plan["arms"]), tuple(seeds))


def places(path: Path, notes: list[str]) -> Iterator[Path]:
    """Those of runs, in order; a study's in that of its arms. Why some cannot be told is noted.

    Files and directories of other programs are among them.
    """
    if is_file(path):
        if format_of(path):
            yield path
        else:
            notes.append(f"{path} is neither a .json of marl-eval nor a .csv of wandb.")
        return
    try:
        with disk_errors(path, "read"):
            is_directory = path.is_dir()
    except UsageError as error:
        notes.append(f"Left out: {error}")
        return
    if not is_directory:
        notes.append(f"There is no directory {path}.")
        return

    def refused(error: OSError) -> None:
        notes.append(f"Left out: cannot read {error.filename}: {error.strerror}.")

    n_found = 0
    for folder, folders, files in os.walk(path, onerror=refused):
        here = Path(folder)
        folders.sort()
        if is_run(here) or (files and format_of(here)):
            yield here
            n_found += 1
            folders.clear()
        elif here.name == "runs" and (here.parent / PLAN).is_file():
            with suppress(UsageError):  # the collection tells it
                arms = read_study(here.parent).arms
                folders.sort(key=lambda arm: arms.index(arm) if arm in arms else len(arms))
    if not n_found:
        notes.append(f"{path} holds no run.")


def is_run(place: Path) -> bool:
    """Whether it is a run's directory, which may be damaged."""
    own = RunDirectory(place)
    return is_file(own.experiment) or is_file(own.metrics)


def study_of(run: Path) -> Path | None:
    """The directory of the study that a run belongs to: it is in STUDY/runs/ARM/."""
    study = run.absolute().parents[2:3]
    belongs = study and run.absolute().parents[1].name == "runs" and (study[0] / PLAN).is_file()
    return study[0] if belongs else None


def arm_of(run: Path) -> str:
    """The arm of its study that a run belongs to; empty if to none."""
    return run.absolute().parent.name if study_of(run) else ""


def signature(paths: Sequence[Path]) -> frozenset[tuple[Path, int, int]]:
    """(file, time, size) of everything that a report on these directories depends on."""
    found: set[tuple[Path, int, int]] = set()
    for directory in (d for path in paths for d in places(path, [])):
        for file in (*_files(directory), *_study_files(directory)):
            with suppress(OSError):
                about = file.stat()
                found.add((file, about.st_mtime_ns, about.st_size))
    return frozenset(found)


def _files(place: Path) -> list[Path]:
    """What a report on a run depends on."""
    own = RunDirectory(place)
    if is_run(place):
        files = [own.experiment, own.metrics, own.absolute, own.episode]
        return [*files, *own.replay.glob("*.safetensors")]
    return [place] if is_file(place) else sorted(place.glob("*.json"))


def _study_files(run: Path) -> list[Path]:
    study = study_of(run)
    return [study / PLAN] if study else []
