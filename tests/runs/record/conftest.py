"""Rows of metrics, and trackers for them that stay off the network."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from macpo import Experiment
from macpo.runs.directory import RunDirectory
from macpo.runs.record.trackers import TrackedSeed, Tracker

TRAIN = {
    "kind": "train",
    "seed": 0,
    "env_steps": 1600,
    "episodes": 8,
    "updates": 1,
    "return_mean": 5.0,
    "epsilon": 0.98,
    "weight_raw_mean": 0.25,
}
TEST = TRAIN | {"kind": "test", "test_return_mean": 12.5}


@pytest.fixture(scope="session", autouse=True)
def off_the_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trackers keep what they are told on this machine; trackio looks once where that is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("TRACKIO_DIR", str(tmp_path_factory.mktemp("trackio")))
        yield


def tracked(name: str, folder: Path) -> Tracker:
    return Tracker(name, RunDirectory(folder), Experiment(env="two-step"))


def tracked_seed(folder: Path, seed: int) -> TrackedSeed:
    return TrackedSeed(RunDirectory(folder), Experiment(env="two-step"), seed)
