"""Fresh episodes with trained policies."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import macpo
from macpo.runs.evaluate import play_in_turns
from macpo.runs.film import play
from macpo.training.outcomes import evaluation_metrics
from macpo.types import Episodes, Rollout
from tests.runs.conftest import SMALL


def test_evaluation_gives_a_row_for_each_trained_seed(whole: Path):
    (row,) = macpo.evaluate(whole, episodes=8)
    assert row["seed"] == 0 and row["episodes"] == 8
    assert 0 <= row["test_return_mean"] <= 10


def test_the_same_seed_plays_the_same_episodes(whole: Path):
    once = macpo.evaluate(whole, episodes=8, seed=1)
    assert macpo.evaluate(whole, episodes=8, seed=1) == once


class Numbering:
    """A player whose episodes return 0, 1, 2, … and are as long."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.keys: list[str] = []

    def play(self, params: Any, key: Any, n_episodes: int, epsilon: Any = None) -> Rollout:
        number = np.arange(n_episodes) + sum(self.sizes)
        self.sizes.append(n_episodes)
        self.keys.append(str(jax.random.key_data(key)))
        reward = np.zeros((n_episodes, 3), np.float32)
        reward[:, 1] = number
        actions = np.zeros((n_episodes, 3, 2), np.int8)
        episodes: Any = Episodes((), actions, reward, number, np.zeros(n_episodes, bool))
        won: Any = (number % 2).astype(np.float32)
        return Rollout(episodes, {"won": won})


@pytest.mark.parametrize(("episodes", "sizes"), [(3, [3]), (4, [4]), (5, [4, 1]), (11, [4, 4, 3])])
def test_many_episodes_take_turns(episodes: int, sizes: list[int], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("macpo.runs.evaluate.MAX_AT_ONCE", 4)
    player: Any = Numbering()
    played = play_in_turns(player, {}, macpo.Run(), 0, episodes, None)
    assert player.sizes == sizes
    assert len(set(player.keys)) == len(sizes)  # no episode is played twice
    metrics = evaluation_metrics(played)
    assert metrics["test_return_mean"] == metrics["test_ep_length_mean"] == (episodes - 1) / 2
    assert metrics["test_return_std"] == pytest.approx(np.arange(episodes).std())
    assert metrics["test_won_mean"] == pytest.approx((episodes // 2) / episodes)


def test_seeds_beyond_32_bits_are_refused(whole: Path):
    for seed in (-1, 2**31):
        with pytest.raises(macpo.UsageError, match="seed must be at"):
            macpo.evaluate(whole, episodes=8, seed=seed)
        with pytest.raises(macpo.UsageError, match="seed must be at"):
            play(macpo.load(whole), seed)


def test_numbers_of_episodes_and_exploration_are_checked(whole: Path):
    with pytest.raises(macpo.UsageError, match="episodes must be at least 1, not 0"):
        macpo.evaluate(whole, episodes=0)
    with pytest.raises(macpo.UsageError, match="epsilon must be between 0 and 1, not 2"):
        macpo.evaluate(whole, epsilon=2.0)


def test_the_best_parameters_are_evaluated_in_a_larger_team(whole: Path):
    larger = replace(SMALL.env, height=6, width=6, n_predators=5)
    (row,) = macpo.evaluate(whole, episodes=4, which="best", env=larger)
    assert row["test_ep_length_mean"] <= 6
