"""PER as a weight, and that it is what prioritised sampling does in expectation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from macpo import weighting
from macpo.errors import UsageError
from tests.support.weighting_samples import Arrays, Row, errors, fixture, quick, raw, signals, weigh

BATCH = errors(0.5, 2, 0.1, 4)
SIZE, N = np.array([0.5, 2, 0.1, 4]), 4
# P(i) and (N·P)^−β of sampling with α = 0.6, β = 0.4, ε = 1e-6
PROBABILITY = np.array([0.139658449, 0.320850571, 0.053172526, 0.486318454])
CORRECTION = np.array([1.262260867, 0.905013123, 1.857381371, 0.766315665])

ROWS = {
    (1.0, 0.0): Row(
        [0.5, 2, 0.1, 4],
        [0.303030303, 1.212121212, 0.060606061, 2.424242424],
        ess=2.150049,
        loss_raw=18.0315,
        loss_mean_one=10.92818182,
    ),
    (0.6, 0.0): Row(
        [0.659753955, 1.515716567, 0.251188643, 2.297396710],
        [0.558633490, 1.283402743, 0.212688969, 1.945274798],
        ess=2.764089,
        loss_raw=10.74716600,
        loss_mean_one=9.099948252,
    ),
    (0.6, 0.4): Row(
        [0.779164580, 1.283425898, 0.436515832, 1.647182035],
        [0.751674283, 1.238144375, 0.421114786, 1.589066556],
        ess=3.332996,
        loss_raw=7.921943112,
        loss_mean_one=7.642443028,
    ),
}


@pytest.mark.parametrize(("alpha", "beta"), ROWS)
def test_weights_and_losses_equal_the_worked_numbers(alpha: float, beta: float) -> None:
    ROWS[alpha, beta].check("per", alpha=alpha, beta=beta)


def test_the_paper_row_is_the_default() -> None:
    assert raw("per", BATCH)[0].tolist() == pytest.approx([0.5, 2, 0.1, 4], rel=1e-15)


def test_epsilon_is_added_before_the_exponent() -> None:
    weights = raw("per", BATCH, alpha=0.6, epsilon=1e-6)
    expected = [0.659754747, 1.515717021, 0.251190150, 2.297397055]
    assert weights[0].tolist() == pytest.approx(expected, abs=6e-10)


# --- what sampling does ---------------------------------------------------------------------------


def test_the_weight_is_what_drawing_and_correcting_do_in_expectation() -> None:
    sampled = PROBABILITY * CORRECTION
    weights = weigh("per", BATCH, alpha=0.6, beta=0.4, epsilon=1e-6)
    np.testing.assert_allclose(weights[0], sampled / sampled.mean(), rtol=1e-7)


def test_the_gradient_equals_that_of_sampling_without_a_largest_weight() -> None:
    weights = raw("per", BATCH, alpha=0.6, beta=0.4)[0]
    weights *= (N / (SIZE**0.6).sum()) ** 0.6  # (N·P)^(1−β)
    expected = [0.176285337, 1.161496159, 0.019752269, 2.981388500]
    assert (weights * 2 * SIZE / N).tolist() == pytest.approx(expected, abs=6e-10)


def test_the_gradient_equals_that_of_sampling_with_weights_over_the_largest() -> None:
    eta = 0.121810570  # min |δ|^αβ / Σ |δ|^α
    gradient = eta * raw("per", BATCH, alpha=0.6, beta=0.4)[0] * SIZE
    expected = [0.047455241, 0.312669679, 0.005317224, 0.802576728]
    assert gradient.tolist() == pytest.approx(expected, abs=4e-9)


def test_the_squared_error_so_weighted_has_the_gradient_of_sampled_absolute_errors() -> None:
    # ∂|δ|/∂q = ±1, drawn ∝ |δ|, is ∂(δ²/2)/∂q over the mean of |δ|
    expected = [0.075757576, 0.303030303, 0.015151515, 0.606060606]
    assert (weigh("per", BATCH)[0] / N).tolist() == pytest.approx(expected, abs=6e-10)


def test_full_correction_leaves_the_gradient_of_plain_replay() -> None:
    gradient = raw("per", BATCH, alpha=0.6, beta=1.0)[0] * 2 * SIZE / N
    assert gradient.tolist() == pytest.approx([0.25, 1, 0.05, 2], rel=1e-15)


# --- identities -----------------------------------------------------------------------------------


@quick
@given(signals(), st.floats(0, 2))
def test_no_exponent_or_full_correction_is_uniform_even_where_errors_are_zero(
    batch: Arrays, alpha: float
) -> None:
    for mode in ("none", "mean"):
        for options in ({"alpha": 0.0}, {"alpha": alpha, "beta": 1.0}):
            weights = weigh("per", batch, normalise=mode, **options)
            np.testing.assert_array_equal(weights, batch["mask"])


@quick
@given(signals(), st.floats(0.01, 100), st.floats(0.1, 2))
def test_scaling_errors_scales_raw_weights_by_the_power_and_leaves_normalised_ones(
    batch: Arrays, scale: float, alpha: float
) -> None:
    scaled = batch | {"q": batch["q"] * scale, "target": batch["target"] * scale}
    expected = scale**alpha * raw("per", batch, alpha=alpha)
    np.testing.assert_allclose(raw("per", scaled, alpha=alpha), expected, rtol=1e-9)
    expected = weigh("per", batch, alpha=alpha)
    np.testing.assert_allclose(weigh("per", scaled, alpha=alpha), expected, rtol=1e-9)


@quick
@given(signals())
def test_it_is_macpo_without_value_enhancement_and_joint_probability(batch: Arrays) -> None:
    expected = raw("macpo-no-value", batch, likelihood="none")
    np.testing.assert_array_equal(raw("per", batch), expected)


def test_the_order_of_rewards_and_values_does_not_matter_to_the_size_of_an_error() -> None:
    turned = fixture() | {"q": fixture()["target"], "target": fixture()["q"]}
    np.testing.assert_array_equal(weigh("per", turned), weigh("per", fixture()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -0.5}, "per: alpha must be at least 0, not -0.5."),
        ({"beta": 1.5}, "per: beta must be between 0 and 1, not 1.5."),
        ({"epsilon": -1e-6}, "per: epsilon must be at least 0, not -1e-06."),
    ],
)
def test_options_out_of_range_are_named(options: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError) as error:
        weighting.make("per", **options)
    assert str(error.value) == message
