"""The git commit of a folder, asked for without running what its repository names."""

import os
import subprocess
from pathlib import Path

import pytest

from macpo.runs.revision import Revision, current_revision


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=A", "-c", "user.email=a@b"]
    said = subprocess.run(
        ["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return said.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """With a file in its only commit."""
    (tmp_path / "code.py").write_text("x = 1\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    return tmp_path


def test_a_folder_below_the_top_is_in_the_commit_too(repository: Path):
    below = repository / "below"
    below.mkdir()
    head = git(repository, "rev-parse", "HEAD")
    assert current_revision(below) == Revision(head, is_changed=False)


@pytest.mark.parametrize("staged", [False, True])
def test_a_tracked_file_that_differs_is_a_change(staged: bool, repository: Path):
    (repository / "code.py").write_text("x = 2\n")
    if staged:
        git(repository, "add", ".")
    assert current_revision(repository).is_changed is True


def test_a_file_that_git_does_not_track_is_none(repository: Path):
    (repository / "notes.txt").write_text("mine")
    assert current_revision(repository).is_changed is False


def test_a_working_tree_of_its_own_is_in_its_own_commit(repository: Path, tmp_path: Path):
    other = tmp_path / "other"
    git(repository, "worktree", "add", "--quiet", str(other))
    git(other, "commit", "--quiet", "--allow-empty", "--message", "second")
    assert current_revision(other) == Revision(git(other, "rev-parse", "HEAD"), is_changed=False)
    assert current_revision(other).commit != current_revision(repository).commit


def test_a_folder_without_a_repository_or_a_commit_has_none(tmp_path: Path):
    assert current_revision(tmp_path) == Revision()
    git(tmp_path, "init", "--quiet")
    assert current_revision(tmp_path) == Revision()


def test_without_git_there_is_none(repository: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(repository))
    assert current_revision(repository) == Revision()


def test_no_program_that_a_repository_names_is_run(repository: Path):
    trap, sprung = repository / "trap.sh", repository / "sprung"
    trap.write_text(f"#!/bin/sh\ntouch {sprung}\ncat\n")
    trap.chmod(0o755)
    (repository / ".gitattributes").write_text("* filter=trap\n")
    for name in ("core.fsmonitor", "filter.trap.clean", "filter.trap.smudge", "diff.external"):
        git(repository, "config", name, str(trap))
    os.utime(repository / "code.py", (1, 1))  # git must read it to see that it is the same
    assert current_revision(repository).is_changed is False
    assert not sprung.exists()
    git(repository, "status")
    assert sprung.exists()
