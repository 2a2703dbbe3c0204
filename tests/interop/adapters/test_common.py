"""What the adapters share."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from macpo.errors import UsageError
from macpo.interop.adapters.common import (
    as_limit,
    check_size,
    episode_limit,
    flat,
    n_actions,
    numbers,
    own_limit,
    picture,
    team_reward,
)
from macpo.interop.factory import FactoryConfig


@dataclass(frozen=True)
class Made(FactoryConfig):
    """Settings of an environment that somebody's factory makes."""

    name = "somebody:factory"


class Discrete:
    """As Gymnasium's and JaxMARL's, of another library."""

    n = np.int64(5)


@pytest.mark.parametrize(
    ("own", "configured", "limit"), [(9, None, 9), (None, 7, 7), (9, 7, 7), (5, 7, 5)]
)
def test_the_smaller_limit_holds(own: int | None, configured: int | None, limit: int):
    assert episode_limit(Made(episode_limit=configured), own) == limit


class Limited:
    """An environment that has these attributes."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


@pytest.mark.parametrize(
    ("env", "limit"),
    [
        (Limited(max_cycles=5, max_steps=9), 5),
        (Limited(max_cycles=float("inf"), max_steps=9), 9),
        (Limited(max_steps=np.int64(9)), 9),
        (Limited(max_cycles=-1), None),
        (Limited(max_cycles=lambda: 5), None),
        (Limited(unwrapped=Limited(max_cycles=7)), 7),
        (Limited(), None),
    ],
)
def test_the_first_finite_limit_of_the_environment_is_its_own(env: Any, limit: int | None):
    assert own_limit(Made(), env) == limit


def test_a_limit_may_stand_in_the_options_alone():
    assert own_limit(Made(options={"max_cycles": 25}), Limited(max_cycles=None)) == 25


@pytest.mark.parametrize(
    ("x", "limit"), [(4, 4), (4.0, 4), (float("inf"), None), (float("nan"), None), (0, None)]
)
def test_what_is_no_number_of_steps_is_no_limit(x: float, limit: int | None):
    assert as_limit(x) == limit


def test_sizes_outside_the_declared_ones_are_refused():
    check_size(Made(), "agent 'a' observes", 3, range(1, 4))
    with pytest.raises(UsageError, match=r"agent 'a' observes 4 numbers, .* declares at most 3"):
        check_size(Made(), "agent 'a' observes", 4, range(1, 4))
    with pytest.raises(UsageError, match=r"agent 'a' observes 2 numbers, .* declares 3"):
        check_size(Made(), "agent 'a' observes", 2, range(3, 4))


def test_without_any_limit_the_flag_is_named():
    with pytest.raises(UsageError, match=r"^somebody:factory does not say.*--env\.episode-limit"):
        episode_limit(Made(), None)


def test_a_discrete_space_has_a_size():
    size = n_actions(Made(), "agent_0", Discrete())
    assert (size, type(size)) == (5, int)


def test_another_space_is_refused_with_the_agent():
    with pytest.raises(UsageError, match=r"actions of agent 'a' are \[0\.0, 1\.0\], but must be"):
        n_actions(Made(), "a", [0.0, 1.0])


@pytest.mark.parametrize("x", [[[1, 2], [3, 4]], np.arange(1.0, 5.0), (1, 2, 3, 4)])
def test_numbers_of_any_shape_become_one_vector(x: Any):
    vector = flat(x)
    assert (vector.tolist(), vector.dtype) == ([1, 2, 3, 4], np.float32)


def test_a_single_number_is_a_vector_of_one():
    assert flat(3).tolist() == [3]


@pytest.mark.parametrize(("how", "reward"), [("sum", 6.0), ("mean", 2.0)])
def test_the_team_receives_the_sum_or_the_mean(how: Any, reward: float):
    found = team_reward(Made(team_reward=how), [1.0, 2.0, 3.0])
    assert (found, found.dtype) == (reward, np.float32)
    assert team_reward(Made(team_reward=how), 4.0) == 4.0


def test_numbers_that_are_missing_are_zero_and_others_are_left_out():
    assert numbers(["won", "kills"], {"kills": 3, "map": 7}) == {"won": 0, "kills": 3}


class Painter:
    """Draws what it was made for, as Gymnasium's environments do."""

    def __init__(self, render_mode: str | None) -> None:
        self.render_mode = render_mode

    def render(self) -> str:
        return f"drawn as {self.render_mode}"


class OldPainter:
    """Is told in the call what to draw."""

    def render(self, mode: str = "human") -> str:
        return f"drawn as {mode}"


class Wrapped:
    """A wrapper, which does not pass the mode on."""

    render_mode = None

    def __init__(self, env: Any) -> None:
        self.unwrapped = env

    def render(self) -> str:
        return "by the wrapper"


@pytest.mark.parametrize(
    ("env", "drawn"),
    [
        (Painter("rgb_array"), "drawn as rgb_array"),
        (Painter("human"), None),
        (Painter(None), None),
        (OldPainter(), "drawn as rgb_array"),
        (Wrapped(OldPainter()), "drawn as rgb_array"),
        (object(), None),
    ],
)
def test_only_what_is_made_to_return_pictures_is_asked_for_them(env: Any, drawn: str | None):
    assert picture(env) == drawn
