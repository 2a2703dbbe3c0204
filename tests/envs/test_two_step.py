"""The two-step game: branches, payoffs, observations."""

import jax
import jax.numpy as jnp
import pytest

from macpo.envs.two_step import BRANCH_A, BRANCH_B, CHOICE, OVER, Config, State
from macpo.errors import UsageError
from macpo.types import TimeStep

KEY = jax.random.key(0)


def step(stage: int, first: int, second: int, scale: float = 1.0) -> tuple[int, TimeStep]:
    """(the next stage, its time step) when the agents take these actions."""
    env = Config(reward_scale=scale).make()
    state = State(jnp.array(stage, jnp.int8))
    after, timestep = env.step(KEY, state, jnp.array([first, second], jnp.int8))
    return int(after.stage), timestep


def test_an_episode_begins_with_the_choice_of_a_branch() -> None:
    state, first = Config().make().reset(KEY)
    assert state.stage == CHOICE
    assert (float(first.reward), bool(first.terminated)) == (0, False)


@pytest.mark.parametrize("second", [0, 1])
@pytest.mark.parametrize(("first", "branch"), [(0, BRANCH_A), (1, BRANCH_B)])
def test_the_first_agent_alone_chooses_the_branch(first: int, second: int, branch: int) -> None:
    stage, timestep = step(CHOICE, first, second)
    assert stage == branch
    assert (float(timestep.reward), bool(timestep.terminated)) == (0, False)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("second", [0, 1])
def test_branch_a_pays_seven_for_every_joint_action(first: int, second: int) -> None:
    assert step(BRANCH_A, first, second)[1].reward == 7


@pytest.mark.parametrize(
    ("first", "second", "reward"), [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 8)]
)
def test_branch_b_pays_eight_where_both_take_action_one(
    first: int, second: int, reward: float
) -> None:
    assert step(BRANCH_B, first, second)[1].reward == reward


@pytest.mark.parametrize("branch", [BRANCH_A, BRANCH_B])
def test_the_second_step_terminates_the_episode(branch: int) -> None:
    stage, timestep = step(branch, 1, 1)
    assert stage == OVER
    assert (bool(timestep.terminated), bool(timestep.truncated)) == (True, False)


def test_the_reward_is_zero_once_the_game_is_over() -> None:
    stage, timestep = step(OVER, 1, 1)
    assert (stage, float(timestep.reward), bool(timestep.terminated)) == (OVER, 0, True)


@pytest.mark.parametrize(
    ("stage", "one_hot"),
    [(CHOICE, [1, 0, 0]), (BRANCH_A, [0, 1, 0]), (BRANCH_B, [0, 0, 1]), (OVER, [0, 0, 0])],
)
def test_agents_and_state_see_the_stage_one_hot(stage: int, one_hot: list[int]) -> None:
    observation = Config().make().observe(State(jnp.array(stage, jnp.int8)))
    assert observation.state.tolist() == one_hot
    assert observation.obs.tolist() == [one_hot, one_hot]


def test_an_encoded_state_takes_one_byte() -> None:
    env = Config().make()
    state, _ = env.reset(KEY)
    assert env.encode(state).nbytes == 1


def test_the_reward_scale_multiplies_every_payoff() -> None:
    assert step(BRANCH_A, 0, 0, scale=0.5)[1].reward == 3.5
    assert step(BRANCH_B, 1, 1, scale=0.5)[1].reward == 4
    assert Config(reward_scale=0.5).make().spec.return_bounds == (0.0, 4.0)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_reward_scale_that_is_not_positive_is_refused(scale: float) -> None:
    with pytest.raises(UsageError, match="two-step: reward_scale must be above 0"):
        Config(reward_scale=scale)
