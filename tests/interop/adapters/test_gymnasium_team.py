"""Gymnasium's environments of teams through our contract."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, Tuple
from gymnasium.wrappers import TimeLimit

from macpo.errors import UsageError
from macpo.interop import check, factory


class Trio(gymnasium.Env[Any, Any]):
    """Three agents for three steps; the second has one action and one observation less."""

    action_space: Any = Tuple([Discrete(3), Discrete(2), Discrete(3, start=5)])
    observation_space: Any = Tuple([Box(-9, 9, (2,)), Box(-9, 9, (1,)), Discrete(2)])

    def __init__(self, ends_at: int = 3, per_agent: bool = False, **extra: Any) -> None:
        self.ends_at, self.per_agent, self.extra = ends_at, per_agent, extra

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t, self.chance = 0, self.np_random.random()
        return self._obs(), dict(self.extra)

    def step(self, action: Any) -> Any:
        self.t += 1
        self.taken = action
        over: Any = self.t >= self.ends_at
        reward: Any = [1.0, 2.0, 6.0]
        cut: Any = False
        if self.per_agent:
            over, cut = [over, over, False], [False, False, over]
        return self._obs(), reward, over, cut, {**self.extra, "score": self.t}

    def _obs(self) -> Any:
        first = np.array([self.t, self.chance], np.float32)
        return first, np.array([self.t], np.float32), self.t % 2


def adapted(env: Any, **settings: Any) -> Any:
    def make() -> Any:
        return env

    return factory.config_class("games:trio", make)(**{"episode_limit": 5, **settings}).make()


def ends(env: Any) -> list[tuple[bool, bool]]:
    """(terminated, truncated) of the steps of an episode, as long as it goes on."""
    env.reset(0)
    found: list[tuple[bool, bool]] = []
    while not found or not any(found[-1]):
        timestep = env.step(np.zeros(3, int))
        found.append((bool(timestep.terminated), bool(timestep.truncated)))
    return found


def test_it_keeps_every_promise_of_an_environment() -> None:
    results = list(check.examine(adapted(Trio())))
    assert [result for result in results if result.findings] == []
    assert len(results) > 10


def test_sizes_are_those_of_the_agent_with_most() -> None:
    spec = adapted(Trio()).spec
    assert (spec.n_agents, spec.n_actions, spec.obs_size, spec.state_size) == (3, 3, 2, 6)


def test_observations_are_flattened_and_padded_and_the_state_is_all_of_them() -> None:
    env = adapted(Trio())
    chance = np.float32(Trio().reset(seed=7)[0][0][1])
    observation = env.reset(7).observation
    np.testing.assert_array_equal(observation.obs, [[0, chance], [0, 0], [1, 0]])
    np.testing.assert_array_equal(observation.state, observation.obs.reshape(-1))


def test_what_an_agent_lacks_is_unavailable_and_actions_are_counted_from_0() -> None:
    env = adapted(made := Trio())
    avail = env.reset(0).observation.avail_actions.astype(int)
    np.testing.assert_array_equal(avail, [[1, 1, 1], [1, 1, 0], [1, 1, 1]])
    env.step(np.array([2, 1, 1]))
    assert made.taken == (2, 1, 6)


@pytest.mark.parametrize("name", ["action_mask", "avail_actions"])
def test_masks_in_the_info_are_taken(name: str) -> None:
    env = adapted(Trio(**{name: [[0, 1, 1], [1, 0], [0, 0, 1]]}))
    avail = env.reset(0).observation.avail_actions.astype(int)
    np.testing.assert_array_equal(avail, [[0, 1, 1], [1, 0, 0], [0, 0, 1]])


def test_a_state_in_the_info_is_taken() -> None:
    env = adapted(Trio(state=[4.0, 5.0]))
    assert env.spec.state_size == 2
    assert env.reset(0).observation.state.tolist() == [4, 5]


class PymarlTrio(Trio):
    """With what SMAClite has of PyMARL's interface."""

    def get_state(self) -> Any:
        return np.array([[self.t, 8.0]])

    def get_avail_actions(self) -> Any:
        return [[1, 0, 0], [0, 1], [1, int(self.t < 2), 1]]


