"""Environments in plain Python: their time steps."""

from typing import Any

import numpy as np
import pytest

from macpo.envs.host import (
    availability,
    checked_time_step,
    numpy_time_step,
    reported,
)
from macpo.errors import UsageError
from tests.support.host_environments import HostCounting

# --- time steps -----------------------------------------------------------------------------------


def test_numbers_become_single_precision_and_flags_boolean():
    timestep = numpy_time_step([[1, 2]], [3], [[1, 0]], 4, 0, np.True_, {"clock": 5})
    numbers = *timestep.observation[:2], timestep.reward, timestep.info["clock"]
    flags = timestep.observation.avail_actions, timestep.terminated, timestep.truncated
    assert {x.dtype for x in numbers} == {np.dtype(np.float32)}
    assert {x.dtype for x in flags} == {np.dtype(bool)}
    assert [x.tolist() for x in numbers] == [[[1, 2]], [3], 4, 5]
    assert [x.tolist() for x in flags] == [[[True, False]], False, True]


def test_a_time_step_keeps_its_numbers_when_the_environment_reuses_its_arrays():
    obs, avail = np.ones((1, 2), np.float32), np.ones((1, 2), bool)
    timestep = numpy_time_step(obs, [0.0], avail, 0.0, False, False, {})
    obs[:], avail[:] = 7, False
    assert timestep.observation.obs.tolist() == [[1, 1]]
    assert timestep.observation.avail_actions.tolist() == [[True, True]]


@pytest.mark.parametrize("nothing", [None, {}])
def test_an_environment_may_tell_nothing(nothing: Any):
    assert numpy_time_step([[1]], [1], [[1]], 0, False, False, nothing).info == {}


def test_what_is_not_known_is_nan_and_left_out_of_the_mean_of_an_array():
    told = reported({"won": None, "rate": np.nan, "each": [1, None, 5], "n": np.int8(3), "no": []})
    assert {name for name, number in told.items() if np.isnan(number)} == {"won", "rate", "no"}
    assert (told["each"], told["n"]) == (3, 3)
    assert {type(number) for number in told.values()} == {float}


@pytest.mark.parametrize("value", ["plain", {"a": 1}, [[1], [1, 2]]])
def test_what_is_no_number_is_refused_by_name(value: Any):
    with pytest.raises(UsageError, match=r"^info\['map'\] must be a number, or None where"):
        reported({"map": value})


# --- availability ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [[True, False], [1, 0], np.array([1.0, 0.0])])
def test_availability_is_given_in_booleans_or_in_0_and_1(mask: Any):
    found = availability(mask)
    assert (found.tolist(), found.dtype) == ([True, False], bool)


@pytest.mark.parametrize("mask", [[0, -np.inf], [0.5, 1], [2, 0], [np.nan, 1]])
def test_availability_in_other_numbers_is_refused(mask: Any):
    with pytest.raises(UsageError, match=r"avail_actions holds numbers other than 0 and 1; .*== 0"):
        availability(mask)


# --- what reset and step return -------------------------------------------------------------------


def test_a_time_step_is_returned_as_it_is():
    timestep = HostCounting().reset(0)
    assert checked_time_step(timestep) is timestep


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "returned a NoneType, not a macpo.TimeStep"),
        ((1, 2, 3, 4), "returned a tuple, not a macpo.TimeStep"),
        (HostCounting().reset(0)._replace(observation=()), "returned a TimeStep, not"),
        (
            HostCounting().reset(0)._replace(reward=np.zeros(2)),
            r"reward of shape \(2,\); it must",
        ),
    ],
)
def test_what_is_no_time_step_of_a_team_is_refused(returned: Any, said: str):
    with pytest.raises(UsageError, match=said):
        checked_time_step(returned)


def test_an_environment_that_needs_nothing_is_ready():
    HostCounting().check_ready()


def test_closing_an_environment_that_holds_nothing_may_be_repeated():
    env = HostCounting()
    env.close()
    env.close()
    assert env.reset(0).reward == 0
