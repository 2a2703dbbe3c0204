"""Learning curves of several seeds."""

import numpy as np
import pytest

from macpo import UsageError
from macpo.statistics import aligned, area_under_curve, interval, iqm, iqm_curve

NAN = np.nan
RNG = np.random.default_rng(0)


# --- area -----------------------------------------------------------------------------------------


def test_the_area_is_a_mean_over_env_steps_and_not_over_evaluations():
    assert area_under_curve([0, 10, 100], [0, 20, 20]) == (10 * 10 + 90 * 20) / 100


def test_the_area_begins_at_the_first_evaluation():
    assert area_under_curve([100, 200], [4, 6]) == 5


def test_the_area_of_one_evaluation_is_its_value():
    assert area_under_curve([100], [4]) == 4


def test_the_area_of_a_curve_with_a_gap_is_not_known():
    assert np.isnan(area_under_curve([0, 10, 20], [1, NAN, 1]))


@pytest.mark.parametrize(
    ("env_steps", "values", "message"),
    [
        ([], [], r"at least one, not \[0\] and \[0\]"),
        ([1, 2], [1], r"as many env steps as values, .* not \[2\] and \[1\]"),
        ([[1, 2]], [[1, 2]], r"in one dimension"),
        ([10, 10], [1, 2], "must ascend; sort the evaluations, and drop repeated ones"),
        ([20, 10], [1, 2], "must ascend"),
        ([0, NAN], [1, 2], "must ascend"),
        ([0, 1], ["a", "b"], "a curve must be an array of numbers"),
        ([0, np.inf], [1, 2], "must ascend"),
    ],
)
def test_what_is_no_curve_is_refused_in_a_sentence(env_steps: object, values: object, message: str):
    with pytest.raises(UsageError, match=message):
        area_under_curve(env_steps, values)


# --- alignment ------------------------------------------------------------------------------------


def test_seeds_evaluated_at_the_same_env_steps_stay_as_they_are():
    env_steps, values = aligned([([0, 10, 30], [1, 2, 3]), ([0, 10, 30], [4, 5, 6])])
    assert env_steps.tolist() == [0, 10, 30]
    assert values.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_values_between_evaluations_are_on_the_line_between_them():
    env_steps, values = aligned([([0, 10, 20], [0, 1, 2]), ([0, 4, 20], [0, 8, 0])])
    assert env_steps.tolist() == [0, 10, 20]
    assert values[1].tolist() == [0, 5, 0]


def test_nothing_is_told_where_a_seed_was_not_evaluated():
    env_steps, values = aligned([([2, 10, 20], [2, 10, 20]), ([0, 11, 16], [0, 11, 16])])
    assert env_steps.tolist() == [2, 10, 16]
    assert values.tolist() == [[2, 10, 16]] * 2


def test_there_are_as_many_moments_as_the_seed_with_the_fewest_evaluations_has():
    often, seldom = np.arange(0, 101), np.arange(0, 101, 50)
    env_steps, _ = aligned([(often, often), (seldom, seldom)])
    assert env_steps.tolist() == [0, 50, 100]


def test_curves_that_do_not_overlap_are_refused():
    with pytest.raises(UsageError, match="one begins at 3,000, another ends at 2,000; compare"):
        aligned([([1_000, 2_000], [1, 2]), ([3_000, 4_000], [1, 2])])


def test_no_curve_is_refused():
    with pytest.raises(UsageError, match="there is no curve; give the evaluations of at least one"):
        aligned([])


# --- the IQM over seeds ---------------------------------------------------------------------------


def test_each_moment_has_the_iqm_and_the_interval_of_its_scores():
    scores = RNG.gamma(2.0, size=(8, 3))
    curve = iqm_curve([([0, 10, 20], seed) for seed in scores], reps=10_000)
    for i in range(3):
        assert curve.iqm[i] == pytest.approx(iqm(scores[:, i]))
        ends = interval(scores[:, i], seed=1)
        assert (curve.low[i], curve.high[i]) == pytest.approx(ends, abs=0.05)


def test_the_same_seed_gives_the_same_band():
    curves = [([0, 10], values) for values in RNG.normal(size=(12, 2))]
    assert iqm_curve(curves).low.tolist() == iqm_curve(curves).low.tolist()
    assert iqm_curve(curves).low.tolist() != iqm_curve(curves, seed=1).low.tolist()


def test_a_single_seed_has_a_curve_without_a_band():
    curve = iqm_curve([([0, 10], [1.0, 2.0])])
    assert curve.iqm.tolist() == [1, 2]
    assert np.isnan([curve.low, curve.high]).all()


def test_seeds_that_all_tie_have_a_band_of_no_width():
    curve = iqm_curve([([0, 10], [0.0, 37.0])] * 5)
    assert curve.low.tolist() == curve.high.tolist() == [0, 37]


def test_a_value_that_is_not_a_number_is_a_gap():
    curve = iqm_curve([([0, 10, 20], [1.0, NAN, 3.0]), ([0, 10, 20], [1.0, 2.0, 3.0])])
    for numbers in (curve.iqm, curve.low, curve.high):
        np.testing.assert_array_equal(numbers, [1, NAN, 3])


def test_a_level_that_makes_no_interval_is_refused():
    with pytest.raises(UsageError, match="level must be between 0 and 1"):
        iqm_curve([([0], [1.0])], level=95)


def test_where_every_seed_is_nan_there_is_a_gap_without_a_warning() -> None:
    curve = iqm_curve([([0, 10], [NAN, 4.0]), ([0, 10], [NAN, 6.0])])
    np.testing.assert_array_equal(curve.iqm, [NAN, 5.0])
