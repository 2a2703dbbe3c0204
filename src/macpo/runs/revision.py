"""The git commit of the current folder, found out without running anything that a repository names.

A repository's own configuration may name programs for git to run (monitors, hooks, filters), and
the current folder may come from anybody: what has changed is asked of git in a folder of its own,
which knows of the repository's objects and index alone.
"""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

MAX_SECONDS = 5
"""For which git may look for changes in a large or distant folder."""


class Revision(NamedTuple):
    """A commit, and whether the files that it tracks are as it has them."""

    commit: str = ""
    """In hexadecimal; empty where there is none."""
    is_changed: bool | None = None
    """None: not known."""


def current_revision(folder: Path) -> Revision:
    """That of the repository which the folder is in; without git, or a commit, an empty one."""
    asked = ("--show-toplevel", "--git-path", "objects", "--git-path", "index", "HEAD")
    answer = _git(["rev-parse", "--path-format=absolute", *asked], folder, {})
    match (answer or "").splitlines():
        case [top, objects, index, commit]:
            return Revision(commit, _is_changed(Path(top), objects, index, commit))
        case _:
            return Revision()


def _is_changed(top: Path, objects: str, index: str, commit: str) -> bool | None:
    changes = None
    with suppress(OSError), tempfile.TemporaryDirectory(prefix="macpo-") as own:
        (Path(own) / "refs").mkdir()
        (Path(own) / "HEAD").write_text(f"{commit}\n")
        here = {"GIT_DIR": own, "GIT_WORK_TREE": os.fspath(top)}
        here |= {"GIT_OBJECT_DIRECTORY": objects, "GIT_INDEX_FILE": index}
        # no lock: somebody may be committing
        words = ["--no-optional-locks", "status", "--porcelain", "--untracked-files=no"]
        changes = _git([*words, "--ignore-submodules"], top, here)
    return None if changes is None else bool(changes)


def _git(words: list[str], folder: Path, variables: Mapping[str, str]) -> str | None:
    """What git says; None if it fails, takes too long, or is not there."""
    try:
        return subprocess.run(
            ["git", *words],
            cwd=folder,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=MAX_SECONDS,
            text=True,
            errors="replace",
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
