"""Episodes of uniformly random available actions."""

from typing import Any

import numpy as np
import pytest
import scipy.stats
from jaxtyping import Int

from macpo.errors import UsageError
from macpo.interop.random_play import PlayError, is_over, play, random_actions
from macpo.types import TimeStep
from tests.support.host_environments import HostCounting

SPEC = HostCounting().spec  # two agents with three actions each


def test_an_episode_is_played_to_its_end():
    episode = play(HostCounting(), seed=3)
    ended = [is_over(timestep) for timestep in episode.timesteps]
    assert ended == [False] * (len(ended) - 1) + [True]
    assert len(episode.timesteps) == len(episode.actions) + 1
    rewards = [float(timestep.reward) for timestep in episode.timesteps[1:]]
    assert rewards == [actions.sum() for actions in episode.actions]


def test_an_episode_without_an_end_stops_at_the_limit():
    class Endless(HostCounting):
        def time_step(self, reward: float) -> TimeStep:
            never = np.False_
            return super().time_step(reward)._replace(terminated=never, truncated=never)

    assert len(play(Endless(), seed=0).actions) == SPEC.episode_limit


def test_the_same_seed_plays_the_same_episode_and_another_one_another():
    def actions(seed: int) -> list[list[int]]:
        return np.array(play(HostCounting(episode_limit=4), seed).actions).tolist()

    assert actions(1) == actions(1)
    assert len({str(actions(seed)) for seed in range(5)}) > 1


def test_time_steps_are_located_by_seed_and_number():
    episode = play(HostCounting(), seed=3)
    where = [place for place, _ in episode.located()]
    assert where[:2] == ["seed 3, step 0", "seed 3, step 1"]
    assert len(where) == len(episode.timesteps)


def test_random_actions_are_available_and_equally_likely():
    rng, counts = np.random.default_rng(0), np.zeros((2, 3))
    for _ in range(2000):
        actions = random_actions(SPEC, rng, [[True, False, True], [True, True, True]])
        counts[np.arange(2), actions] += 1
    assert counts[0, 1] == 0
    assert scipy.stats.chisquare(counts[0, [0, 2]]).pvalue > 1e-3
    assert scipy.stats.chisquare(counts[1]).pvalue > 1e-3


def test_an_agent_without_an_available_action_takes_the_first_one():
    nobody = np.zeros((2, 3), bool)
    assert random_actions(SPEC, np.random.default_rng(0), nobody).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("terminated", "truncated", "over"),
    [(False, False, False), (True, False, True), (False, True, True)],
)
def test_either_flag_ends_an_episode(terminated: bool, truncated: bool, over: bool):
    first = HostCounting().reset(0)
    assert is_over(first._replace(terminated=terminated, truncated=truncated)) is over


def test_an_exception_is_told_with_the_step_and_the_line_that_raised_it():
    class Broken(HostCounting):
        def step(self, actions: Int[np.ndarray, " N"]) -> TimeStep:
            raise KeyError("health")

    with pytest.raises(PlayError) as error:
        play(Broken(), seed=3)
    assert error.value.where == "seed 3, step 1"
    found = f"expected a time step, found KeyError: 'health' ({__file__}, line "
    assert error.value.what.startswith(found)
    assert str(error.value) == f"seed 3, step 1: {error.value.what}"


def test_bad_input_is_told_in_its_own_words():
    class Refusing(HostCounting):
        def reset(self, seed: int) -> TimeStep:
            raise UsageError("the map is missing.")

    with pytest.raises(PlayError, match=r"^reset with seed 3: the map is missing\.$"):
        play(Refusing(), seed=3)


def test_what_is_no_time_step_is_told_with_the_step():
    class Quiet(HostCounting):
        def step(self, actions: Int[np.ndarray, " N"]) -> Any:
            super().step(actions)

    with pytest.raises(PlayError, match=r"^seed 3, step 1: the environment returned a NoneType"):
        play(Quiet(), seed=3)


def test_time_steps_are_copied_before_the_next_step_and_kept_as_they_became():
    class Reusing(HostCounting):
        view = np.zeros((2, 2), np.float32)

        def time_step(self, reward: float) -> TimeStep:
            timestep = super().time_step(reward)
            self.view[:] = self.t
            return timestep._replace(observation=timestep.observation._replace(obs=self.view))

    episode = play(Reusing(), seed=3)
    n = len(episode.actions)
    seen = [step.observation.obs[0, 0] for step in episode.timesteps]
    assert seen == list(range(n + 1))
    assert {step.observation.obs[0, 0] for step in episode.returned} == {n}
