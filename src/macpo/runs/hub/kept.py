"""Which files of a run a repository holds, and what repositories are called."""

import re
from typing import NamedTuple

from macpo.errors import require, shown
from macpo.runs.directory import RunDirectory

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


class Kept(NamedTuple):
    """A file of a run that a repository holds."""

    name: str
    most_bytes: int
    is_needed: bool = False


def kept_files() -> list[Kept]:
    """All that is ever pushed or pulled; sessions.json, which holds commands, is not."""
    files = RunDirectory(".")  # any: of every run they have the same names
    return [
        Kept(files.experiment.name, 2**20, is_needed=True),
        Kept(files.model.name, 2**32, is_needed=True),
        Kept(files.best.name, 2**32),
        Kept(files.metrics.name, 2**30),
        Kept(files.absolute.name, 2**24),
        Kept(files.learning_curve.name, 2**26),
        Kept(files.episode.name, 2**28),
        Kept(files.readme.name, 2**20),
    ]


def check_repo(repo: str) -> None:
    """UsageError unless this can be a repository: OWNER/NAME."""
    sound = _REPO.fullmatch(repo) and not re.search(r"--|\.\.|\.git$|[.-]$|[.-]/", repo)
    require(
        bool(sound) and len(repo) <= 96,
        f"{shown(repo)} is no name of a repository; expected OWNER/NAME of letters, digits and "
        "single '-', '_' and '.' between them.",
    )
