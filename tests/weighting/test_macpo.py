"""MAC-PO's weights: worked numbers, ablations, what scaling does."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from macpo import weighting
from tests.weighting.samples import Arrays, fixture, golden, one_step, quick, signals

ABLATIONS = {
    "macpo": {},
    "ablate_bellman": {"without": "bellman"},
    "ablate_value": {"without": "value"},
    "ablate_joint": {"without": "joint"},
}
MODES = {"none": "raw", "mean": "normalised"}


def weigh(batch: Arrays, **options: Any) -> np.ndarray:
    return weighting.make("macpo", **options)(**batch)


def raw(batch: Arrays, **options: Any) -> np.ndarray:
    return weigh(batch, normalise="none", **options)


def loss(batch: Arrays, weights: np.ndarray) -> float:
    return float((weights * batch["q"] ** 2).sum() / batch["mask"].sum())


# --- worked numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ABLATIONS)
@pytest.mark.parametrize("mode", MODES)
def test_weights_and_losses_equal_the_worked_numbers(row: str, mode: str) -> None:
    weights = weigh(fixture(), normalise=mode, **ABLATIONS[row])
    numbers = golden()["fixture"]
    np.testing.assert_allclose(weights, [numbers[MODES[mode]][row]], rtol=1e-12)
    expected = numbers["loss_" + MODES[mode]][row]
    assert loss(fixture(), weights) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("temperature", [2, 5])
def test_weights_equal_the_worked_numbers_at_higher_value_temperatures(temperature: int) -> None:
    weights = weigh(fixture(), value_temperature=temperature)
    expected = golden()["fixture"]["normalised"][f"macpo_value_temperature_{temperature}"]
    np.testing.assert_allclose(weights, [expected], rtol=1e-12)


def test_the_weight_of_one_transition_is_the_product_of_its_three_factors() -> None:
    batch = one_step(delta=-2, gap=-1.5, pi=(0.9, 0.8, 0.7), q=1)
    assert raw(batch)[0, 0] == pytest.approx(2 * np.exp(-1.5) * 1.398, rel=1e-14)
    assert raw(batch)[0, 0] == pytest.approx(0.6238719, abs=5e-8)


@pytest.mark.parametrize("row", ["per_alpha1"])
def test_without_gap_and_choice_only_the_td_error_remains(row: str) -> None:
    batch = fixture()
    batch |= {"q_star": batch["q"], "pi_taken": np.ones((1, 5, 3))}
    numbers = golden()["fixture"]
    np.testing.assert_allclose(raw(batch), [numbers["raw"][row]], rtol=1e-12)
    np.testing.assert_allclose(weigh(batch), [numbers["normalised"][row]], rtol=1e-12)


@pytest.mark.parametrize(
    ("error", "weight"), [(1, 0.367879441), (2, 0.270670566), (5, 0.033689735), (10, 4.53999e-4)]
)
def test_a_large_error_that_q_star_shares_extinguishes_itself(error: float, weight: float) -> None:
    batch = one_step(delta=error, gap=error, pi=(1.0, 1.0))
    assert raw(batch)[0, 0] == pytest.approx(weight, rel=1e-6)


def test_the_weight_is_zero_exactly_where_the_td_error_is() -> None:
    batch = fixture()
    batch["target"] = np.where(np.arange(5) < 2, batch["q"], 0)
    assert (weigh(batch) == 0).tolist() == [[True, True, False, False, True]]


# --- factors --------------------------------------------------------------------------------------


@quick
@given(signals())
def test_leaving_a_factor_out_is_supplying_ones_for_it(batch: Arrays) -> None:
    neutral = {
        "bellman": {"target": batch["q"] - 1},
        "value": {"q_star": batch["q"]},
        "joint": {"pi_taken": np.ones_like(batch["pi_taken"])},
    }
    for factor, ones in neutral.items():
        np.testing.assert_allclose(
            raw(batch, without=factor), raw(batch | ones), rtol=1e-12, atol=1e-15
        )


@quick
@given(signals())
def test_the_weight_is_the_product_of_what_the_ablations_leave(batch: Arrays) -> None:
    b, v, j = (raw(batch, without=name) for name in ("bellman", "value", "joint"))
    np.testing.assert_allclose(raw(batch) ** 2, b * v * j, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("without", "signal"), [("value", "q_star"), ("joint", "pi_taken"), ("bellman", "target")]
)
def test_an_ablation_does_not_need_the_signal_of_its_factor(without: str, signal: str) -> None:
    batch = fixture()
    del batch[signal]
    assert np.isfinite(weigh(batch, without=without)).all()


@quick
@given(signals(n_agents=1))
def test_one_agent_gets_the_single_agent_term_of_remern(batch: Arrays) -> None:
    expected = raw(batch, without="joint") * (2 - batch["pi_taken"][..., 0])
    np.testing.assert_allclose(raw(batch), expected, rtol=1e-12, atol=1e-15)


@quick
@given(signals(), st.floats(0.1, 20), st.floats(0, 5))
def test_the_value_factor_is_one_without_a_gap_and_falls_with_it(
    batch: Arrays, temperature: float, more: float
) -> None:
    def value(gap: np.ndarray) -> np.ndarray:
        signals = {"q": batch["q"], "target": batch["q"] - 1, "q_star": batch["q"] + gap}
        options = {"without": "joint", "value_temperature": temperature}
        return raw(signals | {"mask": np.ones_like(gap)}, **options)

    gap = np.abs(batch["q_star"])
    assert (value(0 * gap) == 1).all()
    assert (value(gap) <= 1).all()
    assert (value(gap + more) <= value(gap) + 1e-15).all()


@quick
@given(signals())
def test_an_infinite_value_temperature_leaves_the_value_factor_out(batch: Arrays) -> None:
    hot = weigh(batch, value_temperature=float("inf"))
    np.testing.assert_allclose(hot, weigh(batch, without="value"), rtol=1e-12)


# --- scaling --------------------------------------------------------------------------------------


@quick
@given(signals(), st.floats(0.01, 100))
def test_scaling_td_errors_scales_raw_weights_and_leaves_normalised_ones(
    batch: Arrays, scale: float
) -> None:
    delta = batch["q"] - batch["target"]
    scaled = batch | {"target": batch["q"] - scale * delta}
    options = {"without": "value"}
    np.testing.assert_allclose(
        raw(scaled, **options), scale * raw(batch, **options), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(weigh(scaled, **options), weigh(batch, **options), rtol=1e-9)


@quick
@given(signals(), st.floats(0, 50))
def test_a_constant_added_to_every_gap_cancels_in_the_normalisation(
    batch: Arrays, more: float
) -> None:
    side = np.where(batch["q_star"] >= batch["q"], 1.0, -1.0)
    wider = batch | {"q_star": batch["q_star"] + more * side}
    np.testing.assert_allclose(weigh(wider), weigh(batch), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(raw(wider), raw(batch) * np.exp(-more), rtol=1e-9, atol=1e-30)
