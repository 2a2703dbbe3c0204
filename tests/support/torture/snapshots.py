"""Every state in which a kill or a power failure can leave a directory.

A process that is killed leaves what it has written so far. So a run is played once, and before each
of its operations on files the directory is copied: each copy is what a kill at that moment leaves.
Between two copies a file may have grown; a kill in the middle of that write leaves a part of it. A
power failure may take back whatever was not yet synchronised.
"""

import os
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from unittest import mock

import numpy as np

Files: TypeAlias = Mapping[str, bytes | None]
"""Content by relative path; None is a folder."""

_OPERATIONS = {
    *("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link"),
    *("os.symlink", "os.chmod", "fcntl.flock", "os.fsync"),
}
NOBODY = 99_999_999
"""Above the largest number of a process."""


class Operation(NamedTuple):
    """An operation on files, about to happen."""

    event: str
    """As Python's audit hooks name it."""
    writes: bool
    """Whether it needs a disk that takes something new."""
    text: str

    def __str__(self) -> str:
        return self.text


class Moment(NamedTuple):
    """A directory just before an operation."""

    operation: str
    files: Files
    synced: Files
    """The same files with the content of their last fsync, or none."""


class State(NamedTuple):
    """What a kill or a power failure leaves behind."""

    name: str
    files: Files


def read(directory: Path) -> Files:
    """Everything in a directory; nothing if it does not exist."""
    found = sorted(directory.rglob("*"))
    return {
        str(path.relative_to(directory)): None if path.is_dir() else path.read_bytes()
        for path in found
    }


def as_of_a_dead_process(files: Files) -> Files:
    """The same files, where names of temporary files hold the number of no process that lives."""
    return {name.replace(f".{os.getpid()}.", f".{NOBODY}."): x for name, x in files.items()}


def write(directory: Path, files: Files) -> None:
    """Make a directory that holds these files."""
    directory.mkdir(parents=True)
    for name, content in files.items():
        if content is None:
            (directory / name).mkdir()
        else:
            (directory / name).write_bytes(content)


@contextmanager
def recorded(directory: Path) -> Generator[list[Moment]]:
    """All moments of a directory, while what is inside the context works on it."""
    there = {name: directory / name for name, content in read(directory).items() if content}
    synced = {file.stat().st_ino: file.read_bytes() for file in there.values()}
    moments = list[Moment]()

    def note(operation: object) -> None:
        files = read(directory)
        inodes = {name: (directory / name).stat().st_ino for name, x in files.items() if x}
        for inode in set(synced) - set(inodes.values()):
            del synced[inode]  # deleted; the next new file may get its number
        kept = {
            name: synced.get(inodes.get(name, -1), b"") if content is not None else None
            for name, content in files.items()
        }
        moments.append(Moment(str(operation), files, kept))

    def on_sync(file: Any) -> None:
        path = Path(f"/proc/self/fd/{file if isinstance(file, int) else file.fileno()}").resolve()
        if path.is_file():
            synced[path.stat().st_ino] = path.read_bytes()

    note("the beginning")
    with watched(directory, note, on_sync):
        yield moments
        note("the end")


@contextmanager
def watched(
    directory: Path,
    before: Callable[[Operation], None],
    on_sync: Callable[[Any], None] = lambda file: None,
) -> Generator[None]:
    """Call `before` ahead of each operation on a directory; an OSError of it refuses that one."""
    global _listener
    root, busy, fsync = str(directory), False, os.fsync

    def listen(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal busy
        paths = [os.fspath(x) for x in arguments if isinstance(x, str | os.PathLike)]
        if busy or not any(str(path).startswith(root) for path in paths):
            return
        busy = True
        try:
            before(Operation(event, _writes(event, arguments), _described(event, paths, root)))
        finally:
            busy = False

    def noted_fsync(file: Any) -> None:
        number = file if isinstance(file, int) else file.fileno()
        listen("os.fsync", (Path(f"/proc/self/fd/{number}").readlink(),))
        fsync(file)
        on_sync(file)

    assert _listener is None
    _install()
    try:
        with mock.patch.object(os, "fsync", noted_fsync):
            _listener = listen
            yield
    finally:
        _listener = None


def _writes(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        return bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return event not in ("os.remove", "os.rmdir", "fcntl.flock")


def _described(event: str, paths: list[Any], root: str) -> str:
    return " ".join([event, *(str(path).removeprefix(root).lstrip("/") or "." for path in paths)])


def states(moments: list[Moment], rng: np.random.Generator) -> list[State]:
    """Each distinct state that the moments allow, torn writes and power failures included."""
    found: dict[tuple[tuple[str, bytes | None], ...], str] = {}

    def add(name: str, files: Files) -> None:
        found.setdefault(tuple(sorted(files.items())), name)

    before = moments[0].files
    for operation, files, synced in moments:
        for name, content in files.items():
            if content in before.values():
                continue  # as it was, or renamed
            torn = _torn(before.get(name), content, rng)
            if torn is not None:
                kept = len(torn)
                add(f"killed {kept} bytes into {name}, before {operation}", {**files, name: torn})
        add(f"killed before {operation}", files)
        add(f"power failed before {operation}", synced)
        before = files
    return [State(name, as_of_a_dead_process(dict(files))) for files, name in found.items()]


def _torn(old: bytes | None, new: bytes | None, rng: np.random.Generator) -> bytes | None:
    """A part of what was written last, if anything was."""
    if new is None:
        return None
    old = old or b""
    same = [a == b for a, b in zip(old, new, strict=False)]
    start = same.index(False) if False in same else len(same)
    return new[: rng.integers(start, len(new))] if len(new) > start else None


# --- an audit hook cannot be removed: there is one, which asks whoever listens --------------------

_listener: Callable[[str, tuple[Any, ...]], None] | None = None
_installed = False


def _install() -> None:
    global _installed
    if not _installed:
        sys.addaudithook(_hook)
        _installed = True


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _listener is not None and event in _OPERATIONS:
        _listener(event, arguments)