def test_pymarl_s_own_masks_and_state_are_asked_for_behind_wrappers() -> None:
    env = adapted(TimeLimit(PymarlTrio(), 4))
    assert env.spec.state_size == 2
    observations = [env.reset(0).observation]
    observations += [env.step(np.zeros(3, int)).observation for _ in range(2)]
    assert [o.state.tolist() for o in observations] == [[0, 8], [1, 8], [2, 8]]
    first, _, last = (o.avail_actions.astype(int).tolist() for o in observations)
    assert first == [[1, 0, 0], [0, 1, 0], [1, 1, 1]]
    assert last == [[1, 0, 0], [0, 1, 0], [1, 0, 1]]


def test_what_the_info_says_is_believed_before_what_methods_say() -> None:
    env = adapted(PymarlTrio(state=[4.0], avail_actions=[[0, 1, 1], [1, 0], [0, 0, 1]]))
    observation = env.reset(0).observation
    assert observation.state.tolist() == [4]
    assert observation.avail_actions[0].astype(int).tolist() == [0, 1, 1]


@pytest.mark.parametrize(("how", "reward"), [("sum", 9), ("mean", 3)])
def test_rewards_are_combined_as_asked(how: str, reward: float) -> None:
    env = adapted(Trio(), team_reward=how)
    env.reset(0)
    assert float(env.step(np.zeros(3, int)).reward) == reward


@pytest.mark.parametrize("per_agent", [False, True])
def test_an_end_is_terminal_if_it_is_one_for_every_agent(per_agent: bool) -> None:
    terminated, truncated = ends(adapted(Trio(per_agent=per_agent)))[-1]
    assert (terminated, truncated) == (not per_agent, per_agent)


def test_the_configured_limit_truncates() -> None:
    assert ends(adapted(Trio(ends_at=9), episode_limit=2)) == [(False, False), (False, True)]


def test_gymnasium_s_own_time_limit_is_found_and_truncates() -> None:
    env = adapted(TimeLimit(Trio(ends_at=9), 4), episode_limit=None)
    assert env.spec.episode_limit == 4
    assert ends(env)[-1] == (False, True)


def test_an_end_when_time_is_up_is_no_terminal_one_although_the_environment_says_so() -> None:
    class Timed(Trio):  # as LBF and RWARE
        _max_episode_steps = 3

    env = adapted(Timed(), episode_limit=None)
    assert env.spec.episode_limit == 3
    assert ends(env)[-1] == (False, True)


def test_infos_are_kept_by_name() -> None:
    env = adapted(Trio(), info=("score", "fun"))
    env.reset(0)
    assert env.step(np.zeros(3, int)).info == {"score": 1, "fun": 0}


def test_an_environment_of_one_agent_is_refused() -> None:
    class Single(Trio):
        action_space = Discrete(3)

    with pytest.raises(UsageError, match=r"whose actions are Discrete.* a Tuple with an entry"):
        adapted(Single())


def test_actions_that_cannot_be_numbered_are_refused() -> None:
    class Continuous(Trio):
        action_space = Tuple([Box(0, 1, (2,))] * 3)

    with pytest.raises(UsageError, match="must be Discrete"):
        adapted(Continuous())


def test_without_any_limit_it_asks_for_one() -> None:
    with pytest.raises(UsageError, match=r"--env\.episode-limit STEPS"):
        adapted(Trio(), episode_limit=None)


def test_observations_of_another_number_of_agents_are_told() -> None:
    class Forgetful(Trio):
        def _obs(self) -> Any:
            return super()._obs()[:2]

    with pytest.raises(UsageError, match="observations of 2 numbers, but the environment declares"):
        adapted(Forgetful()).reset(0)


def test_it_draws_itself_if_it_was_made_to() -> None:
    class Drawn(Trio):
        def render(self) -> Any:
            return "a picture"

    env = Drawn()
    assert adapted(env).render() is None
    env.render_mode = "rgb_array"
    assert adapted(TimeLimit(env, 3)).render() == "a picture"
