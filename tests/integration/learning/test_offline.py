"""What is learned offline from a uniformly exploring run's episodes is what online would learn."""

from pathlib import Path

import pytest
from rich.console import Console

import macpo
from macpo.algorithms import QMIX, VDN
from macpo.experiment import Experiment, Run
from macpo.replay import Replay
from macpo.report.records import read_absolute
from macpo.weighting import Uniform

pytestmark = pytest.mark.slow

SEEDS = 2


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """500 of the two-step game, by players who choose at random and have learned nothing."""
    folder = tmp_path_factory.mktemp("explored")
    run = Run(steps=1000, buffer_size=500, batch_size=500, epsilon_start=1, epsilon_finish=1)
    experiment = Experiment("two-step", VDN(rnn_hidden_dim=4), Uniform(), run=run)
    macpo.train(experiment, folder / "run", console=Console(quiet=True))
    macpo.export_replay(folder / "run", folder / "episodes.npz")
    return folder / "episodes.npz"


def greedy_returns(algorithm: QMIX | VDN, episodes: Path, run: Path) -> list[float]:
    """Of each seed, after 700 updates from these episodes alone."""
    experiment = Experiment(
        "two-step",
        algorithm,
        Uniform(),
        Replay(from_file=str(episodes)),
        Run(
            steps=0,
            updates=700,
            seeds=SEEDS,
            batch_size=32,
            updates_per_iteration=1,
            buffer_size=500,
            test_interval=700,
            test_nepisode=1,
        ),
    )
    macpo.train(experiment, run, console=Console(quiet=True))
    return [row["test_return_mean"] for row in read_absolute(run).values()]


def test_qmix_takes_the_eight_and_vdn_the_seven(episodes: Path, tmp_path: Path) -> None:
    small = {"rnn_hidden_dim": 16, "central_mixing_embed_dim": 32, "td_lambda": 0.0}
    qmix = QMIX(mixing_embed_dim=16, hypernet_embed=16, **small)
    assert greedy_returns(qmix, episodes, tmp_path / "qmix") == [8] * SEEDS
    assert greedy_returns(VDN(**small), episodes, tmp_path / "vdn") == [7] * SEEDS
