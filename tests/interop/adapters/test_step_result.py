"""What `step` returned is recognised by what it is, whatever the order of its values."""

import re
from typing import Any

import numpy as np
import pytest

from macpo.errors import UsageError
from macpo.interop.adapters.step_result import READINGS, read, written
from macpo.types import Spec

SPEC = Spec("wall", n_agents=2, n_actions=3, obs_size=4, state_size=4, episode_limit=9)
OBS = [np.zeros(4), np.ones(4)]
PYMARL, WITH_TRUNCATED, GYM, GYMNASIUM = READINGS


@pytest.mark.parametrize(
    ("returned", "reading"),
    [
        ((0.125, False, {}), PYMARL),
        ((0, True, {}), PYMARL),  # SMAC after it has restarted a game
        ((np.float32(0.125), np.bool_(False), None), PYMARL),
        (([0.1, 0.2], [False, True], {}), PYMARL),
        ((True, False, {}), PYMARL),  # a reward for a victory
        ((0.125, 1, {}), PYMARL),
        ((0.125, False, False, {}), WITH_TRUNCATED),
        ((0, False, True, {}), WITH_TRUNCATED),
        (([0.1, 0.2], False, False, {}), WITH_TRUNCATED),
        ((0.125, 0, 1, {}), WITH_TRUNCATED),
        ((OBS, 0.125, False, {}), GYM),
        ((OBS, 0, False, {}), GYM),
        ((np.zeros((2, 4)), 1.0, True, {}), GYM),
        ((OBS, [0.1, 0.2], [False, False], {}), GYM),
        (([np.zeros(4), np.zeros(3)], 0.5, False, {}), GYM),
        (({"a": OBS[0], "b": OBS[1]}, 0.5, False, {}), GYM),
        ((OBS, 1, 0, {}), GYM),
        ((OBS, 0.125, False, True, {}), GYMNASIUM),
    ],
)
def test_values_are_read_by_their_kinds(returned: Any, reading: Any) -> None:
    assert read(returned, SPEC).reading == reading


def test_the_reward_is_never_taken_for_a_flag_nor_a_flag_for_the_reward() -> None:
    result = read((0.125, False, True, {"won": 1}), SPEC)
    assert (result.reward, result.terminated, result.truncated) == (0.125, False, True)
    assert result.info == {"won": 1}
    result = read((OBS, 0.125, True, {}), SPEC)
    assert (result.reward, result.terminated, result.truncated) == (0.125, True, False)


def test_a_team_is_done_when_all_are_and_out_of_time_when_any_is() -> None:
    result = read((OBS, 0.0, [True, False], [True, False], None), SPEC)
    assert (result.terminated, result.truncated, result.info) == (False, True, {})


@pytest.mark.parametrize(
    ("returned", "described"),
    [
        (None, "(None)"),
        (0.5, "(0.5)"),
        ((0.5, False), "(0.5, False)"),
        ((OBS, 0.5, False), "(list of 2, 0.5, False)"),  # Gym's without info
        ((0.5, 0.25, {}), "(0.5, 0.25, dict of 0)"),
        ((0.5, 0.25, False, {}), "(0.5, 0.25, False, dict of 0)"),
        ((OBS, [0.0] * 3, False, {}), "(list of 2, list of 3, False, dict of 0)"),
        ((OBS, 0.5, False, [{}, {}]), "(list of 2, 0.5, False, list of 2)"),
        (
            (np.zeros((2, 4)), np.zeros(8), 0.5, False, {}),
            "(array of shape (2, 4), array of shape (8,), 0.5, False, dict of 0)",
        ),
        ((OBS, np.zeros(8), 0.5, False, {}, []), "(list of 2, array of shape (8,), 0.5, False, "),
    ],
)
def test_what_fits_no_reading_is_refused_as_it_is(returned: Any, described: str) -> None:
    with pytest.raises(UsageError, match=f"^wall: step returned {re.escape(described)}.*cannot be"):
        read(returned, SPEC)


def test_what_fits_two_readings_is_refused() -> None:
    """Of agents that see one number each, observations cannot be told from rewards."""
    tiny = Spec("tiny", n_agents=2, n_actions=3, obs_size=1, state_size=1, episode_limit=9)
    assert read(([0.5, 0.5], 1.0, False, {}), tiny).reading == GYM
    with pytest.raises(UsageError, match=r"^tiny: step returned .* cannot be read as"):
        read(([0.5, 0.5], 1, 0, {}), tiny)


def test_readings_are_written_as_in_documentation() -> None:
    assert written(PYMARL) == "(reward, terminated, info)"
