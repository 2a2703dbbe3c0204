"""DisCor as published: weights from a learned error, at a temperature that follows it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from macpo import weighting
from macpo.weighting import Signals
from tests.support.weighting_samples import Arrays, fixture, quick, raw, signals, weigh

WEIGHTS = [0.958233340, 1.168050405, 1.289605089, 0.584111166, 0]
SHARES = [0.239558335, 0.292012601, 0.322401272, 0.146027792, 0]


def step(batch: Arrays, state: dict[str, float], **options: str) -> tuple[np.ndarray, float]:
    output = weighting.make("discor-net", **options).apply(state, Signals(**batch))
    return output.weights, output.state["temperature"]


def test_weights_equal_the_worked_numbers() -> None:
    assert weigh("discor-net", fixture())[0].tolist() == pytest.approx(WEIGHTS, abs=6e-10)


def test_weights_that_sum_to_one_are_the_published_softmax() -> None:
    weights = weigh("discor-net", fixture(), normalise="sum")
    assert weights[0].tolist() == pytest.approx(SHARES, abs=6e-10)


def test_raw_weights_are_exponentials_of_the_next_error_over_the_temperature() -> None:
    expected = np.exp([-0.297, -0.099, 0, -0.792])
    np.testing.assert_allclose(raw("discor-net", fixture())[0, :4], expected, rtol=1e-14)


def test_the_temperature_moves_towards_the_mean_error_after_the_weights_are_made() -> None:
    # 0.995 · 10 + 0.005 · (2 + 1.5 + 0.2 + 6)/4
    weights, temperature = step(fixture(), {"temperature": 10.0})
    assert weights[0].tolist() == pytest.approx(WEIGHTS, abs=6e-10)
    assert temperature == pytest.approx(9.962125, rel=1e-14)


def test_the_next_batch_is_weighed_at_the_moved_temperature() -> None:
    weights, _ = step(fixture(), {"temperature": 4.0}, normalise="none")
    expected = np.exp(np.array([-2.97, -0.99, 0, -7.92]) / 4)
    np.testing.assert_allclose(weights[0, :4], expected, rtol=1e-14)


def test_the_initial_temperature_is_the_published_one() -> None:
    assert weighting.make("discor-net").init() == {"temperature": 10}
    assert weighting.make("discor-net", initial_temperature=3.0).init() == {"temperature": 3}


def test_a_temperature_near_zero_is_held_at_a_thousandth() -> None:
    batch = fixture() | {"next_error_estimate": fixture()["next_error_estimate"] / 1000}
    weights, _ = step(batch, {"temperature": 1e-9}, normalise="none")
    expected = np.exp([-2.97, -0.99, 0, -7.92])
    np.testing.assert_allclose(weights[0, :4], expected, rtol=1e-12)


def test_a_temperature_that_is_no_number_is_not_hidden() -> None:
    weights, temperature = step(fixture(), {"temperature": np.nan})
    assert np.isnan(weights[0, :4]).all()
    assert np.isnan(temperature)


def test_an_error_that_is_no_number_moves_no_temperature_where_faults_are_left_out() -> None:
    error = np.where(np.arange(5) == 1, np.nan, fixture()["error_estimate"])
    batch = fixture() | {"error_estimate": error}
    assert np.isnan(step(batch, {"temperature": 10.0})[1])
    assert step(batch, {"temperature": 10.0}, nonfinite="zero")[1] == 10


@quick
@given(signals())
def test_steps_without_a_next_error_such_as_terminal_ones_weigh_most(batch: Arrays) -> None:
    weights = raw("discor-net", batch)
    assert (weights[batch["mask"] & (batch["next_error_estimate"] == 0)] == 1).all()
    assert weights.max(initial=0) <= 1


@quick
@given(signals(), st.floats(0, 50))
def test_equal_errors_weigh_the_same(batch: Arrays, error: float) -> None:
    equal = batch | {"next_error_estimate": np.full_like(batch["q"], error)}
    np.testing.assert_allclose(weigh("discor-net", equal), batch["mask"], rtol=1e-14)


@quick
@given(signals(), st.floats(0, 50))
def test_a_constant_added_to_every_error_cancels_in_the_normalisation(
    batch: Arrays, more: float
) -> None:
    shifted = batch | {"next_error_estimate": batch["next_error_estimate"] + more}
    expected = weigh("discor-net", batch)
    np.testing.assert_allclose(weigh("discor-net", shifted), expected, rtol=1e-12)


@quick
@given(signals())
def test_a_high_temperature_is_uniform(batch: Arrays) -> None:
    weights = weigh("discor-net", batch, initial_temperature=1e12)
    np.testing.assert_allclose(weights, batch["mask"], rtol=1e-9)


def test_no_td_error_is_read() -> None:
    assert weighting.make("discor-net").needs == ("next_error_estimate", "error_estimate")
