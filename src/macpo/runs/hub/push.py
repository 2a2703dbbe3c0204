"""A run published as a repository, with a model card."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from macpo.errors import require, shown
from macpo.experiment import to_dict
from macpo.runs import arrays
from macpo.runs.claim import claimed
from macpo.runs.directory import RunDirectory
from macpo.runs.files import disk_errors
from macpo.runs.hub.card import model_card
from macpo.runs.hub.kept import check_repo, kept_files
from macpo.runs.hub.server import failures, look_up, open_api
from macpo.runs.saving import require_saved


class Upload(NamedTuple):
    """A file that is pushed."""

    name: str
    content: bytes


def to_push(
    directory: str | os.PathLike[str], repo: str, *, trust: bool = False
) -> tuple[list[Upload], list[str]]:
    """(what `publish` uploads, sentences about what in it may be private)

    It is read while nobody can train there. Raises UsageError for whatever `push` refuses without
    asking the server.
    """
    check_repo(repo)
    files = RunDirectory(directory)
    files.require_run()
    with claimed(files.path):
        experiment = files.read_experiment(trust=trust)
        uploads = _read_all(files)
        require_saved(files, experiment)
        names = [upload.name for upload in uploads]
        card = model_card(files, experiment, repo, names)
    notes = [
        f"{files.experiment.name} names {shown(place)}, which whoever reads the repository will see"
        for place in _places(to_dict(experiment))
    ]
    return [*uploads, Upload(files.readme.name, card.encode())], notes


def publish(
    uploads: Sequence[Upload], repo: str, *, private: bool = False, message: str | None = None
) -> str:
    """Upload what `to_push` has read in one commit, as `push` does; the repository's address."""
    api = open_api("macpo push", token=True)
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    with failures(api, repo):
        address = str(api.create_repo(repo, private=private or None, exist_ok=True))
        found = look_up(api, repo)
        require(
            found.is_private or not private,
            f"{address} is there already, and is public; make it private in its settings, or "
            "choose another name.",
        )
        names = {upload.name for upload in uploads}
        earlier = {one.name for one in kept_files()} & found.files.keys()
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            *(CommitOperationAdd(upload.name, upload.content) for upload in uploads),
            *(CommitOperationDelete(name) for name in sorted(earlier - names)),  # of another run
        ]
        api.create_commit(
            *(repo, operations),
            commit_message=message or f"macpo push {repo}",
            parent_commit=found.commit,
        )
    return address


def push(
    directory: str | os.PathLike[str],
    repo: str,
    *,
    private: bool = False,
    message: str | None = None,
    trust: bool = False,
) -> str:
    """Publish a run as the repository `repo`, OWNER/NAME, with a model card; its address.

    Settings, metrics, last and best parameters and pictures are uploaded, no checkpoint, replay,
    command line or note of yours (docs/hub.md). The repository is made if there is none, `private`
    or as its owner has it by default; else it gets another commit, with `message`. `trust` is as
    for `load`. Raises UsageError for a run that is going on, was killed between
    checkpoints, is damaged or has no parameters, without the extra `hub` or a token that may write,
    if a repository that is to be `private` is not, if it gets another commit meanwhile, or if the
    server fails; the repository is then as it was, but for being made.

    >>> import macpo
    >>> macpo.push("runs/first", "me/hunt")
    Traceback (most recent call last):
    ...
    macpo.errors.UsageError: runs/first is not a run directory: ...
    """
    uploads, _ = to_push(directory, repo, trust=trust)
    return publish(uploads, repo, private=private, message=message)


def _read_all(files: RunDirectory) -> list[Upload]:
    """What is uploaded besides the card; UsageError if it is damaged or may not be published."""
    require(
        os.path.lexists(files.model),
        f"{files.path} has no {files.model.name}: it has not reached a checkpoint.",
    )
    uploads = [
        Upload(one.name, _read(files.path / one.name, one.most_bytes))
        for one in kept_files()
        if one.name != files.readme.name and os.path.lexists(files.path / one.name)
    ]
    for file in (files.model, files.best):
        if os.path.lexists(file):
            arrays.read(file)  # what is damaged is not handed on
    return uploads


def _read(file: Path, most_bytes: int) -> bytes:
    with disk_errors(file, "read"):
        found = file.lstat()
    require(
        not stat.S_ISLNK(found.st_mode),  # a run of somebody else's could publish any file of yours
        f"{file} is a link, and links are not published; put the file itself there, or remove it.",
    )
    require(
        stat.S_ISREG(found.st_mode),  # to read from a pipe may take forever
        f"{file} is not a regular file and cannot be published; remove it.",
    )
    require(
        found.st_size <= most_bytes,
        f"{file} has {found.st_size:,} bytes; at most {most_bytes:,} can be published.",
    )
    with disk_errors(file, "read"):
        return file.read_bytes()


def _places(value: object) -> Iterator[str]:
    """All texts in plain data that look like places on this machine."""
    if isinstance(value, Mapping):
        for item in cast(Mapping[str, object], value).values():
            yield from _places(item)
    elif isinstance(value, list | tuple):
        for item in cast(list[object], value):
            yield from _places(item)
    elif isinstance(value, str) and (value.startswith("~") or Path(value).is_absolute()):
        yield value
