"""PSER: the steps that led to a surprise count with it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from macpo.weighting.pser import decayed_window_max
from tests.support.weighting_samples import Arrays, errors, quick, raw, signals, weigh, xp

SIZE = (0.1, 0.2, 0.05, 3, 0.1, 1)


def weights_of(*size: float, mask: list[int] | None = None, **options: Any) -> list[float]:
    return raw("pser", errors(*size, mask=mask), **options)[0].tolist()


def test_weights_equal_the_worked_numbers() -> None:
    assert weights_of(*SIZE) == pytest.approx([0.192, 0.48, 1.2, 3, 0.4, 1], rel=1e-14)


def test_weights_of_mean_one_equal_the_worked_numbers() -> None:
    expected = [0.183673469, 0.459183673, 1.147959184, 2.869897959, 0.382653061, 0.956632653]
    assert weigh("pser", errors(*SIZE))[0].tolist() == pytest.approx(expected, abs=6e-10)


def test_a_window_of_two_reaches_two_steps_back() -> None:
    assert weights_of(*SIZE, window=2) == pytest.approx([0.1, 0.48, 1.2, 3, 0.4, 1], rel=1e-14)


def test_padding_neither_gives_nor_receives() -> None:
    mask = [1, 1, 1, 1, 0, 0]
    assert weights_of(*SIZE, mask=mask) == pytest.approx([0.192, 0.48, 1.2, 3, 0, 0], rel=1e-14)
    expected = [0.157635468, 0.394088670, 0.985221675, 2.463054187, 0, 0]
    weights = weigh("pser", errors(*SIZE, mask=mask))
    assert weights[0].tolist() == pytest.approx(expected, abs=6e-10)


def test_a_surprise_does_not_leak_over_padding() -> None:
    assert weights_of(1, 1, 0, 100, mask=[1, 1, 0, 1]) == pytest.approx([1, 1, 0, 100], rel=1e-14)


def test_a_surprise_does_not_leak_into_another_episode() -> None:
    q = np.array([[1.0, 1], [100, 1]])
    weights = raw("pser", {"q": q, "target": 0 * q, "mask": np.ones_like(q)})
    np.testing.assert_allclose(weights, [[1, 1], [100, 1]], rtol=1e-14)


def test_a_spike_decays_as_far_as_the_window_and_not_beyond() -> None:
    expected = [0.1, 1.024, 2.56, 6.4, 16, 40, 100]
    assert weights_of(*[0.1] * 6, 100) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("window", [6, 7, 100])
def test_a_window_longer_than_the_episode_reaches_its_start(window: int) -> None:
    expected = [0.4096, 1.024, 2.56, 6.4, 16, 40, 100]
    assert weights_of(*[0.1] * 6, 100, window=window) == pytest.approx(expected, rel=1e-14)


def test_decayed_values_are_not_propagated_again() -> None:
    p, mask = np.array([[0.1] * 6 + [100]]), np.ones((1, 7), bool)
    once = decayed_window_max(p, mask, 0.4, 2, xp)
    twice = decayed_window_max(once, mask, 0.4, 2, xp)
    assert once[0].tolist() == pytest.approx([0.1, 0.1, 0.1, 0.1, 16, 40, 100])
    assert twice[0].tolist() == pytest.approx([0.1, 0.1, 2.56, 6.4, 16, 40, 100])
    assert weights_of(*[0.1] * 6, 100, window=2) == pytest.approx(once[0].tolist(), rel=1e-14)


def test_the_exponent_is_of_the_decayed_maximum() -> None:
    assert weights_of(0, 4, decay=0.25, alpha=0.5) == [1, 2]


@quick
@given(signals(), st.floats(0, 1), st.integers(0, 6))
def test_weights_are_the_largest_decayed_error_of_the_steps_ahead(
    batch: Arrays, decay: float, window: int
) -> None:
    size = np.abs(batch["q"] - batch["target"])
    weights = raw("pser", batch, decay=decay, window=window)
    for (b, t), weight in np.ndenumerate(weights):
        length = batch["mask"][b].sum()
        ahead = [decay**k * size[b, t + k] for k in range(window + 1) if t + k < length]
        assert weight == pytest.approx(max(ahead) if t < length else 0, rel=1e-12)


@quick
@given(signals())
def test_without_decay_or_window_it_is_per(batch: Arrays) -> None:
    for options in ({"decay": 0.0}, {"window": 0}):
        np.testing.assert_array_equal(raw("pser", batch, **options), raw("per", batch))


@quick
@given(signals(), st.floats(0.01, 100))
def test_scaling_errors_scales_raw_weights_alone(batch: Arrays, scale: float) -> None:
    scaled = batch | {"q": batch["q"] * scale, "target": batch["target"] * scale}
    np.testing.assert_allclose(raw("pser", scaled), scale * raw("pser", batch), rtol=1e-12)
    np.testing.assert_allclose(weigh("pser", scaled), weigh("pser", batch), rtol=1e-12)
