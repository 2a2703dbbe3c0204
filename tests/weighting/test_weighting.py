"""What all weightings share: options, products, running means, metrics."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given

from macpo import weighting
from macpo.errors import UsageError
from macpo.weighting import (
    DIFFER,
    OWQMIX,
    PER,
    DisCorNet,
    Factor,
    MacPO,
    Signals,
    Uniform,
    Weighting,
    effective_sample_size,
    taken_probs,
)
from macpo.weighting.weighting import SCALE_RATE
from tests.support.weighting_samples import Arrays, errors, fixture, golden, quick, signals, weigh


def metrics(name: str = "macpo", **changes: object) -> dict[str, float]:
    weigh = weighting.make(name)
    output = weigh.apply(weigh.init(), Signals(**fixture() | changes))
    return {name: float(value) for name, value in output.metrics.items()}


# --- a dataclass ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Constant(Weighting):
    """The same log-weight at every step."""

    size: float = 1.0

    def factors(self) -> tuple[Factor, ...]:
        return (Factor("constant", ("q",), lambda s, xp: self.size + 0 * s.q),)


def test_a_subclass_says_what_its_weights_are_made_of() -> None:
    weights = Constant(size=np.log(3.0), normalise="none")(q=np.zeros((1, 2)), mask=np.ones((1, 2)))
    assert weights.tolist() == [[pytest.approx(3), pytest.approx(3)]]


def test_a_weighting_is_named_after_its_module() -> None:
    assert Constant().name == "test-weighting"
    assert DisCorNet().name == "discor-net"


def test_a_weighting_needs_the_signals_of_its_factors_and_running_means() -> None:
    assert PER(on_policy=5.0).needs == ("q", "target", "log_density_ratio")
    assert DisCorNet().needs == ("next_error_estimate", "error_estimate")


def test_the_on_policy_factor_comes_last_and_only_if_switched_on() -> None:
    assert [f.name for f in PER().all_factors] == ["bellman"]
    assert [f.name for f in PER(on_policy=5.0).all_factors] == ["bellman", "on_policy"]


def test_a_weighting_without_factors_of_its_own_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Weighting()  # type: ignore[abstract]


@pytest.mark.parametrize("name", weighting.available())
def test_the_repr_of_a_weighting_can_be_typed_back_in(name: str) -> None:
    written = weighting.make(name, clip=2.5)
    assert eval(repr(written), vars(weighting)) == written


def test_options_cannot_be_changed_afterwards() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        MacPO().clip = 1.0  # type: ignore[misc]


# --- policies -------------------------------------------------------------------------------------

POLICY: dict[str, Any] = {
    "utilities": np.log(np.array([[1.0, 2, 3, 4]])),
    "actions": np.array([3]),
    "avail_actions": np.array([[True, True, False, True]]),
}


def test_probabilities_of_stored_actions_are_at_the_weightings_own_temperature() -> None:
    pi = MacPO(policy_temperature=0.5).taken_probs(**POLICY)
    assert pi.tolist() == pytest.approx([16 / (1 + 4 + 16)])


def test_they_range_over_unavailable_actions_if_the_weighting_says_so() -> None:
    assert MacPO(include_unavailable=True).taken_probs(**POLICY).tolist() == pytest.approx([0.4])


def test_a_weighting_without_a_temperature_has_temperature_one() -> None:
    assert Uniform().taken_probs(**POLICY).tolist() == taken_probs(**POLICY).tolist()


# --- products -------------------------------------------------------------------------------------


def test_a_product_multiplies_raw_weights_and_is_normalised_like_the_first() -> None:
    product = PER(normalise="sum").times(OWQMIX(alpha=0.5))
    batch = errors(-1, 2) | {"q_star": np.zeros((1, 2))}  # 1 · 1 and 2 · ½
    assert product(**batch).tolist() == [[pytest.approx(0.5), pytest.approx(0.5)]]
    assert product.name == "per"


def test_a_product_needs_what_either_needs() -> None:
    product = PER(on_policy=5.0).times(OWQMIX())
    assert set(product.needs) == {"q", "target", "q_star", "log_density_ratio"}


def test_a_product_has_the_policies_of_the_first() -> None:
    first = MacPO(policy_temperature=0.5)
    assert first.times(OWQMIX()).taken_probs(**POLICY) == first.taken_probs(**POLICY)


def test_a_product_weighs_each_agent_if_either_does() -> None:
    assert DIFFER().times(OWQMIX()).per_agent
    assert OWQMIX().times(DIFFER()).per_agent
    assert not PER().times(OWQMIX()).per_agent


def test_a_product_updates_the_running_means_of_both() -> None:
    product = PER().times(DisCorNet())
    assert product.init() == {"temperature": 10}
    state = product.apply(product.init(), Signals(**fixture())).state
    assert state["temperature"] == pytest.approx(9.962125, rel=1e-14)


def test_an_option_of_a_weighting_that_is_out_of_bounds_is_named_with_the_weighting() -> None:
    with pytest.raises(UsageError, match=r"^test-weighting: clip must be at least 0, not -1"):
        Constant(clip=-1.0)


# --- running means --------------------------------------------------------------------------------


def test_a_weighting_without_running_means_has_no_state() -> None:
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
    output = per.apply(per.init(), Signals(**errors(1, 1, 1, 5)))  # 5 is cut to 1.5 · 2
    assert output.state == {"scale": 1.5}
    assert output.weights[0].tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2])


def test_running_means_are_metrics() -> None:
    discor = weighting.make("discor-net", normalise="ema")
    _, state, reported = discor.apply(discor.init(), Signals(**fixture()))
    assert reported["weight_temperature"] == state["temperature"]
    assert reported["weight_scale"] == state["scale"]


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


def test_uniform_weights_in_place_of_vanished_ones_are_reported() -> None:
    assert metrics(target=fixture()["q"])["weight_fallback"] == 1


def test_weights_that_are_not_finite_are_counted_at_valid_steps_only() -> None:
    def with_nan_at(step: int) -> np.ndarray:
        return np.where(np.arange(5) == step, np.nan, fixture()["q"])

    assert metrics(q=with_nan_at(2))["weight_n_nonfinite"] == 1
    assert metrics(q=with_nan_at(4))["weight_n_nonfinite"] == 0


def test_weightings_without_f_report_none() -> None:
    assert "f_mean" not in metrics("uniform")
    assert "f_mean" not in metrics("macpo-no-joint")
