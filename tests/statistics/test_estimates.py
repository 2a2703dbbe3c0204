"""Numbers that summarise the scores of many runs."""

import numpy as np
import pytest
from scipy import stats

from macpo import UsageError
from macpo.statistics import iqm, performance_profile, probability_of_improvement

NAN = np.nan
RNG = np.random.default_rng(0)


# --- IQM ------------------------------------------------------------------------------------------


def test_the_lowest_and_highest_quarter_do_not_count():
    assert iqm([8, 1, 2, 3, 4, 5, 6, 700]) == (3 + 4 + 5 + 6) / 4


@pytest.mark.parametrize(("n", "cut"), [(1, 0), (3, 0), (4, 1), (7, 1), (8, 2)])
def test_a_quarter_is_rounded_down(n: int, cut: int):
    scores = np.arange(n) ** 2
    assert iqm(scores) == np.mean(scores[cut : n - cut])


@pytest.mark.parametrize("shape", [(5, 1), (10, 3), (7, 6)])
def test_it_is_scipys_trimmed_mean_of_all_scores_together(shape: tuple[int, int]):
    scores = RNG.normal(size=shape)
    assert iqm(scores) == pytest.approx(stats.trim_mean(scores.ravel(), 0.25))


def test_missing_runs_are_left_out():
    assert iqm([[1, 10], [2, NAN], [3, 30]]) == iqm([1, 2, 3, 10, 30]) == (2 + 3 + 10) / 3


# --- probability of improvement -------------------------------------------------------------------


def test_each_run_is_compared_with_each_run_of_the_other_method():
    assert probability_of_improvement([2, 5], [1, 3, 6]) == (1 + 2) / 6


def test_a_tie_counts_one_half():
    assert probability_of_improvement([0, 0, 0], [0, 0]) == 0.5


def test_tasks_count_the_same():
    x, y = [[2, 0], [3, 0], [4, 9]], [[1, 5], [1, 5]]
    assert probability_of_improvement(x, y) == (1 + 1 / 3) / 2


def test_each_task_has_the_runs_that_are_there():
    x, y = [[2, 0], [3, NAN], [NAN, NAN]], [[1, 5], [4, -1]]
    assert probability_of_improvement(x, y) == (2 / 4 + 1 / 2) / 2


def test_it_is_mann_and_whitneys_u_over_the_number_of_pairs():
    x, y = RNG.integers(0, 5, 9), RNG.integers(0, 5, 7)
    u = stats.mannwhitneyu(x, y).statistic
    assert probability_of_improvement(x, y) == pytest.approx(u / (9 * 7))


def test_methods_on_different_tasks_are_not_compared():
    with pytest.raises(UsageError, match="x has 2 tasks and y has 1; compare scores on the same"):
        probability_of_improvement([[1, 2]], [[1]])


# --- performance profile --------------------------------------------------------------------------


def test_a_profile_is_the_share_of_runs_above_each_threshold():
    assert performance_profile([1, 2, 2, 4], [0, 1, 2, 5]).tolist() == [1, 0.75, 0.25, 0]


def test_a_profile_is_the_mean_over_tasks_of_the_runs_that_are_there():
    assert performance_profile([[1, 5], [3, NAN]], [2, 4]).tolist() == [0.75, 0.5]


@pytest.mark.parametrize("thresholds", [1.0, [[1.0]], [1.0, NAN]])
def test_thresholds_are_numbers_in_one_dimension(thresholds: object):
    with pytest.raises(UsageError, match="thresholds must be numbers in one dimension"):
        performance_profile([1, 2], thresholds)


# --- scores ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([], r"at least one run, not \[0\]"),
        (3.0, r"at least one run, not \[\]"),
        ([[[1.0]]], r"at least one run, not \[1, 1, 1\]"),
        (["a", "b"], "scores must be an array of numbers"),
        ([[1, 2], [3]], "scores must be an array of numbers"),
        ([1.0, np.inf], "scores hold infinite numbers"),
        ([[1.0, NAN], [2.0, NAN]], "no run of the task in column 1; leave the task out"),
        ([NAN], "no run of the task in column 0"),
    ],
)
def test_anything_but_scores_is_refused_in_a_sentence(scores: object, message: str):
    with pytest.raises(UsageError, match=message):
        iqm(scores)
