"""Speed and remaining time, by a clock that is set by hand."""

import pytest

from macpo.runs.record.pace import Pace, clock


def test_before_updates_the_speed_is_known_but_not_the_time_left():
    pace = Pace(steps=10_000, env_steps=0, now=100.0)
    pace.note(500, learns=False, now=101.0)
    assert pace.speed(1_000, now=102.0) == 500
    assert pace.seconds_left(1_000, now=102.0) is None


def test_the_chunk_in_which_updates_begin_tells_nothing_about_the_time_left():
    # it was played in part without updates
    pace = Pace(steps=10_000, env_steps=0, now=100.0)
    pace.note(1_000, learns=True, now=102.0)
    assert pace.seconds_left(1_000, now=102.0) is None


def test_time_left_is_that_of_steps_with_updates():
    pace = Pace(steps=10_000, env_steps=0, now=100.0)
    pace.note(1_000, learns=True, now=102.0)
    pace.note(1_400, learns=True, now=112.0)  # 40 env steps a second
    assert pace.speed(1_400, now=112.0) == 40
    assert pace.seconds_left(1_400, now=112.0) == 215


def test_a_run_that_has_played_more_than_was_asked_has_nothing_left():
    pace = Pace(steps=100, env_steps=0, now=0.0)
    pace.note(50, learns=True, now=1.0)
    assert pace.seconds_left(120, now=2.0) == 0


def test_no_time_at_all_is_no_division_by_zero():
    assert Pace(steps=100, env_steps=0, now=1.0).speed(10, now=1.0) > 0
    assert Pace(steps=100, env_steps=10, now=1.0, learns=True).seconds_left(10, now=1.0) is None


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (67.9, "1:07"), (3599, "59:59"), (7387, "2:03:07")]
)
def test_a_clock_counts_minutes_and_from_an_hour_on_hours(seconds: float, shown: str):
    assert clock(seconds) == shown
