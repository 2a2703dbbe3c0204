"""One run for all pages whose commands need one."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.runs.conftest import SMALL, train

HUNT = replace(SMALL, run=replace(SMALL.run, steps=600))


@pytest.fixture(scope="session")
def hunt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a small Predator-Prey: to be copied, not changed."""
    directory = tmp_path_factory.mktemp("docs") / "hunt"
    train(directory, HUNT)
    return directory
