"""Whether two methods are different: at one look, and after every pair."""

from collections.abc import Callable

import numpy as np
import pytest
from jaxtyping import Float
from scipy import stats

from macpo import UsageError
from macpo.statistics import (
    Decision,
    Forecast,
    decide,
    fewest_pairs,
    forecast,
    sequential,
    sign_flip_test,
)

ERROR = 0.05
EXPERIMENTS = 4_000
NOISE = 3 * np.sqrt(ERROR * (1 - ERROR) / EXPERIMENTS)
"""Three standard errors of a simulated error rate."""
RNG = np.random.default_rng(0)

# --- one look -------------------------------------------------------------------------------------


def test_the_p_value_is_the_share_of_flips_as_far_from_0():
    # sums of ±1 ±2 ±4: 7 and −7 are as far from 0 as 7; 5, 7 and their negatives as far as 5
    assert sign_flip_test([1, 2, 4]) == 2 / 8
    assert sign_flip_test([-1, 2, 4]) == 4 / 8


def test_pairs_that_tie_tell_nothing():
    assert sign_flip_test([0, 0, 0]) == 1
    assert sign_flip_test([1, 2, 0, 4, 0]) == sign_flip_test([1, 2, 4])


def test_sums_that_differ_by_rounding_are_equal():
    assert sign_flip_test([0.1, 0.2, -0.3]) == 1  # their sum is 5.6e-17
    assert sign_flip_test([0.3, 0.1, 0.2]) == sign_flip_test([3, 1, 2])


def test_it_is_scipys_permutation_test_of_pairs():
    d = RNG.normal(0.5, size=9)
    theirs = stats.permutation_test(
        (d,), np.mean, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert sign_flip_test(d) == pytest.approx(theirs)


def test_many_pairs_are_tested_by_a_part_of_all_flips():
    d = RNG.normal(0.3, size=60)
    assert sign_flip_test(d) == pytest.approx(stats.ttest_1samp(d, 0).pvalue, abs=0.01)


# --- a look after every pair ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("most_pairs", "first"),
    [
        (6, 6),  # 2/2^6 = 0.031 of 0.05
        (8, 6),  # 0.031 of 0.05 ln(1 + 1.72 · 6/8) = 0.041
        (20, 7),  # 2/2^7 = 0.016 of 0.05 ln(1 + 1.72 · 7/20) = 0.024, but 0.031 > 0.021 at 6
    ],
)
def test_pairs_of_one_sign_are_decided_once_so_few_ways_may_be_stopped(most_pairs: int, first: int):
    d = np.arange(1.0, most_pairs + 1)
    assert decide(d[: first - 1], most_pairs) == Decision("undecided", first - 1)
    assert decide(d[:first], most_pairs) == Decision("different", first)


def test_what_was_decided_stays_decided():
    pairs = [3, 1, 4, 1, 5, 9, 2]
    assert decide([*pairs, -50, -50, -50], 20) == Decision("different", 7)


def test_the_sign_does_not_matter():
    d = RNG.normal(1, size=15)
    assert decide(d, 20) == decide(-d, 20)


def test_after_the_last_pair_no_difference_was_seen():
    assert decide([1, -1] * 10, 20) == Decision("no difference seen", 20)


def test_seeds_that_all_tie_are_no_difference():
    assert decide(np.zeros(19), 20) == Decision("undecided", 19)
    assert decide(np.zeros(20), 20) == Decision("no difference seen", 20)


def test_a_higher_level_needs_more_pairs():
    assert decide(np.ones(20), 20, level=0.99).n_pairs > decide(np.ones(20), 20).n_pairs


def test_further_pairs_go_on_where_not_all_flips_are_enumerated():
    d = np.tile([2.0, 2.0, 2.0, -1.0], 8)
    late = decide(d, 32, level=0.999)
    assert late.verdict == "different" and late.n_pairs > sequential.ENUMERATED
    assert decide(d[: late.n_pairs - 1], 32, level=0.999).verdict == "undecided"


