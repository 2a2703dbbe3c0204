"""What a search may choose, and what it draws at random."""

import numpy as np
import pytest

from macpo import UsageError
from macpo.search.space import Range, Space, random_arms, read_space

FLAGS = "--algorithm.lr 1e-4..1e-2 --weighting per macpo --batch-size 2..9 --steps 100 --seed 0.5"


def test_values_and_ranges_are_varied_and_the_rest_is_fixed():
    assert read_space(FLAGS.split()) == Space(
        {
            "--algorithm.lr": Range(1e-4, 1e-2, is_whole=False),
            "--weighting": ("per", "macpo"),
            "--batch-size": Range(2, 9, is_whole=True),
        },
        ("--steps", "100", "--seed", "0.5"),
    )


def test_a_range_over_a_decade_is_searched_on_a_logarithmic_scale():
    assert Range(1e-4, 1e-3, False).is_log and Range(1, 10, True).is_log
    assert not Range(1, 9, True).is_log and not Range(0, 100, True).is_log
    assert not Range(-1, 1, False).is_log


def test_draws_lie_in_the_range_and_spread_over_it_on_its_scale():
    arms = random_arms(read_space(["--lr", "1e-4..1e-2", "--n", "2..9", "--x", "-1..1"]), 500)
    lr, n, x = (np.array([float(arm.arguments[i]) for arm in arms]) for i in (1, 3, 5))
    assert lr.min() >= 1e-4 and lr.max() <= 1e-2
    assert np.log10(np.median(lr)) == pytest.approx(-3, abs=0.2)
    assert {*n} == {2, 3, 4, 5, 6, 7, 8, 9}
    assert -1 <= x.min() < -0.9 and 0.9 < x.max() <= 1 and np.median(x) == pytest.approx(0, abs=0.2)


def test_trials_are_the_same_whenever_they_are_drawn_again():
    space = read_space(FLAGS.split())
    assert random_arms(space, 5) == random_arms(space, 5) == random_arms(space, 9)[:5]
    assert random_arms(space, 5, seed=1) != random_arms(space, 5)
    assert [arm.name for arm in random_arms(space, 2)] == ["trial 0", "trial 1"]


def test_a_search_that_varies_nothing_is_refused():
    with pytest.raises(UsageError, match="a search needs flags to vary"):
        read_space(["--steps", "100"])


@pytest.mark.parametrize("word", ["2..1", "1..1", "1..inf"])
def test_a_range_that_goes_nowhere_is_refused(word: str):
    with pytest.raises(UsageError, match="must go from a number to a larger one"):
        read_space(["--steps", word])


def test_a_flag_that_is_varied_twice_is_refused():
    with pytest.raises(UsageError, match="--steps is given twice"):
        read_space(["--steps", "1", "2", "--steps", "3", "4"])
