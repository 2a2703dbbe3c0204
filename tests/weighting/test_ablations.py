"""MAC-PO with one factor left out: `macpo-no-bellman`, `macpo-no-value`, `macpo-no-joint`."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from macpo import weighting
from tests.support.weighting_samples import Arrays, Row, fixture, quick, raw, signals, weigh

ROWS = {
    "bellman": Row(
        [1.035663873, 0.547947570, 1.222222222, 0.010481550],
        [1.470948801, 0.778247502, 1.735916797, 0.014886899],
        ess=2.766736,
        loss_raw=0.657658319,
        loss_mean_one=0.934069192,
    ),
    "value": Row(
        [0.699, 3.6385, 0.122222222, 6.2224],
        [0.261745741, 1.362463347, 0.045767019, 2.330023892],
        ess=2.175118,
        loss_raw=28.57209306,
        loss_mean_one=10.69903244,
    ),
    "joint": Row(
        [0.370409110, 0.602388424, 0.1, 0.026951788],
        [1.347249243, 2.191002665, 0.363719251, 0.098028841],
        ess=2.367748,
        loss_raw=0.733596145,
        loss_mean_one=2.668230406,
    ),
}
every_factor = pytest.mark.parametrize("factor", ROWS)


@every_factor
def test_weights_and_losses_equal_the_worked_numbers(factor: str) -> None:
    ROWS[factor].check(f"macpo-no-{factor}")


@every_factor
def test_it_is_the_option_of_macpo(factor: str) -> None:
    ROWS[factor].check("macpo", without=factor)
    ablation = weighting.make(f"macpo-no-{factor}")
    assert ablation.needs == weighting.make("macpo", without=factor).needs
    assert ablation.name == f"macpo-no-{factor}"


@quick
@given(signals())
def test_leaving_a_factor_out_is_supplying_ones_for_it(batch: Arrays) -> None:
    neutral = {
        "bellman": {"target": batch["q"] - 1},
        "value": {"q_star": batch["q"]},
        "joint": {"pi_taken": np.ones_like(batch["pi_taken"])},
    }
    for factor, ones in neutral.items():
        for mode in ("none", "mean"):
            expected = weigh("macpo", batch | ones, normalise=mode)
            weights = weigh(f"macpo-no-{factor}", batch, normalise=mode)
            np.testing.assert_allclose(weights, expected, rtol=1e-12, atol=1e-15)


@quick
@given(signals())
def test_the_weight_is_the_product_of_what_the_ablations_leave(batch: Arrays) -> None:
    b, v, j = (raw(f"macpo-no-{name}", batch) for name in ROWS)
    np.testing.assert_allclose(raw("macpo", batch) ** 2, b * v * j, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("factor", "signal"), [("value", "q_star"), ("joint", "pi_taken"), ("bellman", "target")]
)
def test_an_ablation_does_not_need_the_signal_of_its_factor(factor: str, signal: str) -> None:
    batch: dict[str, Any] = fixture()
    del batch[signal]
    assert np.isfinite(weigh(f"macpo-no-{factor}", batch)).all()
