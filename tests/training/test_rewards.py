"""Rewards that are not finite: counted, refused by default, or read as 0."""

from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from macpo.errors import UsageError
from macpo.training import rewards
from macpo.types import Episodes, Rollout

every_library = pytest.mark.parametrize("xp", [np, jnp])


def rollout(xp: ModuleType) -> Rollout:
    """Two episodes; three of their rewards are not finite."""
    reward = xp.asarray([[1.0, np.nan, -np.inf], [np.inf, 0.25, 0.0]])
    return Rollout(Episodes((), xp.zeros((2, 3, 1)), reward, xp.asarray([3, 2]), reward[:, 0]), {})


@every_library
def test_rewards_that_are_not_finite_are_counted(xp: ModuleType) -> None:
    assert rewards.n_nonfinite(rollout(xp)).tolist() == [2, 1]


@every_library
def test_they_are_read_as_0_where_the_run_says_so(xp: ModuleType) -> None:
    read = rewards.read_as("zero", rollout(xp))
    assert read.episodes.reward.tolist() == [[1, 0, 0], [0, 0.25, 0]]
    assert rewards.n_nonfinite(read).tolist() == [0, 0]


@every_library
def test_by_default_they_stay_visible(xp: ModuleType) -> None:
    played = rollout(xp)
    assert rewards.read_as("refuse", played) is played


def test_a_run_that_was_paid_such_rewards_is_refused_with_their_number_and_place() -> None:
    with pytest.raises(UsageError) as error:
        rewards.require_finite(3, "refuse", "toys:make", "by env step 480")
    assert str(error.value).startswith(
        "toys:make paid 3 rewards that are not finite numbers by env step 480; `macpo check-env`"
    )


@pytest.mark.parametrize(("n", "how"), [(0, "refuse"), (3, "zero")])
def test_finite_rewards_are_fine_and_so_are_those_that_are_read_as_0(n: int, how: Any) -> None:
    rewards.require_finite(n, how, "toys:make", "by env step 480")
