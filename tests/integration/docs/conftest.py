"""One run for all pages whose commands need one."""

from dataclasses import replace
from pathlib import Path

import pytest

from macpo.algorithms import VDN
from macpo.weighting import Uniform
from tests.runs.conftest import SMALL, train

HUNT = replace(
    SMALL,
    algorithm=VDN(rnn_hidden_dim=8),
    weighting=Uniform(),
    run=replace(SMALL.run, steps=600),
)


@pytest.fixture(scope="session")
def hunt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a small Predator-Prey: to be copied, not changed."""
    directory = tmp_path_factory.mktemp("docs") / "hunt"
    train(directory, HUNT)
    return directory
