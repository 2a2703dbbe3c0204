"""One game plays many episodes: when it is started, given up and closed. A double stands for it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from macpo.envs.host import EnvironmentLost, numpy_time_step
from macpo.envs.smac import environment
from macpo.envs.smac.environment import MAX_LOOPS, SMAC, SMACEnv
from macpo.errors import UsageError
from macpo.types import TimeStep

FIRST = np.array([1, 1, 1])  # the action that the double always offers


class Double:
    """A game of 3m that lasts `length` steps, and is lost in the step `lost`."""

    def __init__(self, seed: int) -> None:
        self.seed, self.length, self.lost = seed, 3, -1
        self.resets = self.replays = self.closed = 0

    def reset(self) -> TimeStep:
        self.t, self.resets = 0, self.resets + 1
        return self._time_step()

    def step(self, actions: Any) -> TimeStep:
        self.t, self.actions = self.t + 1, actions
        if self.t == self.lost:
            raise EnvironmentLost("the line dropped")
        return self._time_step()

    def save_replay(self) -> None:
        self.replays += 1

    def close(self) -> None:
        self.closed += 1

    def _time_step(self) -> TimeStep:
        avail = np.arange(9) == 1
        over = self.t == self.length
        return numpy_time_step(
            np.zeros((3, 30)), np.zeros(48), [avail] * 3, 0, over, False, {"battle_won": over}
        )


@pytest.fixture
def games(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Double]]:
    """All games that were started, in turn."""
    started: list[Double] = []

    def start(config: SMAC, spec: Any, seed: int) -> Double:
        started.append(Double(seed))
        return started[-1]

    monkeypatch.setattr(environment, "_open", start)
    yield started


def made(**settings: Any) -> SMACEnv:
    return SMAC(map="3m", **settings).make()


def test_sizes_are_those_of_the_map_and_time_outs_are_terminal() -> None:
    spec = made().spec
    sizes = (spec.n_agents, spec.n_actions, spec.obs_size, spec.state_size, spec.episode_limit)
    assert sizes == (3, 9, 30, 48, 60)
    assert spec.truncation_is_terminal


def test_the_first_reset_starts_a_game_and_later_ones_go_on_with_it(games: list[Double]) -> None:
    env = made()
    assert games == []
    env.reset(7)
    env.reset(8)
    assert [(game.seed, game.resets) for game in games] == [(7, 2)]


def test_actions_reach_the_game_as_a_list_of_integers(games: list[Double]) -> None:
    env = made()
    env.reset(0)
    env.step(np.array([1, 1, 1], np.int8))
    assert games[0].actions == [1, 1, 1] and type(games[0].actions[0]) is int


@pytest.mark.parametrize("action", [0, 9, -1])
def test_an_action_that_is_not_available_is_refused_with_those_that_are(
    games: list[Double], action: int
) -> None:
    env = made()
    env.reset(0)
    with pytest.raises(UsageError, match=f"agent 1 cannot take action {action}; available: 1"):
        env.step(np.array([1, action, 1]))
    assert env.step(FIRST).reward == 0  # nothing was lost


def test_a_step_outside_an_episode_is_refused(games: list[Double]) -> None:
    env = made()
    with pytest.raises(UsageError, match="no episode is in progress: call reset first"):
        env.step(FIRST)
    env.reset(0)
    for _ in range(3):
        env.step(FIRST)
    with pytest.raises(UsageError, match="no episode is in progress: call reset first"):
        env.step(FIRST)


def test_a_game_that_is_lost_is_ended_and_the_next_reset_starts_another(
    games: list[Double],
) -> None:
    env = made()
    env.reset(0)
    games[0].lost = 1
    with pytest.raises(EnvironmentLost):
        env.step(FIRST)
    assert games[0].closed == 1
    env.reset(5)
    assert [game.seed for game in games] == [0, 5]
    assert games[1].closed == 0


def test_a_game_is_replaced_before_it_has_played_as_long_as_it_can(games: list[Double]) -> None:
    env = made()
    loops_of_an_episode = 200 + 60 * 8
    for _ in range(MAX_LOOPS // loops_of_an_episode):
        env.reset(0)
        for _ in range(3):
            env.step(FIRST)
    assert len(games) == 1  # whose episodes were shorter than they could have been
    env._loops = MAX_LOOPS - loops_of_an_episode + 1
    env.reset(1)
    assert [(game.seed, game.closed) for game in games] == [(0, 1), (1, 0)]


def test_closing_ends_the_game_and_may_be_repeated(games: list[Double]) -> None:
    env = made()
    env.close()
    env.reset(0)
    env.close()
    env.close()
    assert [(game.closed, game.replays) for game in games] == [(1, 0)]


def test_a_replay_is_written_before_a_game_ends_where_one_is_wanted(games: list[Double]) -> None:
    env = made(replay_dir="replays")
    env.reset(0)
    env.close()
    assert [(game.closed, game.replays) for game in games] == [(1, 1)]
