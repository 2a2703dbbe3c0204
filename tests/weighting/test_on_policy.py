"""The factor d^π/μ, from the logit of a classifier between recent play and replay."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.weighting_samples import Arrays, fixture, quick, raw, signals, weigh

# the weights of z = 1, −½, 2, 0
WORKED = {
    1.0: [0.928226848, 0.207115405, 2.523182173, 0.341475574, 0],
    5.0: [1.057934690, 0.783737295, 1.292164349, 0.866163666, 0],
    7.5: [1.042607489, 0.853614814, 1.191315441, 0.912462256, 0],
}


@pytest.mark.parametrize("temperature", WORKED)
def test_alone_it_gives_the_worked_numbers(temperature: float) -> None:
    weights = weigh("uniform", fixture(), on_policy=temperature)
    assert weights[0].tolist() == pytest.approx(WORKED[temperature], abs=6e-10)


def test_in_macpo_it_gives_the_worked_numbers() -> None:
    weights = weigh("macpo", fixture(), on_policy=5.0)
    expected = [1.368749055, 2.145930526, 0.394588181, 0.090732238, 0]
    assert weights[0].tolist() == pytest.approx(expected, abs=6e-10)


@quick
@given(signals(), st.floats(0.1, 20))
def test_where_recent_play_and_replay_are_alike_it_changes_nothing(
    batch: Arrays, temperature: float
) -> None:
    alike = batch | {"log_density_ratio": np.zeros_like(batch["q"])}
    for mode in ("none", "mean"):
        weights = weigh("macpo", alike, normalise=mode, on_policy=temperature)
        np.testing.assert_array_equal(weights, weigh("macpo", batch, normalise=mode))


@quick
@given(signals())
def test_a_high_temperature_leaves_it_out(batch: Arrays) -> None:
    weights = weigh("macpo", batch, on_policy=1e12)
    np.testing.assert_allclose(weights, weigh("macpo", batch), rtol=1e-9)


@quick
@given(signals(), st.floats(-5, 5))
def test_a_constant_added_to_every_logit_cancels_in_the_normalisation(
    batch: Arrays, more: float
) -> None:
    z = np.clip(batch["log_density_ratio"], -5, 5)  # none is cut
    one, other = (batch | {"log_density_ratio": x} for x in (z, z + more))
    expected = weigh("macpo", one, on_policy=5.0)
    np.testing.assert_allclose(weigh("macpo", other, on_policy=5.0), expected, rtol=1e-12)


def test_logits_beyond_ten_are_cut() -> None:
    z = np.array([[-30.0, 10, 30, 0, 0]])
    weights = raw("uniform", fixture() | {"log_density_ratio": z}, on_policy=10.0)
    assert weights[0].tolist() == pytest.approx([np.exp(-1), np.e, np.e, 1, 0], rel=1e-6)
