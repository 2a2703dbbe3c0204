"""The whole way: a run plays the game in worker processes; policies move between game and model."""

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import macpo
from macpo.algorithms import VDN
from macpo.cli import main
from macpo.envs import predator_prey, smac, smac_jax
from macpo.errors import UsageError
from macpo.report.records import read_metrics
from tests.support.unlearned import unlearned

from .conftest import Installation

SMALL = shlex.split("""--algorithm vdn --algorithm.rnn-hidden-dim 8 --weighting uniform
  --steps 120 --batch-size 4 --batch-size-run 2 --buffer-size 16 --test-interval 60
  --test-nepisode 2""")
MODEL = smac_jax.Config(map="5m_vs_6m")
GAME = shlex.split("--env smac --env.client pysc2 --env.map 5m_vs_6m --workers.count 2")


def run(*command: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(command)
    assert stop.value.code == 0


@pytest.fixture(scope="module")
def of_the_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy of the model, in a run directory."""
    directory = tmp_path_factory.mktemp("model") / "run"
    unlearned(macpo.Experiment(env=MODEL, algorithm=VDN(rnn_hidden_dim=8)), directory)
    return directory


def test_a_run_goes_on_when_a_game_dies_and_leaves_none_behind(
    installation: Installation, tmp_path: Path
):
    installation.misbehave("action", "die")
    directory = tmp_path / "run"
    run("train", *GAME, *SMALL, "--out", str(directory))
    training = [row for row in read_metrics(directory) if row["kind"] == "train"]
    testing = [row for row in read_metrics(directory) if row["kind"] == "test"]
    assert training[-1]["env_steps"] >= 120 and training[-1]["updates"] > 0
    assert len(testing) == 2 and all("test_battle_won_mean" in row for row in testing)
    lost = sum(
        row.get("episodes_lost", row.get("test_episodes_lost")) for row in read_metrics(directory)
    )
    assert lost == 1
    assert len(installation.launches()) == 4  # two, one in the dead one's place, one for the film
    assert installation.running() == []


def test_a_policy_of_the_model_plays_the_game(of_the_model: Path, installation: Installation):
    run("evaluate", str(of_the_model), *GAME, "--episodes", "2")
    assert len(installation.launches()) == 2
    assert len(installation.requests("step")) > 0 and installation.running() == []


def test_it_chooses_what_it_would_in_the_model(of_the_model: Path, installation: Installation):
    model, game = (
        macpo.load(of_the_model, env=env)
        for env in (None, smac.Config(map="5m_vs_6m", client="pysc2"))
    )
    random = np.random.default_rng(0)
    for _ in range(5):
        obs = random.normal(size=(5, 55)).astype(np.float32)
        available = random.random((5, 12)) < 0.5
        available[:, 1] = True
        np.testing.assert_array_equal(model.act(obs, available), game.act(obs, available))


def test_a_policy_is_tried_with_other_settings_of_its_environment(of_the_model: Path):
    as_trained, moved = (
        macpo.evaluate(of_the_model, 2, epsilon=1.0, env=env)[0]["test_return_mean"]
        for env in (None, replace(MODEL, start_noise=1.0))
    )
    assert as_trained != moved


def test_a_film_of_another_environment_leaves_that_of_the_run(of_the_model: Path):
    own = of_the_model / "episode.gif"
    own.write_bytes(b"its own")
    noisy = shlex.split("--env smac-jax --env.map 5m_vs_6m --env.start-noise 1")
    run("render", str(of_the_model), *noisy, "--seed", "3")
    assert own.read_bytes() == b"its own"
    assert (of_the_model / "episode-smac-jax.gif").stat().st_size > 0


def test_an_environment_of_other_sizes_is_refused(of_the_model: Path):
    with pytest.raises(UsageError, match="cannot play predator-prey, which has n_actions 6 for 12"):
        macpo.load(of_the_model, env=predator_prey.Config())
