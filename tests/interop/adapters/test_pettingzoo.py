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


class Absent(Relay):
    """The judge is possible, and stays away; `comes` says in which steps it is there after all."""

    def __init__(self, leaves: Any = None, comes: tuple[int, ...] = ()) -> None:
        super().__init__(leaves)
        self.comes = comes

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed)
        self.agents.remove("judge")
        return self._observe(self.agents)

    def step(self, actions: dict[str, int]) -> Any:
        result = super().step(actions)
        if self.t in self.comes:
            self.agents.append("judge")
            obs, infos = self._observe(self.agents)
            return obs, *result[1:4], infos
        if "judge" in self.agents:
            self.agents.remove("judge")
        return result


def ends_after(env: Any, steps: int) -> list[tuple[bool, bool]]:
    env.reset(0)
    return [ends_of(env.step(np.array([0, 1, 0]))) for _ in range(steps)]


def test_only_agents_that_take_part_need_to_terminate() -> None:
    both = dict.fromkeys(("runner", "coach"), (3, TERMINATED))
    assert ends_after(adapted(Absent(both)), 3) == [(False, False)] * 2 + [(True, False)]


def test_an_agent_that_joins_later_takes_part() -> None:
    both = dict.fromkeys(("runner", "coach"), (1, TERMINATED))
    env = adapted(Absent(both, comes=(1,)))
    assert ends_after(env, 1) == [(False, False)]
    assert env.step(np.array([0, 1, 3])).observation.avail_actions[2].tolist() == [
        *(True, False, False, False),
    ]


def test_the_mean_reward_is_that_of_agents_that_take_part() -> None:
    env = adapted(Absent(), team_reward="mean")
    env.reset(0)
    assert env.step(np.array([1, 1, 0])).reward == 1.5  # of 1 and 2, the coach's second action


def test_an_agent_that_comes_back_is_refused_with_the_step() -> None:
    env = adapted(Absent(comes=(1, 3)))
    env.reset(0)
    env.step(np.array([0, 1, 0]))
    env.step(np.array([0, 1, 0]))
    with pytest.raises(UsageError, match=r"agent 'judge' is back in step 3, after it had left"):
        env.step(np.array([0, 1, 0]))


class Reviving(Relay):
    """The judge has terminated in step 1, and in step 2 it has not, without ever leaving."""

    def step(self, actions: dict[str, int]) -> Any:
        self.agents = list(self.possible_agents)
        obs, rewards, terminations, truncations, infos = super().step(dict.fromkeys(self.agents, 0))
        terminations["judge"] = self.t == 1
        return obs, rewards, terminations, truncations, infos


def test_an_agent_that_had_terminated_and_plays_on_is_refused() -> None:
    env = adapted(Reviving())
    env.reset(0)
    env.step(np.array([0, 1, 0]))
    with pytest.raises(UsageError, match=r"agent 'judge' is back in step 2, after it had left"):
        env.step(np.array([0, 1, 0]))


def test_check_env_meets_an_agent_that_comes_back_and_says_so_in_one_sentence() -> None:
    results = [r for r in check.examine(adapted(Absent(comes=(1, 3))), 1) if r.findings]
    assert [result.title for result in results] == [check.PLAYABLE]
    found = str(results[0].findings[0])
    assert found.startswith("seed 0, step 3: games:relay: agent 'judge' is back in step 3")


def test_an_agent_that_was_never_possible_is_refused() -> None:
    relay = Absent(comes=(1,))
    relay.possible_agents = ["runner", "coach"]  # pyright: ignore[reportAttributeAccessIssue]
    relay.reset = lambda seed=None, options=None: Relay.reset(relay, seed)
    env = adapted(relay)
    env.reset(0)
    with pytest.raises(
        UsageError, match=r"`agents` has \['judge'\] in step 1, which are not among"
    ):
        env.step(np.array([0, 1]))


