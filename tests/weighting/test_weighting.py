"""What all schemes share: options, running means, metrics."""

import jax
import numpy as np
import pytest
from hypothesis import given

from macpo import weighting
from macpo.weighting import Signals, effective_sample_size
from macpo.weighting.weighting import SCALE_RATE
from tests.support.weighting_samples import Arrays, errors, fixture, golden, quick, signals, weigh


def metrics(name: str = "macpo", **changes: object) -> dict[str, float]:
    weigh = weighting.make(name)
    weighed = weigh.apply(weigh.init(), Signals(**fixture() | changes))
    return {name: float(value) for name, value in weighed.metrics.items()}


# --- running means --------------------------------------------------------------------------------


def test_a_scheme_without_running_means_has_no_state() -> None:
    assert weighting.make("macpo").init() == {}


def test_the_first_batch_sets_the_running_scale_and_later_ones_move_it_by_a_hundredth() -> None:
    per = weighting.make("per", normalise="ema")
    first = per.apply(per.init(), Signals(**errors(1, 3)))
    second = per.apply(first.state, Signals(**errors(2, 10)))
    assert SCALE_RATE == 0.01
    assert first.state["scale"] == pytest.approx(2)
    assert first.weights[0].tolist() == pytest.approx([0.5, 1.5])
    assert second.state["scale"] == pytest.approx(2.04)  # 2 + 0.01 · (6 − 2)
    assert second.weights[0].tolist() == pytest.approx([2 / 2.04, 10 / 2.04])


def test_the_running_scale_leaves_a_batch_of_zero_weights_uniform_and_is_set_by_the_next() -> None:
    per = weighting.make("per", normalise="ema")
    first = per.apply(per.init(), Signals(**errors(0, 0)))
    second = per.apply(first.state, Signals(**errors(1, 3)))
    assert first.weights.tolist() == [[1, 1]]
    assert second.weights[0].tolist() == pytest.approx([0.5, 1.5])


def test_the_running_scale_is_of_clipped_weights() -> None:
    per = weighting.make("per", normalise="ema", clip=1.5)
    weighed = per.apply(per.init(), Signals(**errors(1, 1, 1, 5)))  # 5 is cut to 1.5 · 2
    assert weighed.state == {"scale": 1.5}
    assert weighed.weights[0].tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2])


def test_running_means_are_told_as_metrics() -> None:
    discor = weighting.make("discor-net", normalise="ema")
    _, state, told = discor.apply(discor.init(), Signals(**fixture()))
    assert told["weight_temperature"] == state["temperature"]
    assert told["weight_scale"] == state["scale"]


def test_running_means_carry_no_gradient() -> None:
    discor = weighting.make("discor-net", normalise="ema")
    batch = {k: jax.numpy.asarray(x) for k, x in fixture().items()}

    def moved(error: jax.Array) -> jax.Array:
        state = discor.apply(discor.init(), Signals(**batch | {"error_estimate": error})).state
        return state["temperature"] + state["scale"]

    assert not jax.grad(moved)(batch["error_estimate"]).any()


# --- effective sample size ------------------------------------------------------------------------


def test_the_effective_sample_size_of_equal_weights_is_their_number() -> None:
    assert effective_sample_size(np.array([[2.0, 2, 2, 9]]), np.array([[1, 1, 1, 0]])) == 3


def test_the_effective_sample_size_of_a_single_weight_is_one() -> None:
    assert effective_sample_size(np.array([[0, 7.0, 0]]), np.ones((1, 3))) == 1


def test_the_effective_sample_size_of_no_weights_is_zero() -> None:
    assert effective_sample_size(np.zeros((1, 2)), np.ones((1, 2))) == 0


@quick
@given(signals())
def test_the_effective_sample_size_lies_between_one_and_the_number_of_valid_steps(
    batch: Arrays,
) -> None:
    n_valid = batch["mask"].sum()
    ess = effective_sample_size(weigh("macpo", batch), batch["mask"])
    assert min(1, n_valid) - 1e-9 <= ess <= n_valid + 1e-9


# --- metrics --------------------------------------------------------------------------------------


def test_metrics_describe_the_weights_of_the_fixture() -> None:
    numbers, f = golden()["fixture"], np.array(golden()["fixture"]["f"][:4])
    assert metrics() == pytest.approx(
        {
            "weight_raw_mean": np.mean(numbers["raw"]["macpo"][:4]),
            "weight_mean": 1.0,
            "weight_max": 2.4656285326766296,
            "weight_ess_fraction": numbers["ess"]["macpo"] / 4,
            "weight_share_small": 0.0,
            "weight_n_nonfinite": 0,
            "weight_fallback": 0,
            "f_mean": f.mean(),
            "f_std": f.std(),
        },
        rel=1e-12,
    )


def test_the_share_of_small_weights_counts_valid_steps_below_a_thousandth() -> None:
    batch = fixture()
    batch["q_star"] = batch["q"] - np.array([[0.0, 50, 0, 50, 50]])
    assert metrics(q_star=batch["q_star"])["weight_share_small"] == 0.5


def test_a_batch_that_is_weighed_uniformly_since_all_weights_vanish_is_told() -> None:
    assert metrics(target=fixture()["q"])["weight_fallback"] == 1


def test_weights_that_are_no_numbers_are_counted_at_valid_steps_alone() -> None:
    def with_nan_at(step: int) -> np.ndarray:
        return np.where(np.arange(5) == step, np.nan, fixture()["q"])

    assert metrics(q=with_nan_at(2))["weight_n_nonfinite"] == 1
    assert metrics(q=with_nan_at(4))["weight_n_nonfinite"] == 0


def test_schemes_without_f_report_none() -> None:
    assert "f_mean" not in metrics("uniform")
    assert "f_mean" not in metrics("macpo-no-joint")
