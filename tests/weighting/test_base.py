"""The mechanics common to all schemes: normalisation, degenerate batches, metrics, messages."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from macpo import weighting
from macpo.errors import UsageError
from macpo.weighting.base import Signals, effective_sample_size
from tests.weighting.samples import Arrays, fixture, golden, one_step, quick, signals

macpo = weighting.make("macpo")
raw = weighting.make("macpo", normalise="none")


def metrics(name: str = "macpo", **changes: object) -> dict[str, float]:
    given_signals = fixture() | changes
    weights = weighting.make(name).weigh(Signals(**given_signals))
    return {name: float(value) for name, value in weights[1].items()}


# --- normalisation --------------------------------------------------------------------------------


@quick
@given(signals())
def test_weights_are_raw_weights_over_their_mean(batch: Arrays) -> None:
    expected, valid = raw(**batch), batch["mask"]
    if expected.sum() == 0:
        return
    np.testing.assert_allclose(
        macpo(**batch), expected / expected[valid].mean(), rtol=1e-12, atol=1e-15
    )


def test_gaps_beyond_the_smallest_float_still_compare() -> None:
    numbers = golden()["log_domain"]
    gap = np.array([numbers["gap"]], np.float32)
    delta = np.array([numbers["abs_delta"]], np.float32)
    batch = {"q": gap, "target": gap - delta, "q_star": 0 * gap, "mask": gap > 0}
    weights = weighting.make("macpo", without="joint")(**batch)
    np.testing.assert_allclose(weights, [numbers["mean_one"]], rtol=2e-5)
    assert weighting.make("macpo", without="joint", normalise="none")(**batch).sum() == 0


def test_padding_does_not_hide_gaps_beyond_the_smallest_float() -> None:
    gap = np.array([[120.0, 121.0, 0.0]], np.float32)
    batch = {"q": gap, "q_star": 0 * gap, "pi_taken": np.ones((1, 3, 2), np.float32)}
    weights = weighting.make("macpo", without="bellman")(**batch, mask=gap > 0)
    # e⁰ and e⁻¹ over their mean
    np.testing.assert_allclose(weights, [[1.462117, 0.537883, 0]], rtol=1e-6)


def test_a_batch_whose_weights_all_vanish_is_weighed_uniformly() -> None:
    batch = fixture()
    weights = macpo(**batch | {"target": batch["q"]})
    assert weights.tolist() == [[1, 1, 1, 1, 0]]


def test_raw_weights_that_all_vanish_stay_zero() -> None:
    batch = fixture()
    assert not raw(**batch | {"target": batch["q"]}).any()


@pytest.mark.parametrize("scheme", [macpo, raw], ids=["mean", "none"])
def test_a_batch_of_nothing_but_padding_gets_zeros(scheme: weighting.Scheme) -> None:
    assert not scheme(**fixture() | {"mask": np.zeros((1, 5))}).any()


def test_zero_td_errors_raise_no_floating_point_flag() -> None:
    batch = fixture()
    batch["target"] = np.where(np.arange(5) == 1, batch["q"], batch["target"])
    with np.errstate(all="raise"):
        weights = macpo(**batch)
    assert weights[0, 1] == 0
    assert np.isfinite(weights).all()


def test_a_boolean_mask_and_one_of_numbers_mean_the_same() -> None:
    batch = fixture()
    np.testing.assert_array_equal(
        macpo(**batch), macpo(**batch | {"mask": batch["mask"].astype(bool)})
    )


# --- non-finite input -----------------------------------------------------------------------------


def test_a_nan_at_a_valid_step_stays_visible() -> None:
    batch = fixture()
    batch["q"] = np.where(np.arange(5) == 2, np.nan, batch["q"])
    assert np.isnan(macpo(**batch)[0, 2])
    assert metrics(q=batch["q"])["weight_n_nonfinite"] == 1


def test_a_nan_at_a_padded_step_is_not_counted() -> None:
    batch = fixture()
    batch["q"] = np.where(np.arange(5) == 4, np.nan, batch["q"])
    assert metrics(q=batch["q"])["weight_n_nonfinite"] == 0


# --- metrics --------------------------------------------------------------------------------------


def test_the_effective_sample_size_of_equal_weights_is_their_number() -> None:
    assert effective_sample_size(np.array([[2.0, 2, 2, 9]]), np.array([[1, 1, 1, 0]])) == 3


def test_the_effective_sample_size_of_no_weights_is_zero() -> None:
    assert effective_sample_size(np.zeros((1, 2)), np.ones((1, 2))) == 0


@quick
@given(signals())
def test_the_effective_sample_size_lies_between_one_and_the_number_of_valid_steps(
    batch: Arrays,
) -> None:
    n_valid = batch["mask"].sum()
    ess = effective_sample_size(macpo(**batch), batch["mask"])
    assert min(1, n_valid) - 1e-9 <= ess <= n_valid + 1e-9


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
            "f_mean": f.mean(),
            "f_std": f.std(),
        },
        rel=1e-12,
    )


def test_the_share_of_small_weights_counts_valid_steps_below_a_thousandth() -> None:
    batch = fixture()
    batch["q_star"] = batch["q"] - np.array([[0.0, 50, 0, 50, 50]])
    assert metrics(q_star=batch["q_star"])["weight_share_small"] == 0.5


def test_schemes_without_f_report_none() -> None:
    assert "f_mean" not in metrics("uniform")


# --- shapes ---------------------------------------------------------------------------------------


@quick
@given(signals())
def test_a_trailing_axis_of_length_one_is_accepted_and_restored(batch: Arrays) -> None:
    with_axis = {k: x if k == "pi_taken" else x[..., None] for k, x in batch.items()}
    np.testing.assert_array_equal(macpo(**with_axis), macpo(**batch)[..., None])


def test_a_single_agent_is_no_trailing_axis() -> None:
    batch = one_step(pi=(0.25,)) | {"mask": np.ones((1, 1, 1))}
    assert raw(**batch).tolist() == [[[1.75]]]


def test_signals_a_scheme_does_not_need_are_ignored() -> None:
    weights = weighting.make("uniform")(mask=np.ones((2, 3)), pi_taken=np.ones(7))
    assert weights.tolist() == [[1, 1, 1]] * 2


@pytest.mark.parametrize("dtype", [np.float16, np.int8])
def test_narrow_input_is_weighed_in_float32(dtype: type) -> None:
    batch = one_step(delta=2, gap=1, pi=(1.0, 0.0))
    batch = {k: x.astype(dtype) for k, x in batch.items()}
    weights = raw(**batch)
    assert weights.dtype == np.float32
    assert weights[0, 0] == pytest.approx(4 * np.exp(-1), rel=1e-6)


# --- messages -------------------------------------------------------------------------------------


def test_a_missing_signal_is_named_together_with_all_that_are_needed() -> None:
    with pytest.raises(UsageError) as error:
        macpo(mask=np.ones((1, 2)), q=np.ones((1, 2)))
    assert str(error.value) == (
        "weighting 'macpo' needs the signal 'target' and did not get it; "
        "pass q=…, target=…, q_star=…, pi_taken=… and mask=…"
    )


def test_an_unknown_signal_is_named_together_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown signals \['td_error'\]; known are mask, q, "):
        macpo(**fixture(), td_error=np.ones((1, 5)))


@pytest.mark.parametrize("name", ["q", "target", "q_star"])
def test_a_signal_of_another_shape_is_named_with_both_shapes(name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name} has shape \(5,\) but mask has \(1, 5\)"):
        macpo(**fixture() | {name: np.ones(5)})


@pytest.mark.parametrize("shape", [(1, 5), (1, 4, 3), ()])
def test_policies_need_an_agent_axis_behind_the_shape_of_the_mask(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"give every signal as .* and pi_taken as"):
        macpo(**fixture() | {"pi_taken": np.ones(shape)})


def test_a_mask_of_several_learners_is_refused() -> None:
    with pytest.raises(UsageError, match=r"mask has shape \(2, 3, 4\), expected \[B, T\]"):
        weighting.make("uniform")(mask=np.ones((2, 3, 4)))


@pytest.mark.parametrize("name", ["mask", "q"])
def test_lists_are_refused_by_name(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is a list; give an array"):
        macpo(**fixture() | {name: [[1.0] * 5]})


def test_arrays_of_two_libraries_are_refused() -> None:
    with pytest.raises(UsageError, match=r"come from .*numpy.*; give arrays of one library"):
        macpo(**fixture() | {"q": jnp.ones((1, 5))})
