"""PettingZoo's environments through our contract, and its own tests on ours."""

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box
from pettingzoo.utils.conversions import parallel_to_aec

from macpo.errors import UsageError
from macpo.interop import check, factory
from tests.support.foreign_games import Planned, Relay

TERMINATED, TRUNCATED = "terminated", "truncated"


def adapted(env: Any, **settings: Any) -> Any:
    def make() -> Any:
        return env

    return factory.config_class("games:relay", make)(**settings).make()


def ends_of(timestep: Any) -> tuple[bool, bool]:
    return bool(timestep.terminated), bool(timestep.truncated)


def test_it_keeps_every_promise_of_an_environment() -> None:
    results = list(check.examine(adapted(Relay({"coach": (2, TERMINATED)}))))
    assert [result for result in results if result.findings] == []
    assert len(results) > 10


def test_sizes_are_those_of_the_agent_with_most() -> None:
    spec = adapted(Relay()).spec
    assert (spec.name, spec.n_agents, spec.n_actions, spec.obs_size) == ("games:relay", 3, 4, 3)


def test_observations_are_flattened_and_padded() -> None:
    env = adapted(Relay())
    env.reset(7)
    timestep = env.step(np.array([0, 1, 0]))
    chance = np.float32(np.random.default_rng(7).random())
    np.testing.assert_array_equal(timestep.observation.obs, [[1, 1, 0], [0, 1, 0], [chance, 0, 0]])


def test_masks_come_from_the_observation_or_the_info_and_what_an_agent_lacks_is_unavailable() -> (
    None
):
    avail = adapted(Relay()).reset(0).observation.avail_actions.astype(int)
    np.testing.assert_array_equal(avail, [[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 1]])


def test_without_a_global_state_it_is_all_observations() -> None:
    env = adapted(Relay())
    timestep = env.reset(0)
    np.testing.assert_array_equal(timestep.observation.state, timestep.observation.obs.reshape(-1))
    assert env.spec.state_size == 9


def test_a_global_state_is_used_where_there_is_one() -> None:
    env = adapted(Planned())
    env.reset(0)
    np.testing.assert_array_equal(env.step(np.array([0, 1, 0])).observation.state, [1, 3])
    assert env.spec.state_size == 2


def test_actions_are_counted_from_the_start_of_their_space() -> None:
    env = adapted(relay := Relay())
    env.reset(0)
    env.step(np.array([1, 2, 3], np.int8))
    assert relay.sent == {"runner": 1, "coach": 3, "judge": 3}


@pytest.mark.parametrize(("how", "reward"), [("sum", 7.0), ("mean", 7 / 3)])
def test_the_agents_rewards_make_one(how: str, reward: float) -> None:
    env = adapted(Relay(), team_reward=how)
    env.reset(0)
    assert env.step(np.array([1, 2, 3])).reward == pytest.approx(reward)


def test_an_agent_that_leaves_is_sent_nothing_and_may_only_do_nothing() -> None:
    env = adapted(relay := Relay({"judge": (1, TERMINATED)}))
    env.reset(0)
    for t in (1, 2):
        timestep = env.step(np.array([0, 1, 0]))
        np.testing.assert_array_equal(
            timestep.observation.avail_actions[2], [True, False, False, False]
        )
        assert ("judge" in relay.sent) == (t == 1)
        assert ends_of(timestep) == (False, False)
    np.testing.assert_array_equal(timestep.observation.obs[2], [0, 0, 0])


def test_an_agent_that_was_cut_off_is_gone_from_the_next_step_on() -> None:
    env = adapted(Relay({"judge": (1, TRUNCATED)}))
    env.reset(0)
    now, later = env.step(np.array([0, 1, 0])), env.step(np.array([0, 1, 0]))
    assert now.observation.avail_actions[2].tolist() == [True, False, False, True]
    assert later.observation.avail_actions[2].tolist() == [True, False, False, False]


def test_an_episode_terminates_when_all_agents_have() -> None:
    env = adapted(Relay({a: (t, TERMINATED) for t, a in enumerate(Relay.possible_agents, 1)}))
    env.reset(0)
    ends = [ends_of(env.step(np.array([0, 1, 0]))) for _ in range(3)]
    assert ends == [(False, False), (False, False), (True, False)]


def test_an_episode_is_truncated_when_one_agent_was_cut_off() -> None:
    leaves = dict.fromkeys(Relay.possible_agents, (1, TERMINATED)) | {"coach": (1, TRUNCATED)}
    env = adapted(Relay(leaves))
    env.reset(0)
    assert ends_of(env.step(np.array([0, 1, 0]))) == (False, True)


def test_the_last_time_step_shows_the_end_and_what_an_agent_cut_off_could_still_do() -> None:
    env = adapted(Relay(dict.fromkeys(Relay.possible_agents, (1, TRUNCATED))))
    env.reset(0)
    timestep = env.step(np.array([0, 1, 0]))
    np.testing.assert_array_equal(timestep.observation.obs[0], [1, 1, 0])
    np.testing.assert_array_equal(timestep.observation.avail_actions[1], [False, True, True, False])


@pytest.mark.parametrize(("asked", "limit"), [(None, 5), (2, 2), (9, 5)])
def test_episodes_are_cut_off_at_the_shorter_limit(asked: int | None, limit: int) -> None:
    env = adapted(Relay(), episode_limit=asked)
    env.reset(0)
    ends = [ends_of(env.step(np.array([0, 1, 0]))) for _ in range(limit)]
    assert ends == [(False, False)] * (limit - 1) + [(False, True)]
    assert env.spec.episode_limit == limit


def test_configured_numbers_are_the_mean_over_the_agents_that_report_them() -> None:
    env = adapted(Relay({"judge": (1, TERMINATED)}), info=("clock",))
    assert env.reset(0).info == {"clock": 0}
    assert env.step(np.array([0, 1, 0])).info == {"clock": 1}
    assert set(adapted(Relay()).reset(0).info) == set()


def test_an_environment_without_a_limit_asks_for_one() -> None:
    relay = Relay()
    relay.max_cycles = None  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(UsageError, match=r"set a limit with --env\.episode-limit STEPS"):
        adapted(relay)


def test_actions_that_are_no_choice_are_refused() -> None:
    relay = Relay()
    relay.action_spaces["judge"] = Box(0, 1, (2,))  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match=r"actions of agent 'judge' are Box.* must be Discrete"):
        adapted(relay)


def test_agents_that_take_turns_are_refused() -> None:
    with pytest.raises(UsageError, match="AECEnv, whose agents take turns"):
        adapted(parallel_to_aec(Relay()))
