"""A run that was published, fetched into a directory of its own."""

import os
import re
import secrets
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from macpo.errors import UsageError, require
from macpo.runs import arrays, checkpoint
from macpo.runs.claim import claimed, is_abandoned
from macpo.runs.directory import RunDirectory, read_settings
from macpo.runs.files import disk_errors, list_directory, sync_directory
from macpo.runs.hub.kept import Kept, check_repo, kept_files
from macpo.runs.hub.server import (
    Announced,
    Repository,
    failures,
    fetch,
    look_up,
    open_api,
)


def pull(
    repo: str,
    directory: str | os.PathLike[str] | None = None,
    *,
    revision: str | None = None,
) -> Path:
    """Fetch a run that `push` has published: its directory, by default runs/NAME of OWNER/NAME.

    `revision` is a branch, tag or commit. Only files of the names that `push` uploads are fetched,
    of no more than the size that the server has announced; they are checked against its checksums,
    and nothing in them is run or imported. The directory appears when all is there. Raises
    UsageError if it exists and is not empty, without the extra `hub`, if there is no such
    repository or you may not read it, if it holds no sound run, or if the server fails.

    >>> import macpo
    >>> macpo.pull("hunt")
    Traceback (most recent call last):
    ...
    macpo.errors.UsageError: 'hunt' is no name of a repository; expected OWNER/NAME of ...
    """
    check_repo(repo)
    target = RunDirectory(Path("runs") / repo.partition("/")[2] if directory is None else directory)
    _require_vacant(target.path)
    api = open_api("macpo pull")
    with failures(api, repo, revision):
        found = look_up(api, repo, revision)
    wanted = _wanted(found, kept_files(), repo)
    with _aside(target.path) as folder:
        for file in wanted:
            with failures(api, repo, revision):
                fetch(api, repo, found.commit, file, folder / file.name)
        _require_sound(RunDirectory(folder), repo)
        checkpoint.drop(folder / target.checkpoints.name)
    return target.path


def _wanted(found: Repository, kept: Sequence[Kept], repo: str) -> list[Announced]:
    """The files of a run among those of a repository; UsageError if they are too few or large."""
    files = list[Announced]()
    for one in kept:
        file = found.files.get(one.name)
        require(
            file is not None or not one.is_needed,
            f"{repo} holds no run of macpo: it has no {one.name}.",
        )
        if file is None:
            continue
        require(
            file.size <= one.most_bytes,
            f"{file.name} of {repo} has {file.size:,} bytes; at most {one.most_bytes:,} are "
            "fetched.",
        )
        files.append(file)
    return files


def _require_vacant(directory: Path) -> None:
    with disk_errors(directory, "read"):
        is_new = not os.path.lexists(directory) or (
            directory.name not in ("", "..")
            and directory.is_dir()
            and not directory.is_symlink()
            and not any(directory.iterdir())
        )
    require(is_new, f"{directory} exists, and is left as it is; choose another --out.")


@contextmanager
def _aside(target: Path) -> Generator[Path]:
    """A new folder beside `target`, which takes its place if all goes well, and else is removed.

    What a killed process has left there is removed as well, where a claim can tell it from one at
    work.
    """
    stem = f".{target.name[:50]}."
    with disk_errors(target, "create"):
        target.parent.mkdir(parents=True, exist_ok=True)
    is_ours = re.compile(re.escape(stem) + r"[0-9a-f]{8}\.pull").fullmatch
    for left in list_directory(target.parent):
        if is_ours(left.name) and is_abandoned(left):
            shutil.rmtree(left, ignore_errors=True)
    folder = target.with_name(f"{stem}{secrets.token_hex(4)}.pull")
    with disk_errors(folder, "create"):
        folder.mkdir()
    try:
        with claimed(folder):
            yield folder
            _require_vacant(target)
            with disk_errors(target, "create"):
                folder.replace(target)  # refused by the system if it is not empty by now
                sync_directory(target.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _require_sound(files: RunDirectory, repo: str) -> None:
    """UsageError unless settings and parameters can be read; nothing that they name is imported."""
    try:
        read_settings(files.experiment)
        arrays.read(files.model)
        if os.path.lexists(files.best):
            arrays.read(files.best)
    except UsageError as error:
        why = str(error).replace(f"{files.path}{os.sep}", "")
        raise UsageError(f"{repo} holds no run that this version can read: {why}") from error
