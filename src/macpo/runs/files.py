"""Files written whole or not at all, read with care, and errors of the disk told in a sentence."""

import errno
import json
import os
import re
from collections.abc import Collection, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal

from macpo.errors import UsageError
from macpo.field_types import Json

_ADVICE = {
    errno.ENOSPC: "free some space or choose another place",
    errno.EDQUOT: "free some space or choose another place",
    errno.EACCES: "change the permissions or choose another place",
    errno.EPERM: "change the permissions or choose another place",
    errno.ENAMETOOLONG: "choose a shorter name",
}
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EACCES, errno.EPERM)
"""How file systems say that they cannot sync a file or a directory (network file systems)."""
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.\d+\.tmp")
_MAX_NAME = 50
"""Letters of a file's name in that of its temporary file, which must not become too long."""


def write_atomically(file: Path, *parts: bytes | memoryview) -> None:
    """Write a whole file or none, safe against power loss; its content is the parts in a row.

    Raises UsageError if the disk refuses; the file's previous content is then still there.
    """
    with whole_or_none(file) as handle:
        for part in parts:
            handle.write(part)


@contextmanager
def whole_or_none(file: Path) -> Generator[BinaryIO]:
    """What is written to the handle replaces the file at the end; with an error, nothing does.

    As `write_atomically`, for content that is larger than memory.
    """
    temporary = file.with_name(f".{file.name[:_MAX_NAME]}.{os.getpid()}.tmp")
    with disk_errors(file):
        try:
            with temporary.open("wb") as handle:
                yield handle
                handle.flush()
                sync(handle.fileno())
            temporary.replace(file)
            sync_directory(file.parent)
        finally:
            temporary.unlink(missing_ok=True)


def remove_leftovers(directory: Path, names: Collection[str] | None = None) -> None:
    """Remove what processes that were killed in `write_atomically` have left of their files.

    Only of those with the given `names`, if there are any given. Nobody may be writing them now.
    """
    for file in list_directory(directory):
        match = _TEMPORARY.fullmatch(file.name)
        if match and (names is None or match["name"] in names):
            with disk_errors(file):
                file.unlink(missing_ok=True)


def list_directory(directory: Path) -> list[Path]:
    """What is in a directory; nothing if there is none. UsageError if it cannot be read."""
    with disk_errors(directory, "read"):
        try:
            return sorted(directory.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []


def is_file(path: Path) -> bool:
    """Whether there is a file; not if the system cannot tell (permissions, too long a name)."""
    with suppress(OSError):
        return path.is_file()
    return False


def write_json(file: Path, data: object) -> None:
    """Write readable JSON, atomically."""
    write_atomically(file, (json.dumps(data, indent=2) + "\n").encode())


def read_json(file: Path, what: str) -> Json:
    """Parse a JSON file; `what` it should hold is for the UsageError if that fails."""
    try:
        return parse_json(file.read_bytes())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"cannot read {what} from {file}: {why}.") from error


def parse_json(text: str | bytes) -> Json:
    """The data that a text describes; ValueError for whatever cannot be read."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


@contextmanager
def disk_errors(
    file: Path, action: Literal["write", "create", "read"] = "write"
) -> Generator[None]:
    """Turn an OSError during an action on `file` into a UsageError that names it."""
    try:
        yield
    except OSError as error:
        what = f"cannot {action} {file}: {error.strerror or error}"
        if action == "read":
            raise UsageError(f"{what}; see that it is there and may be read.") from error
        advice = _ADVICE.get(error.errno or 0, "choose another place")
        raise UsageError(f"{what}; {advice}. Nothing that was saved before is lost.") from error


def sync(handle: int) -> None:
    """Have an open file or directory written to the disk, where its file system can do that."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def sync_directory(directory: Path) -> None:
    """Have the names in a directory written to the disk, where its file system can do that."""
    try:
        handle = os.open(directory, os.O_RDONLY)
    except PermissionError:  # one may write into a directory that one may not read
        return
    try:
        sync(handle)
    finally:
        os.close(handle)
