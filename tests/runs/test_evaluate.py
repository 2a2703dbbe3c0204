"""Fresh episodes with trained policies."""

from pathlib import Path

import pytest

import macpo


def test_evaluation_gives_a_row_for_each_trained_seed(whole: Path):
    (row,) = macpo.evaluate(whole, episodes=8)
    assert row["seed"] == 0 and row["episodes"] == 8
    assert 0 <= row["test_return_mean"] <= 10


def test_the_same_seed_plays_the_same_episodes(whole: Path):
    once = macpo.evaluate(whole, episodes=8, seed=1)
    assert macpo.evaluate(whole, episodes=8, seed=1) == once


def test_numbers_of_episodes_and_exploration_are_checked(whole: Path):
    with pytest.raises(macpo.UsageError, match="episodes must be at least 1, not 0"):
        macpo.evaluate(whole, episodes=0)
    with pytest.raises(macpo.UsageError, match="epsilon must be between 0 and 1, not 2"):
        macpo.evaluate(whole, epsilon=2.0)
