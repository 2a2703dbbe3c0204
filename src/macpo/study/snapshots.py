"""A run's directory as bytes, taken while the run goes on, and put down somewhere else."""

import io
import os
import tarfile
import tempfile
from pathlib import Path

from macpo.errors import UsageError
from macpo.runs.directory import RunDirectory
from macpo.runs.files import disk_errors, list_directory, sync

_ATTEMPTS = 10
"""How often a snapshot is tried while checkpoints come and go."""


def newest_checkpoint(run: RunDirectory) -> str:
    """The name of a run's newest checkpoint, by which one knows that there is a new one."""
    names = [file.name for file in list_directory(run.checkpoints) if file.suffix != ".tmp"]
    return max(names, default="")


def pack(run: RunDirectory) -> bytes:
    """Everything that a run has written.

    Checkpoints are read before the rows that they count on, so that those are there. UsageError if
    the run's files cannot be read.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return _pack(run)
        except FileNotFoundError:  # a newer checkpoint has replaced it
            if attempt == _ATTEMPTS - 1:
                raise
        except OSError as error:
            raise UsageError(f"cannot read {run.path}: {error.strerror or error}.") from error
    raise AssertionError("unreachable")


def unpack(snapshot: bytes, run: RunDirectory) -> None:
    """Put a snapshot into a run's directory in place of what is there.

    Rows are put down before the checkpoints that count on them, and older checkpoints go last, so
    that the run can be resumed whenever this is interrupted.
    """
    with disk_errors(run.path, "create"):
        run.checkpoints.mkdir(parents=True, exist_ok=True)
    with (
        disk_errors(run.path),
        tempfile.TemporaryDirectory(prefix=".snapshot-", dir=run.path) as folder,
        tarfile.open(fileobj=io.BytesIO(snapshot)) as archive,
    ):
        archive.extractall(folder, filter="data")
        new = [Path(name) for name in archive.getnames()]
        if run.absolute.name not in archive.getnames():  # what is there is of a shorter run
            run.absolute.unlink(missing_ok=True)
        for file in sorted(new, key=lambda file: file.parent != Path()):
            _sync_file(Path(folder) / file)
            (Path(folder) / file).replace(run.path / file)
    kept = {file.name for file in new}
    for file in list_directory(run.checkpoints):
        if file.name not in kept:
            file.unlink(missing_ok=True)


def _pack(run: RunDirectory) -> bytes:
    data = io.BytesIO()
    files = [*list_directory(run.checkpoints), run.model, run.experiment, run.readme]
    files += [run.timing, run.sessions, run.metrics, run.absolute]
    with tarfile.open(fileobj=data, mode="w") as archive:
        for file in files:
            if file.name.startswith(".") or not (file.exists() or file.parent == run.checkpoints):
                continue
            content = file.read_bytes()  # at once: metrics and timing grow
            about = tarfile.TarInfo(os.fspath(file.relative_to(run.path)))
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return data.getvalue()


def _sync_file(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    try:
        sync(handle)
    finally:
        os.close(handle)
