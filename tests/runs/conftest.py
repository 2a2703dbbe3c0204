"""A small run, and what tests of runs do with it."""

from pathlib import Path

import pytest
from rich.console import Console

import macpo
from macpo.algorithms.vdn import Config as Vdn
from macpo.envs.predator_prey import Config as PredatorPrey

SMALL = macpo.Experiment(
    env=PredatorPrey(height=4, width=4, n_predators=2, n_prey=2, episode_limit=6),
    algorithm=Vdn(rnn_hidden_dim=8),
    run=macpo.Run(
        steps=3000,
        batch_size=14,  # on one device
        batch_size_run=2,
        updates_per_iteration=1,
        buffer_size=2000,
        target_update_interval=20,
        epsilon_anneal_time=2000,
        test_interval=300,
        test_nepisode=4,
        checkpoint_interval=300,
    ),
)


def train(directory: Path, experiment: macpo.Experiment = SMALL) -> macpo.RunResult:
    return macpo.train(experiment, directory, console=Console(quiet=True))


def resume(directory: Path, **options: int) -> macpo.RunResult:
    return macpo.resume(directory, console=Console(quiet=True), **options)


def rows(directory: Path) -> bytes:
    return (directory / "metrics.jsonl").read_bytes()


@pytest.fixture(scope="package")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    directory = tmp_path_factory.mktemp("runs") / "whole"
    assert train(directory).finished
    return directory