def test_flipping_one_way_and_then_another_is_a_third():
    """The group on which the exact error rate rests, of pairs beyond those enumerated too."""
    enumerated = 4
    ways = np.stack([sequential.flips(i, enumerated) for i in range(9)], axis=-1)
    assert ways[0].tolist() == [1] * 9
    together = {tuple(a * b) for a in ways for b in ways}
    assert together == {tuple(way) for way in ways}
    assert len(together) == 2**enumerated


# --- error rates ----------------------------------------------------------------------------------

Draw = Callable[[np.random.Generator, tuple[int, int]], Float[np.ndarray, "B n"]]
ALIKE: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "heavy tails": lambda rng, shape: rng.standard_cauchy(shape),
    "bimodal": lambda rng, shape: reach_37(rng, 0.5, shape) - reach_37(rng, 0.5, shape),
    "ties": lambda rng, shape: reach_37(rng, 0.9, shape) - reach_37(rng, 0.9, shape),
    "unlike spread": lambda rng, shape: rng.normal(size=shape) * np.geomspace(1, 50, shape[1]),
}
"""Differences of pairs of two methods that score alike."""


def reach_37(rng: np.random.Generator, probability: float, shape: tuple[int, int]) -> np.ndarray:
    """Scores of seeds that reach 37 or fail altogether, with 0."""
    return np.where(rng.random(shape) < probability, 37.0, 0.0)


def stopped_after(differences: Float[np.ndarray, "B n"], level: float = 0.95) -> np.ndarray:
    """As `decide`, of many experiments at once and with fewer ways to flip."""
    n_pairs = differences.shape[1]
    parts = np.array_split(differences, 20)
    return np.concatenate([sequential.stopped_after(part, n_pairs, level, 10) for part in parts])


def test_many_experiments_at_once_are_decided_as_one_is():
    d = RNG.normal(0.7, size=(20, 9))
    one_by_one = [decide(row, 9) for row in d]
    expected = [one.n_pairs if one.verdict == "different" else 0 for one in one_by_one]
    assert stopped_after(d).tolist() == expected


@pytest.mark.slow
@pytest.mark.parametrize("most_pairs", [6, 10, 20])
@pytest.mark.parametrize("name", ALIKE)
def test_methods_that_score_alike_are_rarely_called_different(name: str, most_pairs: int):
    """Wherever one stops: what was stopped at any look counts."""
    d = ALIKE[name](np.random.default_rng(most_pairs), (EXPERIMENTS, most_pairs))
    assert np.mean(stopped_after(d) > 0) <= ERROR + NOISE


@pytest.mark.slow
def test_no_more_error_is_made_by_any_look_than_its_share():
    after = stopped_after(ALIKE["normal"](np.random.default_rng(1), (EXPERIMENTS, 20)))
    for n_pairs in range(1, 21):
        made = np.mean((after > 0) & (after <= n_pairs))
        assert made <= sequential.spent(n_pairs / 20, 0.95) + NOISE


@pytest.mark.slow
def test_little_of_the_error_rate_is_left_unused():
    after = stopped_after(ALIKE["normal"](np.random.default_rng(2), (EXPERIMENTS, 20)))
    assert np.mean(after > 0) >= 0.04


def test_the_threshold_of_one_look_would_be_wrong_too_often_after_every_pair():
    d = ALIKE["normal"](np.random.default_rng(3), (500, 12))
    p = np.array([[sign_flip_test_of_many(d[:, :n])] for n in range(6, 13)])
    assert np.mean((p <= ERROR).any(axis=(0, 1))) > 2 * ERROR


