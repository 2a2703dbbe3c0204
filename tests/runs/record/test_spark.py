"""A curve in one line of text."""

import math

from macpo.runs.record.spark import BLOCKS, spark_line


def test_each_value_is_a_block_as_high_as_it_is_between_the_bounds():
    assert spark_line([0, 1, 2, 3, 4, 5, 6, 7], low=0, high=7, width=8) == BLOCKS
    assert spark_line([-20, 0, 20], low=-20, high=20, width=8) == "▁▅█"


def test_more_values_than_blocks_are_joined_to_means():
    assert spark_line([0, 2, 7, 7, 1, 3], low=0, high=7, width=3) == "▂█▃"  # means 1, 7 and 2
    assert len(spark_line(range(1001), low=0, high=1000, width=20)) == 20


def test_what_is_not_finite_is_a_gap_and_no_part_of_a_mean():
    assert spark_line([0, math.nan, 7], low=0, high=7, width=3) == "▁ █"
    assert spark_line([math.inf, 7, 0, 0], low=0, high=7, width=2) == "█▁"


def test_a_curve_that_does_not_move_is_flat():
    assert spark_line([3, 3, 3], low=3, high=3, width=9) == "▁▁▁"


def test_without_values_there_is_nothing():
    assert spark_line([], low=0, high=1, width=9) == ""
