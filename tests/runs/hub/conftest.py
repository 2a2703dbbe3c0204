"""A hub on loopback, and runs to publish there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from macpo.runs.directory import RunDirectory
from tests.support.counting import begin, counting
from tests.support.fake_hub import Hub, asked_instead

REPO = "me/hunt"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """Which is asked with a token that may write."""
    with asked_instead(tmp_path / "home") as hub:
        yield hub


@pytest.fixture
def files(tmp_path: Path) -> RunDirectory:
    """Of a finished run of a player that only counts, with the pictures that commands draw."""
    files = RunDirectory(tmp_path / "run")
    with counting():
        begin(files.path)
    files.learning_curve.write_bytes(b"\x89PNG curve")
    files.episode.write_bytes(b"GIF89a episode")
    return files


def content(directory: Path) -> dict[str, bytes]:
    """Every file at any depth by its path, but for the empty one of the claim."""
    found = [file for file in sorted(directory.rglob("*")) if file.is_file()]
    return {
        str(file.relative_to(directory)): file.read_bytes()
        for file in found
        if file.name != ".lock"
    }