def test_an_episode_without_agents_is_refused() -> None:
    relay = Relay()
    relay.reset = lambda seed=None, options=None: ({}, {})
    with pytest.raises(UsageError, match="after reset no agent is in `agents`"):
        adapted(relay).reset(0)


@pytest.mark.parametrize("method", ["reset", "step"])
def test_results_of_older_versions_are_refused(method: str) -> None:
    relay, new = Relay(), getattr(Relay, method)
    setattr(relay, method, lambda *arguments, **named: new(relay, *arguments, **named)[0])
    env = adapted(relay)
    with pytest.raises(UsageError, match=rf"{method} must return \(obs, .*infos\), each a dict"):
        env.reset(0)
        env.step(np.array([0, 1, 0]))


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


def test_a_limit_of_infinity_gives_way_to_another_one() -> None:
    relay = Relay()
    relay.max_cycles = float("inf")  # pyright: ignore[reportAttributeAccessIssue]
    relay.max_steps = 4  # pyright: ignore[reportAttributeAccessIssue]
    assert adapted(relay).spec.episode_limit == 4


def test_a_limit_that_only_the_factory_knows_is_found_in_its_options() -> None:
    def make(max_cycles: int) -> Any:
        relay = Relay()
        relay.max_cycles = None  # pyright: ignore[reportAttributeAccessIssue]
        return relay

    config = factory.config_class("games:limited", make)(options={"max_cycles": 3})
    assert config.make().spec.episode_limit == 3


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (4, "agent 'runner' observes 4 numbers, but the environment declares 2"),
        (1, "agent 'runner' observes 1 numbers, but the environment declares 2"),
    ],
)
def test_an_observation_of_another_size_than_its_space_is_refused(size: int, said: str) -> None:
    relay = Relay()
    relay._observe = lambda agents: ({"runner": np.zeros(size)}, {a: {} for a in agents})
    with pytest.raises(UsageError, match=f"^games:relay: {said}"):
        adapted(relay).reset(0)


def test_an_observation_that_its_space_cannot_hold_is_refused() -> None:
    relay = Relay()
    seen = {"observation": 7, "action_mask": np.ones(3)}  # of Discrete(3)
    relay._observe = lambda agents: ({"coach": seen}, {a: {} for a in agents})
    with pytest.raises(UsageError, match=r"what agent 'coach' observes does not fit .*IndexError"):
        adapted(relay).reset(0)


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        ([1, 1], "agent 'judge' has a mask of 2 numbers, but the environment declares 4"),
        ([0, -np.inf, 0, 0], "avail_actions holds numbers other than 0 and 1"),
    ],
)
def test_a_mask_that_cannot_be_one_is_refused(mask: Any, said: str) -> None:
    relay, observe = Relay(), Relay._observe

    def masked(agents: Any) -> Any:
        obs, infos = observe(relay, agents)
        infos["judge"]["action_mask"] = np.array(mask)
        return obs, infos

    relay._observe = masked
    with pytest.raises(UsageError, match=said):
        adapted(relay).reset(0)


def test_numbers_that_some_agents_do_not_tell_are_left_out_of_the_mean() -> None:
    relay, observe = Relay(), Relay._observe

    def partly(agents: Any) -> Any:
        obs, infos = observe(relay, agents)
        infos["coach"]["clock"], infos["judge"]["clock"] = None, float("nan")
        return obs, infos

    relay._observe = partly
    env = adapted(relay, info=("clock",))
    env.reset(0)
    assert env.step(np.array([0, 1, 0])).info == {"clock": 1}


def test_what_is_taken_for_the_state_is_told() -> None:
    assert adapted(Planned()).assumptions == ("the global state is state()",)
    assert adapted(Relay()).assumptions == (
        "the global state is all observations, since there is no state()",
    )


def test_it_draws_itself_if_it_was_made_to() -> None:
    class Drawn(Relay):
        render_mode: Any = "rgb_array"

        def render(self) -> Any:
            return "a picture"

    assert adapted(Relay()).render() is None
    assert adapted(Drawn()).render() == "a picture"
