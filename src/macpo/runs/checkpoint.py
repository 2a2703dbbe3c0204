"""Numbered checkpoints in a folder: each one file, whole or not there at all.

The last two are kept. Until the first one has been written, a note in the folder says so: a folder
with neither a checkpoint nor the note has lost its checkpoints. Another note says that they have
been dropped on purpose.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from macpo.field_types import Json
from macpo.runs import arrays
from macpo.runs.files import disk_errors, list_directory, write_atomically
from macpo.types import PyTree

KEEP = 2
NONE_YET = "none-yet"
"""The name of the note."""
DROPPED = "dropped"
"""The name of the other note."""
_NAME = re.compile(r"\d{12}\.safetensors")


def begin(directory: Path) -> None:
    """Make the folder, with the note that there is no checkpoint yet."""
    _make(directory)
    write_atomically(
        directory / NONE_YET,
        b"The run has not reached its first checkpoint: macpo resume starts it from the beginning.",
    )


def none_yet(directory: Path) -> bool:
    """Whether the folder says that the run has not reached its first checkpoint."""
    return (directory / NONE_YET) in list_directory(directory)


def drop(directory: Path) -> None:
    """Delete all checkpoints of a folder, oldest first, and nothing else; a note is left."""
    _make(directory)
    write_atomically(
        directory / DROPPED,
        b"The run's checkpoints have been dropped by macpo clean, or left where it was trained by "
        b"macpo push: it cannot be continued.",
    )
    for file in reversed(files(directory)):
        with disk_errors(file):
            file.unlink(missing_ok=True)


def is_dropped(directory: Path) -> bool:
    """Whether the folder says that its checkpoints have been dropped, and holds none."""
    return (directory / DROPPED) in list_directory(directory) and not files(directory)


def save(directory: Path, number: int, state: PyTree, info: Mapping[str, Json]) -> Path:
    """Save `state`, and JSON along with it, as checkpoint `number`; larger numbers are newer."""
    _make(directory)
    file = directory / f"{number:012d}.safetensors"
    arrays.write(file, state, info)
    others = files(directory)
    newer = [other for other in others if other.name > file.name]  # passed over by `resume`
    older = [other for other in others if other.name < file.name]
    for old in (directory / NONE_YET, directory / DROPPED, *newer, *older[KEEP - 1 :]):
        with suppress(OSError):  # what is left takes space, and does no harm
            old.unlink(missing_ok=True)
    return file


def files(directory: Path) -> list[Path]:
    """All checkpoints of a folder, sound or not, newest first; none if there is no folder."""
    return [file for file in reversed(list_directory(directory)) if _NAME.fullmatch(file.name)]


def _make(directory: Path) -> None:
    """Make the folder; not the run's, which somebody has then deleted or moved."""
    with disk_errors(directory, "create"):
        directory.mkdir(exist_ok=True)
