"""The claim on a run's directory: one process at a time trains there."""

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from macpo.errors import UsageError
from macpo.runs.files import disk_errors

LOCK = ".lock"
"""The empty file that is locked; it says nothing when it is not."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
"""How file systems say that they have no locks; there, whoever trains must take care alone."""


@contextmanager
def claimed(directory: Path) -> Generator[None]:
    """Hold the claim on a directory that exists; UsageError if another process holds it.

    The system ends the claim with the process that holds it, however that ends.
    """
    file = directory / LOCK
    with disk_errors(file):
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(handle, file)
        yield
    finally:
        os.close(handle)


def is_claimed(directory: Path) -> bool:
    """Whether a process is training there now; not if the system cannot tell."""
    return _is_held(directory) is True


def is_abandoned(directory: Path) -> bool:
    """Whether a process has claimed the directory and none does now; not if the system cannot
    tell."""
    return _is_held(directory) is False


def _is_held(directory: Path) -> bool | None:
    """Whether a process holds the claim; None if there has been none, or the system cannot tell."""
    try:
        handle = os.open(directory / LOCK, os.O_RDONLY)
    except OSError:
        return None
    try:
        return False if _flock(handle, exclusive=False) else None
    except OSError as error:
        return True if isinstance(error, BlockingIOError) else None
    finally:
        os.close(handle)


def _lock(handle: int, file: Path) -> None:
    with disk_errors(file):
        try:
            _flock(handle, exclusive=True)
        except BlockingIOError as error:
            raise UsageError(
                f"another process is training in {file.parent}; wait until it has ended, or choose "
                "another directory."
            ) from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise


def _flock(handle: int, *, exclusive: bool) -> bool:
    """Lock an open file, or raise BlockingIOError; False, without effect, on Windows, which
    cannot."""
    try:
        import fcntl
    except ModuleNotFoundError:
        return False
    fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    return True
