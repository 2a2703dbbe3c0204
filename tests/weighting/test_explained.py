"""What a weighting says its weights are made of."""

from dataclasses import dataclass

import numpy as np
import pytest

from macpo import weighting
from macpo.errors import UsageError
from macpo.weighting import DIFFER, OWQMIX, PER, MacPO, Signals, Weighting, WeightingOutput
from macpo.weighting.explained import EXPLANATION, Explained, explaining, take_explanation
from macpo.weighting.normalise import Normalise
from macpo.weighting.weighting import Explanation, WeightingState
from tests.support.weighting_samples import fixture


def explain(weigh: Weighting, batch: dict[str, np.ndarray] | None = None) -> Explanation:
    return weigh.explain(weigh.init(), Signals(**(batch or fixture())))


def test_a_joint_catch_that_q_tot_does_not_expect_gets_ten_times_e_to_the_minus_ten() -> None:
    catch = {
        "q": np.array([[0.0, 0.0]]),
        "target": np.array([[10.0, 0.5]]),
        "q_star": np.array([[10.0, 0.0]]),
        "pi_taken": np.array([[[1.0, 1.0], [0.5, 0.5]]]),
        "mask": np.ones((1, 2)),
    }
    why = explain(MacPO(normalise="none"), catch)
    factors = {name: np.exp(log)[0].tolist() for name, log in why.log_factors.items()}
    assert factors == {
        "bellman": pytest.approx([10, 0.5]),
        "value": pytest.approx([np.exp(-10), 1]),
        "joint": pytest.approx([1, 1.5]),
    }
    assert why.weights[0].tolist() == pytest.approx([10 * np.exp(-10), 0.75])
    scaled = explain(MacPO(), catch)
    assert scaled.weights.mean() == pytest.approx(1)
    assert scaled.log_raw == pytest.approx(why.log_raw)


@pytest.mark.parametrize("name", weighting.available())
def test_the_product_of_the_factors_is_the_raw_weight_of_every_weighting(name: str) -> None:
    weigh = weighting.make(name, normalise="none", on_policy=5.0)
    batch = fixture()
    why, valid = explain(weigh), batch["mask"] != 0
    product = np.ones_like(why.weights)
    for log in why.log_factors.values():
        product = product * np.exp(log if log.ndim == product.ndim else log[..., None])
    assert tuple(why.log_factors) == tuple(factor.name for factor in weigh.all_factors)
    assert product[valid] == pytest.approx(why.weights[valid])
    assert why.log_raw is not None
    assert np.exp(why.log_raw)[valid] == pytest.approx(why.weights[valid])


def test_of_two_factors_of_one_name_that_of_the_first_weighting_keeps_it() -> None:
    weigh = PER(normalise="none").times(MacPO())
    assert weigh.factor_names == ("bellman_2", "value", "joint", "bellman")
    why = explain(weigh)
    assert why.log_factors["bellman"] == pytest.approx(explain(PER()).log_factors["bellman"])
    assert why.log_factors["bellman_2"] == pytest.approx(explain(MacPO()).log_factors["bellman"])


@dataclass(frozen=True)
class Halved(MacPO):
    """Half of MAC-PO's weights."""

    def apply(self, state: WeightingState, signals: Signals) -> WeightingOutput:
        output = super().apply(state, signals)
        return output._replace(weights=output.weights / 2)


def test_a_weighting_that_is_applied_in_its_own_way_is_no_product_that_one_could_tell() -> None:
    why = explain(Halved())
    assert (why.log_factors, why.log_raw) == ({}, None)
    assert why.weights == pytest.approx(explain(MacPO()).weights / 2)


@pytest.mark.parametrize("weigh", [MacPO(clip=2.0), PER(normalise="ema"), OWQMIX().times(PER())])
def test_an_explained_weighting_is_like_the_one_it_explains(weigh: Weighting) -> None:
    explained, state = Explained.of(weigh), weigh.init()
    assert (explained.name, explained.needs) == (weigh.name, weigh.needs)
    assert (explained.summary, explained.init()) == (weigh.summary, state)
    output, own = (w.apply(state, Signals(**fixture())) for w in (explained, weigh))
    assert output.weights.tolist() == own.weights.tolist()
    assert (output.state, list(output.metrics)) == (own.state, [*own.metrics, EXPLANATION])


@pytest.mark.parametrize("weigh", [MacPO(), PER(normalise="sum"), DIFFER()])
def test_weights_that_do_not_weigh_are_one_on_every_step_and_told(weigh: Weighting) -> None:
    batch = fixture()
    explained = Explained.of(weigh, weighs=False)
    output = explained.apply(explained.init(), Signals(**batch))
    assert output.weights.tolist() == (batch["mask"] != 0).astype(float).tolist()
    assert (explained.per_agent, explained.normalise) == (False, "mean")
    why = output.metrics[EXPLANATION]
    assert why.weights.tolist() == explain(weigh).weights.tolist()
    assert explained.explain({}, Signals(**batch)).log_factors.keys() == why.log_factors.keys()


@pytest.mark.parametrize("normalise", ["mean", "none", "sum", "max", "ema"])
def test_weights_that_do_not_weigh_keep_the_state_that_they_are_made_with(
    normalise: Normalise,
) -> None:
    weigh, batch = PER(normalise=normalise), Signals(**fixture())
    explained = Explained.of(weigh, weighs=False)
    state, own = explained.init(), weigh.init()
    for _ in range(2):
        state, own = explained.apply(state, batch).state, weigh.apply(own, batch).state
    assert state == own


@pytest.mark.parametrize(
    ("weigh", "weights"),
    [
        (PER(nonfinite="zero"), [1, 0, 1, 0]),
        (PER(nonfinite="propagate"), [1, 1, 1, 0]),
        (DIFFER(nonfinite="zero"), [1, 0, 1, 0]),
    ],
    ids=["left out", "visible", "of two agents one"],
)
def test_a_step_that_a_weighting_leaves_out_is_left_out_where_it_does_not_weigh_too(
    weigh: Weighting, weights: list[float]
) -> None:
    target = np.array([[2.0, np.inf, 0.0, 0.0]])  # no error, and so no raw weight, in the third
    gradient = np.stack([np.ones_like(target), np.zeros_like(target)], -1)
    gradient[0, 1] = [np.inf, 1.0]
    signals = Signals(np.array([[1, 1, 1, 0]]), np.zeros((1, 4)), target, dq_tot_dq=gradient)
    explained = Explained.of(weigh, weighs=False)
    with np.errstate(invalid="ignore"):
        output = explained.apply(explained.init(), signals)
    assert output.weights[0].tolist() == weights
    raw = np.exp(output.metrics[EXPLANATION].log_raw)[0].reshape(4, -1)
    assert (raw[1] == 0).all() == (weights[1] == 0)
    assert raw[0].max() > 0


def test_only_a_dataclass_with_a_weighting_can_be_explained() -> None:
    with pytest.raises(UsageError, match="must be a dataclass with a field `weighting`"):
        explaining(object())


def test_metrics_without_an_explanation_are_told() -> None:
    with pytest.raises(UsageError, match="must hand on the metrics of its weighting"):
        take_explanation({"loss": 0.0})
