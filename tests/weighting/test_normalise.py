"""From raw weights to weights: scales, the cap, and what degenerate batches get."""

import numpy as np
import pytest
from hypothesis import given

from macpo import weighting
from tests.support.weighting_samples import (
    Arrays,
    errors,
    fixture,
    golden,
    quick,
    raw,
    signals,
    weigh,
)

MODES = ["mean", "none", "sum", "max", "ema"]
every_mode = pytest.mark.parametrize("mode", MODES)


# --- scales ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("none", [1, 3, 4, 0]),
        ("mean", [0.375, 1.125, 1.5, 0]),
        ("sum", [0.125, 0.375, 0.5, 0]),
        ("max", [0.25, 0.75, 1, 0]),
        ("ema", [0.375, 1.125, 1.5, 0]),  # the first batch's mean is all that has been seen
    ],
)
def test_raw_weights_of_one_three_and_four_are_scaled(mode: str, expected: list[float]) -> None:
    batch = errors(1, -3, 4, 9, mask=[1, 1, 1, 0])
    assert weigh("per", batch, normalise=mode)[0].tolist() == pytest.approx(expected, rel=1e-15)


@quick
@given(signals())
def test_weights_are_raw_weights_over_their_mean(batch: Arrays) -> None:
    expected, valid = raw("macpo", batch), batch["mask"]
    if expected.sum() > 0:
        expected /= expected[valid].mean()
        np.testing.assert_allclose(weigh("macpo", batch), expected, rtol=1e-12, atol=1e-15)


def test_gaps_beyond_the_smallest_float_still_compare() -> None:
    numbers = golden()["log_domain"]
    gap = np.array([numbers["gap"]], np.float32)
    delta = np.array([numbers["abs_delta"]], np.float32)
    batch = {"q": gap, "target": gap - delta, "q_star": 0 * gap, "mask": gap > 0}
    np.testing.assert_allclose(weigh("discor", batch), [numbers["mean_one"]], rtol=2e-5)
    assert raw("discor", batch).sum() == 0


def test_padding_does_not_hide_gaps_beyond_the_smallest_float() -> None:
    gap = np.array([[120.0, 121.0, 0.0]], np.float32)
    batch = {"q": gap, "q_star": 0 * gap, "pi_taken": np.ones((1, 3, 2), np.float32)}
    weights = weigh("macpo-no-bellman", batch | {"mask": gap > 0})
    # e⁰ and e⁻¹ over their mean
    np.testing.assert_allclose(weights, [[1.462117, 0.537883, 0]], rtol=1e-6)


# --- the cap --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("none", [1, 1, 1, 4, 0]),  # the mean is 2.5, and 7 is more than 1.6 times that
        ("mean", [4 / 7, 4 / 7, 4 / 7, 16 / 7, 0]),
        ("sum", [1 / 7, 1 / 7, 1 / 7, 4 / 7, 0]),
        ("max", [0.25, 0.25, 0.25, 1, 0]),
        ("ema", [4 / 7, 4 / 7, 4 / 7, 16 / 7, 0]),
    ],
)
def test_no_raw_weight_counts_more_than_so_many_times_the_mean_of_valid_ones(
    mode: str, expected: list[float]
) -> None:
    batch = errors(1, 1, 1, 7, 100, mask=[1, 1, 1, 1, 0])
    weights = weigh("per", batch, normalise=mode, clip=1.6)
    assert weights[0].tolist() == pytest.approx(expected, rel=1e-15)


@every_mode
def test_a_cap_above_all_weights_changes_nothing(mode: str) -> None:
    without, capped = (weigh("macpo", fixture(), normalise=mode, clip=c) for c in (0, 4))
    np.testing.assert_array_equal(capped, without)


@every_mode
def test_no_cap_is_the_default(mode: str) -> None:
    assert weighting.make("macpo", normalise=mode).clip == 0


# --- degenerate batches ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "each"), [("mean", 1), ("none", 0), ("sum", 0.25), ("max", 1), ("ema", 1)]
)
def test_a_batch_whose_weights_all_vanish_is_weighed_uniformly_unless_raw(
    mode: str, each: float
) -> None:
    weights = weigh("macpo", fixture() | {"target": fixture()["q"]}, normalise=mode)
    assert weights.tolist() == [[each] * 4 + [0]]


@every_mode
def test_a_batch_of_nothing_but_padding_gets_zeros(mode: str) -> None:
    assert not weigh("macpo", fixture() | {"mask": np.zeros((1, 5))}, normalise=mode).any()


@every_mode
def test_zero_td_errors_raise_no_floating_point_flag(mode: str) -> None:
    batch = fixture()
    batch["target"] = np.where(np.arange(5) == 1, batch["q"], batch["target"])
    with np.errstate(all="raise"):
        weights = weigh("macpo", batch, normalise=mode)
    assert weights[0, 1] == 0
    assert np.isfinite(weights).all()


# --- faults ---------------------------------------------------------------------------------------


def faulty(step: int, value: float = np.nan) -> Arrays:
    return fixture() | {"q": np.where(np.arange(5) == step, value, fixture()["q"])}


@every_mode
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_td_error_that_is_no_number_stays_visible(mode: str, value: float) -> None:
    with np.errstate(invalid="ignore"):
        assert not np.isfinite(weigh("per", faulty(2, value), normalise=mode)[0, 2])


def test_a_raw_weight_that_is_no_number_leaves_the_others_as_they_are() -> None:
    weights, expected = raw("macpo", faulty(2))[0], raw("macpo", fixture())[0]
    assert weights[[0, 1, 3, 4]].tolist() == expected[[0, 1, 3, 4]].tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_step_that_is_no_number_is_left_out_if_so_asked(value: float) -> None:
    weights = weigh("per", faulty(1, value), nonfinite="zero")
    # |δ| = 0.5, 0.1 and 4 over the mean of the valid steps, of which one weighs nothing
    expected = [0.5 / 1.15, 0, 0.1 / 1.15, 4 / 1.15, 0]
    assert weights[0].tolist() == pytest.approx(expected, rel=1e-14)


def test_steps_left_out_are_still_counted() -> None:
    weigh = weighting.make("macpo", nonfinite="zero")
    metrics = weigh.apply(weigh.init(), weighting.Signals(**faulty(1))).metrics
    assert metrics["weight_n_nonfinite"] == 1


def test_leaving_a_step_out_leaves_its_loss_out() -> None:
    batch = faulty(1)
    left = weigh("macpo", batch, nonfinite="zero")
    kept = weigh("macpo", batch)
    squares, mask = batch["q"] ** 2, batch["mask"]
    assert np.isfinite(weighting.weighted_loss(squares, left, mask))
    assert np.isnan(weighting.weighted_loss(squares, kept, mask))
