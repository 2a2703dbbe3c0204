"""The matrix game: its payoffs, its single step, its errors."""

import jax
import jax.numpy as jnp
import pytest

from macpo.envs.matrix_game import Config, MatrixGameEnv
from macpo.errors import UsageError
from macpo.types import TimeStep

KEY = jax.random.key(0)


def outcome(env: MatrixGameEnv, row: int, column: int) -> TimeStep:
    state, _ = env.reset(KEY)
    return env.step(KEY, state, jnp.array([row, column], jnp.int8))[1]


@pytest.mark.parametrize(
    ("row", "column", "reward"),
    [(0, 0, 8), (0, 1, -12), (2, 0, -12), (1, 1, 0), (1, 2, 0), (2, 2, 0)],
)
def test_the_default_pays_the_entries_of_the_qtran_matrix(
    row: int, column: int, reward: float
) -> None:
    assert outcome(Config().make(), row, column).reward == reward


def test_the_first_agent_chooses_the_row_and_the_second_the_column() -> None:
    env = Config(payoff=((1.0, 2.0), (3.0, 4.0))).make()
    assert outcome(env, 0, 1).reward == 2
    assert outcome(env, 1, 0).reward == 3


def test_the_game_terminates_after_its_only_step() -> None:
    env = Config().make()
    _, first = env.reset(KEY)
    after = outcome(env, 0, 0)
    assert (bool(first.terminated), bool(after.terminated)) == (False, True)
    assert not after.truncated
    assert env.spec.episode_limit == 1


def test_the_state_after_the_game_differs_from_the_one_before() -> None:
    env = Config().make()
    before, _ = env.reset(KEY)
    after, _ = env.step(KEY, before, jnp.array([0, 0]))
    assert (int(before.t), int(after.t)) == (0, 1)


def test_observations_are_a_constant_one() -> None:
    env = Config().make()
    _, first = env.reset(KEY)
    assert (
        first.observation.obs.tolist() == [[1], [1]] == outcome(env, 2, 1).observation.obs.tolist()
    )
    assert first.observation.state.tolist() == [1]


def test_there_are_as_many_actions_as_rows() -> None:
    assert Config(payoff=((0.0,) * 4,) * 4).make().spec.n_actions == 4


def test_the_smallest_and_the_largest_payoff_bound_the_return() -> None:
    assert Config().make().spec.return_bounds == (-12.0, 8.0)


@pytest.mark.parametrize(
    "payoff", [(), ((1.0, 2.0),), ((1.0,), (2.0,)), ((1.0, 2.0), (3.0,)), ((), ())]
)
def test_a_payoff_that_is_not_square_is_refused(payoff: tuple[tuple[float, ...], ...]) -> None:
    with pytest.raises(UsageError, match="payoff must be square"):
        Config(payoff=payoff)


@pytest.mark.parametrize("entry", [float("nan"), float("inf"), 1e39])
def test_a_payoff_that_is_not_a_finite_number_is_refused(entry: float) -> None:
    with pytest.raises(UsageError, match=r"matrix-game: payoff must be (finite|at most|at least)"):
        Config(payoff=((0.0, entry), (0.0, 0.0)))