def sign_flip_test_of_many(differences: Float[np.ndarray, "B n"]) -> np.ndarray:
    *_, sums = sequential.flipped_sums(differences, 12)
    return np.mean(np.abs(sums) >= np.abs(sums[:, :1]) - 1e-9, axis=-1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("draw", "power", "pairs"),
    [
        # one standard deviation apart; a single look at 20 pairs finds 0.99 of them
        (lambda rng, shape: rng.normal(1, 1, shape), 0.94, 9),
        (lambda rng, shape: reach_37(rng, 0.9, shape) - reach_37(rng, 0.3, shape), 0.95, 11),
    ],
)
def test_a_clear_difference_is_found_and_early(draw: Draw, power: float, pairs: int):
    after = stopped_after(draw(np.random.default_rng(4), (1_000, 20)))
    assert np.mean(after > 0) == pytest.approx(power, abs=0.02)
    assert np.median(after[after > 0]) == pytest.approx(pairs, abs=1)


# --- how many more --------------------------------------------------------------------------------


def test_pairs_of_one_sign_need_those_up_to_the_first_look_that_decides():
    assert forecast([2.0, 1.0, 3.0], 20) == Forecast(4, 1.0)  # seven in all


def test_what_is_decided_needs_no_more():
    assert forecast([1.0] * 7, 20) == Forecast(0, 1.0)


def test_what_was_not_seen_is_not_seen_with_more_than_planned():
    assert forecast([1.0, -1.0] * 3, 6) == Forecast(None, 0.0)


def test_seeds_that_all_tie_will_never_be_decided():
    assert forecast([0.0] * 5, 20) == Forecast(None, 0.0)


def test_a_small_difference_needs_more_pairs_than_a_large_one():
    noise = RNG.normal(size=5)
    noise -= noise.mean()
    small, large = forecast(noise + 0.5, 30), forecast(noise + 1.0, 30)
    assert small.chance <= large.chance
    assert large.more_pairs is not None
    assert small.more_pairs is None or large.more_pairs < small.more_pairs


def test_the_same_seed_gives_the_same_forecast():
    d = [3.0, 1.0, -1.0, 2.0]
    assert forecast(d, 12) == forecast(d, 12)


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "fewest"), [(0.5, 2), (0.9, 5), (0.95, 6), (0.99, 8)])
def test_fewer_pairs_cannot_show_a_difference(level: float, fewest: int):
    assert fewest_pairs(level) == fewest
    assert decide(np.ones(fewest), fewest, level).verdict == "different"
    with pytest.raises(UsageError, match=f"plan at least {fewest}"):
        decide([1.0], fewest - 1, level)


@pytest.mark.parametrize("differences", [[], [np.nan, 1.0], [np.inf], [[1.0]], 1.0])
def test_differences_are_finite_numbers_in_one_dimension(differences: object):
    for function in (sign_flip_test, lambda d: decide(d, 20), lambda d: forecast(d, 20)):
        with pytest.raises(UsageError, match="finite numbers in one dimension, and at least one"):
            function(differences)


def test_words_are_no_differences():
    with pytest.raises(UsageError, match="differences of pairs must be an array of numbers"):
        sign_flip_test(["a"])


def test_more_pairs_than_planned_are_refused():
    with pytest.raises(UsageError, match="there are 21 pairs, but 20 at most were planned"):
        decide(np.ones(21), 20)


@pytest.mark.parametrize("level", [0.0, 0.99999, 1.0, 95])
def test_a_level_that_no_test_reaches_is_refused(level: float):
    for function in (lambda: decide([1.0], 20, level), lambda: fewest_pairs(level)):
        with pytest.raises(UsageError, match=r"level must be above 0 and at most 0\.9999, not"):
            function()


def test_a_forecast_needs_two_pairs_and_a_seed_that_is_not_negative():
    with pytest.raises(UsageError, match="at least two pairs"):
        forecast([1.0], 20)
    with pytest.raises(UsageError, match="seed must be at least 0, not -1"):
        forecast([1.0, 2.0], 20, seed=-1)
