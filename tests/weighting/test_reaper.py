"""ReaPER: errors count as far as the targets that follow are reliable."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from macpo.weighting.reaper import reliability
from tests.support.weighting_samples import Arrays, errors, quick, raw, signals, weigh, xp

SIZE = (0.1, 0.2, 0.05, 3, 0.1, 1)


def test_the_reliability_equals_the_worked_numbers() -> None:
    expected = [0.022471910, 0.067415730, 0.078651685, 0.752808989, 0.775280899, 1]
    assert reliability(np.array([SIZE]), xp)[0].tolist() == pytest.approx(expected, abs=6e-10)


@pytest.mark.parametrize(
    ("alpha", "omega", "expected"),
    [
        (1, 1, [0.004018081, 0.024108488, 0.007031642, 4.038171773, 0.138623807, 1.788046208]),
        (0.6, 0.5, [0.073318330, 0.192482472, 0.090495834, 3.265936362, 0.430647677, 1.947119325]),
    ],
)
def test_weights_of_mean_one_equal_the_worked_numbers(
    alpha: float, omega: float, expected: list[float]
) -> None:
    weights = weigh("reaper", errors(*SIZE), alpha=alpha, omega=omega)
    assert weights[0].tolist() == pytest.approx(expected, abs=6e-10)


def test_raw_weights_are_the_product_of_powers() -> None:
    weights = raw("reaper", errors(1, 3), alpha=1.0, omega=0.5)  # R = ¼, 1
    assert weights[0].tolist() == pytest.approx([0.5, 3], rel=1e-15)


def test_an_episode_without_error_is_wholly_reliable() -> None:
    assert reliability(np.zeros((1, 3)), xp).tolist() == [[1, 1, 1]]


def test_errors_of_other_episodes_do_not_matter() -> None:
    alone = reliability(np.array([[1.0, 3]]), xp)
    assert reliability(np.array([[1.0, 3], [100, 5]]), xp)[:1].tolist() == alone.tolist()


@quick
@given(signals(), st.floats(0.01, 100))
def test_reliability_rises_to_one_at_the_last_step_whatever_the_scale(
    batch: Arrays, scale: float
) -> None:
    size = np.where(batch["mask"], np.abs(batch["q"] - batch["target"]), 0)
    r = reliability(size, xp)
    assert ((r >= 0) & (r <= 1)).all()
    assert (np.diff(r) >= 0).all()
    assert (r[:, -1] == 1).all()  # and so it is from the last valid step on
    np.testing.assert_allclose(reliability(scale * size, xp), r, rtol=1e-12)


@quick
@given(signals())
def test_without_reliability_it_is_per(batch: Arrays) -> None:
    weights = raw("reaper", batch, alpha=0.6, omega=0.0)
    np.testing.assert_array_equal(weights, raw("per", batch, alpha=0.6))
