"""Intervals by the stratified percentile bootstrap."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from macpo import UsageError
from macpo.statistics import (
    bootstrap,
    difference,
    improvement_interval,
    interval,
    iqm,
    iqm_curve,
    performance_profile,
    probability_of_improvement,
    profile_interval,
)

NAN = np.nan
RNG = np.random.default_rng(0)
SCORES = RNG.gamma(2.0, size=(8, 3))


# --- an interval of a statistic -------------------------------------------------------------------


def test_the_ends_are_quantiles_of_what_resamples_give():
    # of the 27 ways to draw three of 0, 1 and 10 again, 1 has the mean 0 and 3 have 1/3; 1 has 10
    # and 3 have 7. For 80 % of three runs the quantiles are taken at Φ(−1.28 √(3/2)) = 0.058, which
    # is more than 1/27 and less than 4/27.
    assert interval([0, 1, 10], np.mean, level=0.8) == pytest.approx((1 / 3, 7))


def test_it_is_scipys_percentile_interval_of_a_slightly_higher_level():
    scores = RNG.normal(size=10)
    theirs = stats.bootstrap(
        (scores,),
        lambda x, axis: stats.trim_mean(x, 0.25, axis=axis),
        confidence_level=1 - 2 * stats.norm.cdf(-1.96 * np.sqrt(10 / 9)),
        n_resamples=10_000,
        method="percentile",
        rng=1,
    )
    assert interval(scores) == pytest.approx(tuple(theirs.confidence_interval), abs=0.02)


def test_runs_are_drawn_within_their_task():
    scores = [[0, 100], [0, 100], [0, 100]]  # mixed, the mean would vary
    assert interval(scores, np.mean) == (50, 50)


def test_a_task_with_fewer_runs_has_fewer_drawn():
    # of the task with two runs, (0, 0) and (4, 4) are drawn in one of four cases each
    scores = [[0, 9], [4, 9], [NAN, 9], [NAN, 9]]
    assert interval(scores, np.nanmean) == ((0 + 0 + 4 * 9) / 6, (4 + 4 + 4 * 9) / 6)


def test_the_order_of_runs_changes_nothing():
    assert interval(SCORES[::-1]) == interval(SCORES)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    assert interval(SCORES) == interval(SCORES) != interval(SCORES, seed=1)


def test_the_interval_of_a_seed_never_changes():
    assert interval(np.arange(10.0) ** 2) == pytest.approx((6.33333, 49.31153), rel=1e-5)


def test_few_numbers_at_a_time_give_the_same_interval(monkeypatch: pytest.MonkeyPatch):
    whole = interval(SCORES, reps=100)
    monkeypatch.setattr(bootstrap, "CHUNK", 7 * SCORES.size)
    assert interval(SCORES, reps=100) == pytest.approx(whole)


def test_a_higher_level_is_a_wider_interval():
    low, high = interval(SCORES, level=0.99)
    inner_low, inner_high = interval(SCORES, level=0.9)
    assert low < inner_low < iqm(SCORES) < inner_high < high


@pytest.mark.parametrize(
    "statistic",
    [lambda x: np.mean(x), lambda x: np.mean(x, axis=0).mean(), lambda x: np.array([np.mean(x)])],
    ids=["of an array", "of an array of tasks", "one number in an array"],
)
def test_a_statistic_may_be_any_function_of_an_array_of_runs_and_tasks(statistic: object):
    assert interval(SCORES, statistic, reps=50) == pytest.approx(interval(SCORES, np.mean, reps=50))


@pytest.mark.parametrize("scores", [[3.0], [[3.0, 1.0]], [[3.0, 1.0], [4.0, NAN]]])
def test_a_single_run_of_a_task_has_no_interval(scores: object):
    assert np.isnan(interval(scores)).all()


def test_runs_that_are_all_equal_have_an_interval_of_one_point():
    assert interval([0, 0, 0, 0, 0]) == (0, 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": 95}, "level must be between 0 and 1, such as 0.95, not 95"),
        ({"level": 1.0}, "level must be between 0 and 1"),
        ({"reps": 0}, "reps must be at least 1, not 0"),
        ({"seed": -1}, "seed must be at least 0, not -1"),
        ({"statistic": lambda x: x[0]}, r"must give one finite number, not \[0.0, 2.0\]"),
        ({"statistic": np.mean}, "one finite number, not nan; where runs are missing, take one"),
        ({"statistic": lambda x: "high"}, "must give one finite number, not 'high'"),
    ],
)
def test_what_makes_no_interval_is_refused_in_a_sentence(settings: dict[str, Any], message: str):
    with pytest.raises(UsageError, match=message):
        interval([[0.0, 2.0], [1.0, NAN], [4.0, 3.0]], **settings)


# --- coverage -------------------------------------------------------------------------------------

DRAWS = 10_000
SAMPLES = {"normal": stats.norm(), "exponential": stats.expon(), "uniform": stats.uniform()}


def coverage(n_runs: int, distribution: Any) -> float:
    """The share of samples whose 95 % interval of the IQM holds the distribution's own.

    Each moment of a curve is a sample of its own: thousands of intervals at once.
    """
    truth = distribution.expect(
        lb=distribution.ppf(0.25), ub=distribution.ppf(0.75), conditional=True
    )
    rng = np.random.default_rng(n_runs)
    moments = np.arange(1_000)
    held = []
    for part in range(DRAWS // len(moments)):
        samples = distribution.rvs((n_runs, len(moments)), random_state=rng)
        curve = iqm_curve([(moments, runs) for runs in samples], reps=1_000, seed=part)
        held.append((curve.low <= truth) & (truth <= curve.high))
    return float(np.mean(held))


@pytest.mark.slow
@pytest.mark.parametrize("n_runs", [8, 10, 20, 50])
@pytest.mark.parametrize("name", SAMPLES)
def test_95_percent_intervals_hold_the_truth_in_95_percent_of_samples(name: str, n_runs: int):
    assert coverage(n_runs, SAMPLES[name]) == pytest.approx(0.95, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("n_runs", "share"), [(3, 0.75), (5, 0.905)])
def test_with_few_runs_they_hold_it_less_often(n_runs: int, share: float):
    assert coverage(n_runs, SAMPLES["normal"]) == pytest.approx(share, abs=0.01)


@pytest.mark.slow
def test_with_twenty_tasks_three_runs_of_each_are_nearly_enough():
    rng = np.random.default_rng(0)
    found = [interval(rng.normal(size=(3, 20)), reps=500, seed=i) for i in range(1_000)]
    held = np.mean([low <= 0 <= high for low, high in found])
    assert held == pytest.approx(0.933, abs=0.02)


# --- differences ----------------------------------------------------------------------------------


def test_seeds_that_differ_much_have_a_sure_difference_where_each_gains_the_same():
    seeds = np.array([0.0, 10, 20, 30])
    assert difference(seeds + 2, seeds, np.mean, paired=True) == (2, 2, 2)


def test_runs_of_their_own_are_drawn_by_themselves():
    seeds = np.array([0.0, 10, 20, 30])
    value, low, high = difference(seeds + 2, seeds, np.mean, paired=False)
    assert value == 2 and low < -10 and high > 14


def test_a_seed_that_one_method_lacks_is_left_out_of_both():
    x, y = [5, NAN, 3, 4], [1, 1000, NAN, 1]
    assert difference(x, y, np.nanmean, paired=True).value == (5 + 4) / 2 - 1


def test_the_value_is_the_difference_of_the_statistics():
    x, y = RNG.normal(size=(2, 9))
    assert difference(x, y, paired=True).value == iqm(x) - iqm(y)
    assert difference(x, y[:4], np.median, paired=False).value == np.median(x) - np.median(y[:4])


def test_the_interval_of_pairs_is_that_of_their_differences():
    x, y = RNG.normal(size=(2, 6))
    _, low, high = difference(x, y, np.mean, paired=True)
    assert (low, high) == pytest.approx(interval(x - y, np.mean), abs=0.05)


def test_one_pair_has_a_difference_without_an_interval():
    value, low, high = difference([3], [1], paired=True)
    assert value == 2 and np.isnan([low, high]).all()


def test_pairs_have_the_same_shape_and_at_least_one_is_there():
    with pytest.raises(
        UsageError, match=r"the same shape \[seeds, tasks\], not \[2, 1\] and \[3, 1"
    ):
        difference([1, 2], [1, 2, 3], paired=True)
    with pytest.raises(UsageError, match="paired scores hold no run of the task in column 0"):
        difference([1, NAN], [NAN, 2], paired=True)


# --- probability of improvement and profiles ------------------------------------------------------


def test_a_probability_of_improvement_has_an_interval_around_it():
    x, y = RNG.normal(0.5, size=(12, 2)), RNG.normal(size=(9, 2))
    low, high = improvement_interval(x, y)
    assert 0 < low < probability_of_improvement(x, y) < high < 1


def test_the_ends_of_a_probability_of_improvement_are_quantiles_of_what_resamples_give():
    # drawn again, (1, 3) is ahead of (2, 2) with 0 in 1/4 of the cases, 1/2 in 1/2, 1 in 1/4;
    # quantiles are taken at Φ(−0.385 √2) = 0.29 for 30 %, and at Φ(−0.674 √2) = 0.17 for 50 %
    assert improvement_interval([1, 3], [2, 2], level=0.3) == (0.5, 0.5)
    assert improvement_interval([1, 3], [2, 2], level=0.5) == (0, 1)


def test_methods_that_never_meet_have_an_interval_of_one_point():
    assert improvement_interval([3, 4], [1, 2]) == (1, 1)


def test_a_single_run_of_one_method_leaves_the_probability_without_an_interval():
    assert np.isnan(improvement_interval([3], [1, 2])).all()


def test_a_profile_has_an_interval_at_each_threshold():
    scores, thresholds = RNG.normal(size=(20, 2)), np.linspace(-1, 1, 5)
    low, high = profile_interval(scores, thresholds)
    profile = performance_profile(scores, thresholds)
    assert low.shape == (5,) and (low < profile).all() and (profile < high).all()


def test_a_profile_is_sure_where_no_run_is():
    low, high = profile_interval([1, 2, 3], [0, 9])
    assert low.tolist() == high.tolist() == [1, 0]


def test_a_profile_of_a_single_run_has_no_interval():
    assert np.isnan(profile_interval([1], [0, 9])).all()
