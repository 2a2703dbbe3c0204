"""Rank-based PER as a weight."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.weighting_samples import Arrays, errors, quick, raw, signals, weigh

BATCH = errors(0.5, 2, -0.1, 4)  # ranks 3, 2, 4, 1
PROBABILITY = np.array([0.188555642, 0.250439838, 0.154163804, 0.406840717])
CORRECTION = np.array([0.904214448, 0.784584098, 1, 0.615572207])  # β = ½, over the largest


def test_weights_that_sum_to_one_are_the_worked_probabilities() -> None:
    weights = weigh("per-rank", BATCH, normalise="sum")
    np.testing.assert_allclose(weights[0], PROBABILITY, atol=6e-10)


def test_raw_weights_are_powers_of_the_rank() -> None:
    weights = raw("per-rank", BATCH, alpha=1.0)
    assert weights[0].tolist() == pytest.approx([1 / 3, 1 / 2, 1 / 4, 1], rel=1e-15)


def test_the_weight_is_what_drawing_and_correcting_do_in_expectation() -> None:
    sampled = PROBABILITY * CORRECTION
    weights = weigh("per-rank", BATCH, beta=0.5)
    np.testing.assert_allclose(weights[0], sampled / sampled.mean(), rtol=1e-8)


def test_equal_errors_rank_in_the_order_of_the_batch() -> None:
    weights = raw("per-rank", errors(2, 3, -2, 2), alpha=1.0)
    assert weights[0].tolist() == pytest.approx([1 / 2, 1, 1 / 3, 1 / 4], rel=1e-15)


def test_padding_has_no_rank() -> None:
    weights = raw("per-rank", errors(9, 1, 9, 0, mask=[0, 1, 0, 1]), alpha=1.0)
    assert weights[0].tolist() == pytest.approx([0, 1, 0, 1 / 2], rel=1e-15)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_error_that_is_no_number_has_no_rank(value: float) -> None:
    weights = raw("per-rank", errors(1, value, 2), alpha=1.0)[0]
    assert np.isnan(weights[1])
    assert np.isfinite(weights[[0, 2]]).all()


@quick
@given(signals(), st.floats(0.01, 100))
def test_only_the_order_of_errors_counts(batch: Arrays, scale: float) -> None:
    delta = batch["q"] - batch["target"]
    stretched = batch | {"q": scale * delta**3, "target": 0 * delta}
    np.testing.assert_array_equal(weigh("per-rank", stretched), weigh("per-rank", batch))


@quick
@given(signals())
def test_no_exponent_or_full_correction_is_uniform(batch: Arrays) -> None:
    for options in ({"alpha": 0.0}, {"beta": 1.0}):
        weights = raw("per-rank", batch, **options)
        np.testing.assert_array_equal(weights, batch["mask"])


@quick
@given(signals())
def test_larger_errors_never_weigh_less(batch: Arrays) -> None:
    size = np.abs(batch["q"] - batch["target"])[batch["mask"]]
    weights = raw("per-rank", batch)[batch["mask"]]
    in_order = weights[np.argsort(size, stable=True)]
    assert (
        in_order[:-1][np.diff(np.sort(size)) > 0] < in_order[1:][np.diff(np.sort(size)) > 0]
    ).all()
