"""Episodes written down time step by time step."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from macpo.errors import UsageError
from macpo.training.host.episodes import EpisodeWriter
from macpo.training.host.slot import Slot
from macpo.types import Spec

SPEC = Spec("noted", n_agents=2, n_actions=3, obs_size=1, state_size=1, episode_limit=3)


def slot(view: int, reward: float = 0.0, terminated: bool = False, truncated: bool = False) -> Slot:
    """A time step in which agents and state show one number."""
    return Slot(
        obs=np.full((2, 1), view, np.float32),
        state=np.full(1, view, np.float32),
        avail_actions=np.ones((2, 3), bool),
        reward=np.array([reward], np.float32),
        terminated=np.array([terminated]),
        truncated=np.array([truncated]),
        actions=np.zeros(2, int),
    )


def writer(n: int = 2, keep_states: bool = True, **changes: Any) -> EpisodeWriter:
    return EpisodeWriter(dataclasses.replace(SPEC, **changes), n, keep_states)


def act(written: EpisodeWriter, *actions: list[int]) -> list[bool]:
    """Which rows take the policy's actions."""
    return written.answer(np.array(actions)).tolist()


def two_episodes() -> EpisodeWriter:
    """Row 0 is truncated after three steps, row 1 terminates after one."""
    written = writer()
    written.add(0, slot(10), None)
    written.add(1, slot(20), None)
    assert act(written, [0, 1], [2, 0]) == [True, True]
    written.add(1, slot(21, reward=5.0, terminated=True), {"won": 1.0})
    written.add(0, slot(11, reward=1.0), None)
    assert act(written, [1, 1], [2, 2]) == [True, False]
    written.add(0, slot(12, reward=2.0), None)
    assert act(written, [2, 0], [2, 2]) == [True, False]
    written.add(0, slot(13, reward=3.0, truncated=True), {"won": 0.0})
    return written


def test_a_row_holds_the_rewards_and_actions_between_its_states():
    episodes, _ = two_episodes().finish()
    assert episodes.length.tolist() == [3, 1]
    assert episodes.reward.tolist() == [[1, 2, 3], [5, 0, 0]]
    assert episodes.actions.tolist() == [[[0, 1], [1, 1], [2, 0]], [[2, 0], [0, 0], [0, 0]]]


def test_all_states_are_kept_the_final_one_too():
    encoded_state = two_episodes().finish().episodes.encoded_state
    assert encoded_state.state[..., 0].tolist() == [[10, 11, 12, 13], [20, 21, 0, 0]]
    np.testing.assert_array_equal(encoded_state.obs[:, :, 0], encoded_state.state)
    assert encoded_state.avail_actions.any((2, 3)).tolist() == [
        [True] * 4,
        [True] * 2 + [False] * 2,
    ]


def test_states_that_nobody_learns_from_are_not_kept():
    assert writer(keep_states=False).episodes.encoded_state == ()


def test_an_episode_that_is_truncated_has_not_terminated():
    assert two_episodes().finish().episodes.terminated.tolist() == [False, True]


def test_a_time_limit_terminates_where_the_environment_says_so():
    written = writer(n=1, truncation_is_terminal=True)
    written.add(0, slot(1), None)
    act(written, [0, 0])
    written.add(0, slot(2, truncated=True), {})
    assert written.finish().episodes.terminated.tolist() == [True]


def test_the_last_infos_are_the_outcome():
    outcome = two_episodes().finish().outcome
    assert {name: values.tolist() for name, values in outcome.items()} == {"won": [0, 1]}


def test_only_rows_that_wait_take_actions_and_each_once():
    written = writer()
    written.add(1, slot(20), None)
    assert act(written, [1, 1], [2, 2]) == [False, True]
    assert act(written, [0, 0], [0, 0]) == [False, False]
    assert written.last_action.tolist() == [[-1, -1], [2, 2]]


def test_the_newest_observation_of_each_row_is_at_hand():
    written = writer()
    written.add(0, slot(10), None)
    written.add(1, slot(20), None)
    act(written, [0, 0], [0, 0])
    written.add(1, slot(21), None)
    assert written.observation.state[:, 0].tolist() == [10, 21]


def test_a_row_that_was_discarded_starts_anew():
    written = writer(n=1)
    written.add(0, slot(10), None)
    act(written, [1, 2])
    written.add(0, slot(11, reward=1.0), None)
    written.discard(0)
    assert not any(x.any() for x in (*written.episodes.encoded_state, *written.episodes[1:]))
    assert act(written, [1, 2]) == [False]
    written.add(0, slot(30), None)
    assert written.last_action.tolist() == [[-1, -1]]
    act(written, [2, 1])
    written.add(0, slot(31, reward=4.0, terminated=True), {})
    episodes, _ = written.finish()
    assert (episodes.length.tolist(), episodes.reward.tolist()) == ([1], [[4, 0, 0]])
    assert episodes.actions.tolist() == [[[2, 1], [0, 0], [0, 0]]]
    assert episodes.encoded_state.state[0, :, 0].tolist() == [30, 31, 0, 0]


def test_an_environment_that_goes_on_after_its_limit_is_refused():
    written = writer(n=1, episode_limit=1)
    written.add(0, slot(1), None)
    act(written, [0, 0])
    with pytest.raises(UsageError, match=r"^noted goes on after 1 env steps, its episode_limit"):
        written.add(0, slot(2), None)


def test_episodes_that_end_with_different_infos_are_refused():
    written = two_episodes()
    written.outcomes[1] = {"lost": 1.0}
    with pytest.raises(UsageError, match="different names in info"):
        written.finish()


def paid(reward: float, nonfinite_rewards: Any = "refuse") -> EpisodeWriter:
    """An episode whose second step pays this reward."""
    written = EpisodeWriter(SPEC, 1, keep_states=True, nonfinite_rewards=nonfinite_rewards)
    written.add(0, slot(1), None)
    act(written, [0, 0])
    written.add(0, slot(2, reward=1.0), None)
    act(written, [0, 0])
    written.add(0, slot(3, reward=reward, terminated=True), {})
    return written


@pytest.mark.parametrize("reward", [float("nan"), float("inf"), -float("inf")])
def test_a_reward_that_is_not_finite_is_refused_with_its_step(reward: float):
    said = rf"^noted paid a reward of {reward} in step 2 of an episode; .*--nonfinite-rewards zero"
    with pytest.raises(UsageError, match=said):
        paid(reward)


def test_a_reward_that_is_not_finite_is_kept_for_the_learner_to_count_where_that_is_allowed():
    assert np.isnan(paid(float("nan"), "zero").finish().episodes.reward[0, 1])
