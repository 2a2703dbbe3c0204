"""JaxMARL's environments through our contract, on a stand-in that has its interface."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.errors import UsageError
from macpo.interop import check, factory
from macpo.interop.to_host import OnHost
from macpo.training.rollout import collect
from tests.support.riddle import Overseen, Riddle, Space

WRONG, RIGHT = np.array([0, 0]), np.array([1, 1])


def adapted(env: Any, **settings: Any) -> Any:
    def make() -> Any:
        return env

    return factory.config_class("riddles:make", make)(**settings).make()


def played(env: Any, *actions: Any, **settings: Any) -> list[Any]:
    """The time steps of reset and of these joint actions."""
    player = OnHost(adapted(env, **settings))
    return [player.reset(0), *(player.step(joint) for joint in actions)]


def ends_of(timesteps: list[Any]) -> list[tuple[bool, bool]]:
    return [(bool(timestep.terminated), bool(timestep.truncated)) for timestep in timesteps[1:]]


@pytest.mark.parametrize("env", [Riddle(), Riddle(late=False), Riddle(masks=True), Overseen()])
def test_it_keeps_every_promise_of_an_environment(env: Any) -> None:
    results = list(check.examine(adapted(env)))
    assert [result for result in results if result.findings] == []
    assert len(results) > 10


def test_sizes_are_those_of_the_agent_with_most() -> None:
    spec = adapted(Riddle()).spec
    assert (spec.n_agents, spec.n_actions, spec.obs_size, spec.state_size) == (2, 4, 3, 6)
    assert (spec.name, spec.episode_limit) == ("riddles:make", 3)


def test_observations_are_flattened_and_padded_and_the_state_is_all_of_them() -> None:
    timestep = played(Riddle(), WRONG)[1]
    np.testing.assert_array_equal(timestep.observation.obs, [[1, 1, 0], [1, 1, 1]])
    np.testing.assert_array_equal(timestep.observation.state, [1, 1, 0, 1, 1, 1])


def test_a_world_state_is_used_where_there_is_one() -> None:
    np.testing.assert_array_equal(played(Overseen(), WRONG)[1].observation.state, [2])


def test_without_masks_an_agent_may_do_all_it_has() -> None:
    avail = played(Riddle())[0].observation.avail_actions.astype(int)
    np.testing.assert_array_equal(avail, [[1, 1, 0, 0], [1, 1, 1, 1]])


def test_masks_are_those_after_the_step() -> None:
    avail = played(Riddle(masks=True), WRONG)[1].observation.avail_actions.astype(int)
    np.testing.assert_array_equal(avail, [[1, 0, 0, 0], [1, 1, 0, 0]])


@pytest.mark.parametrize(("how", "reward"), [("sum", 2.0), ("mean", 1.0)])
def test_the_agents_rewards_make_one(how: str, reward: float) -> None:
    assert played(Riddle(), RIGHT, team_reward=how)[1].reward == reward


def test_the_last_time_step_is_not_the_first_of_the_next_episode() -> None:
    np.testing.assert_array_equal(played(Riddle(), WRONG, RIGHT)[2].observation.obs[1], [2, 2, 2])


@pytest.mark.parametrize("late", [True, False])
def test_time_is_over_after_max_steps_whenever_the_environment_notices(late: bool) -> None:
    ends = ends_of(played(Riddle(late=late), WRONG, WRONG, WRONG))
    assert ends == [(False, False), (False, False), (False, True)]


def test_an_end_in_the_last_step_differs_from_the_limit_if_the_environment_ends_late() -> None:
    assert ends_of(played(Riddle(late=True), WRONG, WRONG, RIGHT))[-1] == (True, False)


def test_a_shorter_limit_cuts_off_and_spares_an_end_in_its_last_step() -> None:
    assert ends_of(played(Riddle(late=False), WRONG, WRONG, episode_limit=2))[-1] == (False, True)
    assert ends_of(played(Riddle(late=False), WRONG, RIGHT, episode_limit=2))[-1] == (True, False)


def test_an_episode_that_has_ended_stays_so() -> None:
    ends = ends_of(played(Riddle(), RIGHT, WRONG, WRONG, WRONG))
    assert ends == [(True, False)] * 4


def test_numbers_are_kept_and_those_of_each_agent_averaged() -> None:
    first, after = (timestep.info for timestep in played(Riddle(), WRONG))
    assert first == {"each": 0, "one": 0}
    assert after == {"each": 1.5, "one": 1}
    assert played(Riddle(), info=("one",))[0].info == {"one": 0}


def test_it_is_played_inside_the_compiled_loop() -> None:
    env = adapted(Riddle())

    def act(key: Any, hidden: Any, observation: Any, last: Any) -> Any:
        return hidden, jnp.ones(last.shape, jnp.int8)

    episodes, outcome = jax.jit(lambda key: collect(env, act, (), key, 2))(jax.random.key(0))
    assert episodes.length.tolist() == [1, 1] and episodes.terminated.all()
    assert outcome["one"].tolist() == [1, 1]


def test_actions_that_are_no_choice_are_refused() -> None:
    riddle = Riddle()
    riddle.action_space = lambda agent: Space((2,))  # type: ignore[method-assign]
    with pytest.raises(UsageError, match=r"actions of agent 'low' are .* must be Discrete"):
        adapted(riddle)


class Masked(Riddle):
    """Shows this mask to the agent with four actions."""

    def __init__(self, mask: Any) -> None:
        super().__init__(masks=True)
        self.mask = jnp.asarray(mask)

    def get_avail_actions(self, state: Any) -> Any:
        return super().get_avail_actions(state) | {"high": self.mask}


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        ([0.0, -np.inf, 0.0, 0.0], "avail_actions holds numbers other than 0 and 1"),
        ([1, 1, 1], "agent 'high' has a mask of 3 numbers, but the environment declares 4"),
    ],
)
def test_a_mask_that_cannot_be_one_is_refused(mask: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        adapted(Masked(mask))


class Unsure(Riddle):
    """Does not know a number of its first agent."""

    def step_env(self, key: Any, state: Any, actions: Any) -> Any:
        *rest, info = super().step_env(key, state, actions)
        return *rest, info | {"each": jnp.array([jnp.nan, 4.0])}


def test_numbers_that_are_not_known_are_left_out_of_the_mean() -> None:
    assert played(Unsure(), WRONG)[1].info["each"] == 4


def test_a_limit_may_stand_in_the_options_alone() -> None:
    def make(max_steps: float) -> Any:
        return Riddle(max_steps=np.inf)  # type: ignore[arg-type]

    config = factory.config_class("riddles:limited", make)(options={"max_steps": 2})
    assert config.make().spec.episode_limit == 2
