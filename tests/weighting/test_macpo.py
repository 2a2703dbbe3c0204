"""MAC-PO's weights: worked numbers, what each factor does, what scaling does."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from macpo.weighting import Factor, MacPO
from tests.support.weighting_samples import (
    Arrays,
    Row,
    fixture,
    golden,
    one_step,
    quick,
    raw,
    signals,
    weigh,
)

ROW = Row(
    [0.517831936, 1.095895140, 0.122222222, 0.041926201],
    [1.165057815, 2.465628533, 0.274984884, 0.094328768],
    ess=2.127321,
    loss_raw=1.296269997,
    loss_mean_one=2.916447180,
)


# --- worked numbers -------------------------------------------------------------------------------


def test_weights_and_losses_equal_the_worked_numbers() -> None:
    ROW.check("macpo")


@pytest.mark.parametrize(("mode", "column"), [("none", "raw"), ("mean", "normalised")])
def test_weights_equal_the_worked_numbers_to_twelve_digits(mode: str, column: str) -> None:
    expected = [golden()["fixture"][column]["macpo"]]
    np.testing.assert_allclose(weigh("macpo", fixture(), normalise=mode), expected, rtol=1e-12)


@pytest.mark.parametrize("temperature", [2, 5])
def test_weights_equal_the_worked_numbers_at_higher_value_temperatures(temperature: int) -> None:
    weights = weigh("macpo", fixture(), value_temperature=temperature)
    expected = golden()["fixture"]["normalised"][f"macpo_value_temperature_{temperature}"]
    np.testing.assert_allclose(weights, [expected], rtol=1e-12)


def test_the_weight_of_one_transition_is_the_product_of_its_three_factors() -> None:
    weight = raw("macpo", one_step(delta=-2, gap=-1.5, pi=(0.9, 0.8, 0.7), q=1))[0, 0]
    assert weight == pytest.approx(2 * np.exp(-1.5) * 1.398, rel=1e-14)
    assert weight == pytest.approx(0.6238719, abs=5e-8)


def test_without_gap_and_choice_only_the_td_error_remains() -> None:
    batch = fixture()
    batch |= {"q_star": batch["q"], "pi_taken": np.ones((1, 5, 3))}
    numbers = golden()["fixture"]
    np.testing.assert_allclose(raw("macpo", batch), [numbers["raw"]["per_alpha1"]], rtol=1e-12)
    expected = [numbers["normalised"]["per_alpha1"]]
    np.testing.assert_allclose(weigh("macpo", batch), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("error", "weight"),
    [(1, 0.367879441), (2, 0.270670566), (5, 0.033689735), (10, 4.53999e-4)],
)
def test_a_large_error_that_q_star_shares_extinguishes_itself(error: float, weight: float) -> None:
    batch = one_step(delta=error, gap=error, pi=(1.0, 1.0))
    assert raw("macpo", batch)[0, 0] == pytest.approx(weight, rel=1e-6)


def test_the_weight_is_zero_exactly_where_the_td_error_is() -> None:
    batch = fixture()
    batch["target"] = np.where(np.arange(5) < 2, batch["q"], 0)
    assert (weigh("macpo", batch) == 0).tolist() == [[True, True, False, False, True]]


class Reversed(MacPO):
    def factors(self) -> tuple[Factor, ...]:
        return super().factors()[::-1]


@quick
@given(signals())
def test_factors_multiply_in_any_order(batch: Arrays) -> None:
    weights = Reversed(normalise="none")(**batch)
    np.testing.assert_allclose(weights, raw("macpo", batch), rtol=1e-13)


# --- likelihoods ----------------------------------------------------------------------------------


def likelihood(kind: str, batch: Arrays) -> np.ndarray:
    """The term alone: no error, no gap."""
    plain = batch | {"target": batch["q"] - 1, "q_star": batch["q"]}
    return raw("macpo", plain, likelihood=kind)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("paper", [1.398, 1.81925, 1.222222222, 1.5556, 0]),
        ("additive", [1.6, 2.1, 3, 2.21, 0]),
        ("joint", [1.496, 1.95725, 1.962962963, 1.8812, 0]),
        ("none", [1, 1, 1, 1, 0]),
    ],
)
def test_each_likelihood_gives_the_worked_numbers(kind: str, expected: list[float]) -> None:
    assert likelihood(kind, fixture())[0].tolist() == pytest.approx(expected, abs=6e-10)


@quick
@given(signals(n_agents=1))
def test_with_one_agent_all_likelihoods_are_two_minus_its_probability(batch: Arrays) -> None:
    expected = np.where(batch["mask"], 2 - batch["pi_taken"][..., 0], 0)
    for kind in ("paper", "additive", "joint"):
        np.testing.assert_allclose(likelihood(kind, batch), expected, rtol=1e-14)


@quick
@given(signals())
def test_likelihoods_other_than_none_agree_only_where_no_two_agents_may_deviate(
    batch: Arrays,
) -> None:
    pi = batch["pi_taken"].copy()
    pi[..., 1:] = 1
    one_chooses = batch | {"pi_taken": pi}
    for kind in ("additive", "joint"):
        expected = likelihood("paper", one_chooses)
        np.testing.assert_allclose(likelihood(kind, one_chooses), expected, rtol=1e-14)
        assert (likelihood(kind, batch) >= likelihood("paper", batch) - 1e-12).all()


@quick
@given(signals())
def test_without_likelihood_it_is_discor_and_needs_no_policies(batch: Arrays) -> None:
    expected = weigh("discor", batch)
    del batch["pi_taken"]
    np.testing.assert_array_equal(weigh("macpo", batch, likelihood="none"), expected)


# --- value enhancement ----------------------------------------------------------------------------


@quick
@given(signals(), st.floats(0.1, 20), st.floats(0, 5))
def test_the_value_factor_is_one_without_a_gap_and_falls_with_it(
    batch: Arrays, temperature: float, more: float
) -> None:
    def value(gap: np.ndarray) -> np.ndarray:
        given = {"q": batch["q"], "target": batch["q"] - 1, "q_star": batch["q"] + gap}
        return raw("macpo-no-joint", given | mask, value_temperature=temperature)

    gap, mask = np.abs(batch["q_star"]), {"mask": np.ones_like(batch["q"])}
    assert (value(0 * gap) == 1).all()
    assert (value(gap) <= 1).all()
    assert (value(gap + more) <= value(gap) + 1e-15).all()


@quick
@given(signals())
def test_a_high_value_temperature_leaves_the_value_factor_out(batch: Arrays) -> None:
    hot = weigh("macpo", batch, value_temperature=1e12)
    np.testing.assert_allclose(hot, weigh("macpo-no-value", batch), rtol=1e-9)


# --- scaling --------------------------------------------------------------------------------------


@quick
@given(signals(), st.floats(0.01, 100))
def test_scaling_td_errors_scales_raw_weights_and_leaves_normalised_ones(
    batch: Arrays, scale: float
) -> None:
    delta = batch["q"] - batch["target"]
    scaled = batch | {"target": batch["q"] - scale * delta}
    expected: Any = scale * raw("macpo", batch)
    np.testing.assert_allclose(raw("macpo", scaled), expected, rtol=1e-9, atol=1e-12)
    expected = weigh("macpo", batch)
    np.testing.assert_allclose(weigh("macpo", scaled), expected, rtol=1e-9, atol=1e-12)


@quick
@given(signals(), st.floats(0, 50))
def test_a_constant_added_to_every_gap_cancels_in_the_normalisation(
    batch: Arrays, more: float
) -> None:
    side = np.where(batch["q_star"] >= batch["q"], 1.0, -1.0)
    wider = batch | {"q_star": batch["q_star"] + more * side}
    expected = weigh("macpo", batch)
    np.testing.assert_allclose(weigh("macpo", wider), expected, rtol=1e-9, atol=1e-12)
    expected = raw("macpo", batch) * np.exp(-more)
    np.testing.assert_allclose(raw("macpo", wider), expected, rtol=1e-9, atol=1e-30)
