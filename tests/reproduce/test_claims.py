"""What is claimed, and what scores of several seeds make of it."""

import math

import pytest

from macpo.reproduce.claims import Claim, above_all, judge

ABOVE = Claim("MAC-PO", "QMIX", "MMM2", by=0.11)
ALIKE = Claim("MAC-PO", "OW-QMIX", "MMM2", relation="alike")
LOW = dict.fromkeys(range(5), 0.2)


def by_seed(*scores: float) -> dict[int, float]:
    return dict(enumerate(scores))


def test_a_method_that_every_seed_puts_above_is_above():
    result = judge(ABOVE, by_seed(0.5, 0.6, 0.7, 0.5, 0.6), LOW, score_range=1)
    assert result.verdict == "supported" and result.n_seeds == 5
    assert result.value == pytest.approx(1.7 / 3 - 0.2) and result.low > 0


def test_a_method_that_every_seed_puts_below_or_level_is_not_above():
    assert judge(ABOVE, by_seed(0.1, 0, 0.1, 0, 0.1), LOW, score_range=1).verdict == "contradicted"
    assert judge(ABOVE, LOW, LOW, score_range=1).verdict == "contradicted"


def test_seeds_that_disagree_decide_nothing():
    result = judge(ABOVE, by_seed(0.9, 0, 0.8, 0, 0.1), LOW, score_range=1)
    assert result.verdict == "undecided" and result.low < 0 < result.high


def test_methods_are_alike_if_the_whole_interval_is_small_beside_the_range_of_scores():
    scores = by_seed(0.21, 0.2, 0.22, 0.19, 0.2)
    assert judge(ALIKE, scores, LOW, score_range=1).verdict == "supported"
    assert judge(ALIKE, scores, LOW, score_range=0.01).verdict == "undecided"
    far = by_seed(0.9, 0.8, 0.9, 0.8, 0.9)
    assert judge(ALIKE, far, LOW, score_range=1).verdict == "contradicted"


def test_only_seeds_that_both_have_are_compared():
    result = judge(ABOVE, {0: 1.0, 1: 1.0, 7: 0.0}, {0: 0.5, 1: 0.5, 3: 9.0}, score_range=1)
    assert (result.n_seeds, result.value) == (2, 0.5)


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_one_seed_or_two_decide_nothing(n_seeds: int):
    one, other = (dict.fromkeys(range(n_seeds), value) for value in (1.0, 0.2))
    few = judge(ABOVE, one, other, score_range=1)
    assert (few.verdict, few.value) == ("undecided", 0.8) and math.isnan(few.low)


def test_no_seed_says_nothing():
    none = judge(ABOVE, {0: 1.0}, {1: 0.2}, score_range=1)
    assert none.verdict == "undecided" and math.isnan(none.value)


def test_being_above_all_others_is_a_claim_about_each_on_every_task():
    assert above_all("A", ("B", "C"), ("x", "y"), "area", {"y": 0.1}) == [
        Claim("A", "B", "x", "area"),
        Claim("A", "C", "x", "area"),
        Claim("A", "B", "y", "area", by=0.1),
        Claim("A", "C", "y", "area", by=0.1),
    ]
