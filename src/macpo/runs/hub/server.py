"""Requests to the server, and its failures in words.

huggingface_hub, of the extra `hub`, is imported once something is pushed or pulled. Which server
is asked, with which token, is its business: HF_ENDPOINT, HF_TOKEN, `hf auth login`.
"""

import hashlib
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import macpo
from macpo.errors import UsageError, is_out_of_memory, needed, require, shortened, shown
from macpo.runs.files import disk_errors, sync

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TIMEOUT = 30.0
"""Seconds that a server may be silent."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Announced(NamedTuple):
    """A file as the server announces it."""

    name: str
    size: int
    sha256: str | None
    """Of large files."""
    git_oid: str | None
    """Of the others: SHA-1 over `blob SIZE`, a zero byte and the content."""


class Repository(NamedTuple):
    """What there is in a repository at a commit."""

    commit: str
    is_private: bool
    files: Mapping[str, Announced]
    """By their paths."""


def open_api(what: str, token: bool | None = None) -> "HfApi":
    """The client; `token=True` requires a token, None takes one if there is one.

    Raises UsageError without the extra `hub`, which `what` needs.
    """
    with needed(what, "huggingface_hub", "hub"):
        from huggingface_hub import HfApi
    return HfApi(token=token, library_name="macpo", library_version=macpo.__version__)


def look_up(api: "HfApi", repo: str, revision: str | None = None) -> Repository:
    """The repository at a revision; without one, at the newest commit of its main branch."""
    info = api.model_info(repo, revision=revision, files_metadata=True, timeout=TIMEOUT)
    files = {
        one.rfilename: Announced(
            one.rfilename, int(one.size or 0), one.lfs.sha256 if one.lfs else None, one.blob_id
        )
        for one in info.siblings or []
    }
    commit = str(info.sha)
    if not _COMMIT.fullmatch(commit):
        raise ValueError(f"{shown(commit)} is no commit")
    return Repository(commit, info.private is True, files)


def fetch(api: "HfApi", repo: str, commit: str, announced: Announced, file: Path) -> None:
    """Write what the server has announced to a new file, and hardly a byte more of anything else.

    UsageError if it sends anything else.
    """
    digest = hashlib.sha256()
    if not announced.sha256:
        digest = hashlib.sha1(b"blob %d\0" % announced.size)
    n_bytes = 0
    with disk_errors(file):
        handle = file.open("xb")
    with handle:
        for chunk in _chunks(api, repo, commit, announced.name):
            n_bytes += len(chunk)
            if n_bytes > announced.size:
                break
            digest.update(chunk)
            with disk_errors(file):
                handle.write(chunk)
        with disk_errors(file):
            handle.flush()
            sync(handle.fileno())
    expected = announced.sha256 or announced.git_oid
    require(
        n_bytes == announced.size and digest.hexdigest() == expected,
        f"{api.endpoint} has not sent the {announced.name} of {repo} that it announces; pull "
        "again.",
    )


def _chunks(api: "HfApi", repo: str, commit: str, name: str) -> Iterator[bytes]:
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_stream_backoff

    headers = build_hf_headers(library_name=api.library_name, library_version=api.library_version)
    headers["Accept-Encoding"] = "identity"  # so that no few bytes become many
    url = hf_hub_url(repo, name, revision=commit, endpoint=api.endpoint)
    # what fails while the content comes cannot be tried again from its middle
    asked = http_stream_backoff(
        *("GET", url), headers=headers, timeout=TIMEOUT, max_retries=2, retry_on_exceptions=()
    )
    with asked as response:
        hf_raise_for_status(response)
        yield from response.iter_bytes()


@contextmanager
def failures(api: "HfApi", repo: str, revision: str | None = None) -> Generator[None]:
    """Tell in a sentence whatever comes of asking the server."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:  # the client's own, its HTTP library's, and what odd answers cause
        if is_out_of_memory(error):
            raise
        raise UsageError(_told(error, api.endpoint, repo, revision)) from error


def _told(error: Exception, endpoint: str, repo: str, revision: str | None) -> str:
    from huggingface_hub import errors

    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # of a file among several
    log_in = "`hf auth login` or HF_TOKEN gives one"
    if isinstance(error, errors.LocalTokenNotFoundError):
        return f"there is no token for {endpoint}, and to push needs one that may write; {log_in}."
    if isinstance(error, errors.OfflineModeIsEnabled):
        return f"{endpoint} is not asked while HF_HUB_OFFLINE is set; unset it."
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{repo} on {endpoint} has no revision {shown(revision)}."
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"{endpoint} shows no repository {repo}: there is none, or it is private and needs a "
            f"token that may read it; {log_in}."
        )
    if isinstance(error, errors.HfHubHTTPError):
        status, words = error.response.status_code, " ".join((error.server_message or "").split())
        said = f" ({shortened(words)})" if words else ""
        if status in (401, 403):
            return f"{endpoint} refuses what your token asks of {repo}{said}; {log_in} that may."
        if status == 412:  # precondition failed: the newest commit is not the one that was named
            return f"{repo} on {endpoint} has got another commit in the meantime; push again."
        return f"{endpoint} failed with HTTP status {status}{said}; try again later."
    why = " ".join(f"{type(error).__name__}: {error}".split())
    without = "; where a server has no xet, set HF_HUB_DISABLE_XET=1" * ("xet" in why)
    return (
        f"{endpoint} cannot be reached, or does not answer as a hub does "
        f"({shortened(why)}){without}."
    )
