"""Dropping the checkpoints of runs that nobody will extend: they hold replay, and are large."""

import os
from contextlib import suppress
from typing import NamedTuple

from macpo.errors import UsageError, require
from macpo.runs import arrays, checkpoint
from macpo.runs.claim import claimed, is_claimed
from macpo.runs.directory import RunDirectory
from macpo.runs.story import is_finished, tell
from macpo.terminal import command


class Freed(NamedTuple):
    """What has been dropped of a run, or would be."""

    n_files: int
    n_bytes: int


def to_free(directory: str | os.PathLike[str], *, force: bool = False) -> Freed:
    """What `clean` would drop; UsageError where it would refuse to."""
    files = RunDirectory(directory)
    files.require_run()
    require(
        not is_claimed(files.path),
        f"a process is training in {files.path}; wait until it has ended.",
    )
    return _to_free(files, force)


def clean(directory: str | os.PathLike[str], *, force: bool = False) -> Freed:
    """Drop a finished run's checkpoints, and nothing else; with `force` also an unfinished run's.

    It can then not be extended or continued. Raises UsageError if the run is not finished, if a
    process is training there, or if its last or best parameters are not sound, which only a
    checkpoint can mend.
    """
    files = RunDirectory(directory)
    files.require_run()
    with claimed(files.path):
        freed = _to_free(files, force)
        if freed.n_files:
            checkpoint.drop(files.checkpoints)
            with suppress(UsageError):  # code of somebody's own is not imported to write a README
                experiment = files.read_experiment()
                files.write_readme(experiment, tell(files, experiment))
    return freed


def _to_free(files: RunDirectory, force: bool) -> Freed:
    require(
        force or is_finished(files),
        f"{files.path} is not finished, or no file of it says so: it could not be continued "
        f"without its checkpoints. Finish it with `{command('macpo', 'resume', files.path)}`, or "
        "give --force to drop them all the same.",
    )
    found = checkpoint.files(files.checkpoints)
    for file in [files.model, *([] if force else [files.best])] if found else []:
        try:
            arrays.read(file)
        except UsageError as error:
            again = command("macpo", "resume", files.path)
            raise UsageError(
                f"{error} Only the checkpoints of {files.path} can make it again: `{again}`."
            ) from error
    return Freed(len(found), sum(file.lstat().st_size for file in found))
