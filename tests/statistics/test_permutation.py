"""A test of two groups of runs that are no pairs."""

from math import comb

import numpy as np
import pytest

from macpo import UsageError
from macpo.statistics import permutation_test


def test_groups_that_do_not_overlap_are_the_most_extreme_of_all_ways():
    assert permutation_test([5, 6, 7, 8, 9], [0, 1, 2, 3, 4]) == pytest.approx(2 / comb(10, 5))


def test_every_way_to_divide_equal_scores_is_as_extreme():
    assert permutation_test([1, 1], [1, 1, 1]) == 1


def test_scores_with_an_overlap_are_counted_by_hand():
    # the sums of two of 1 2 3 4 are 3 4 5 5 6 7: 4 of the 6 are as far from 5 as 1 + 3
    assert permutation_test([1, 3], [2, 4]) == pytest.approx(4 / 6)


def test_it_is_wrong_no_more_often_than_it_says():
    rng = np.random.default_rng(0)
    p = [permutation_test(*rng.exponential(size=(2, 4))) for _ in range(400)]
    assert np.mean(np.array(p) <= 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_the_same_scores_give_the_same_p_value_where_not_all_ways_are_counted():
    x, y = np.random.default_rng(1).normal(size=(2, 20))
    assert permutation_test(x, y) == permutation_test(x, y)


@pytest.mark.parametrize("x", [[], [1], [1, np.nan], [[1, 2]], ["a", "b"]])
def test_anything_but_two_or_more_numbers_is_refused(x: object):
    with pytest.raises(UsageError, match="must be"):
        permutation_test(x, [1, 2])  # pyright: ignore[reportArgumentType]
