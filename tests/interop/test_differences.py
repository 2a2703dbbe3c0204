"""Differences of pytrees, in words."""

from typing import Any

import jax
import numpy as np
import pytest

from macpo.interop.differences import difference


@pytest.mark.parametrize(
    ("a", "b", "tolerance", "said"),
    [
        ({"x": np.ones(2)}, {"x": np.ones(2)}, 0.0, None),
        ({"x": np.array([1, 2])}, {"x": np.array([1, 3])}, 0.0, "['x'][1]: 2 instead of 3"),
        (np.float32(1), np.float32(1.00001), 1e-4, None),
        (np.float32(1), np.float32(1.1), 1e-4, ": 1.0 instead of 1.1"),
        (np.zeros(2), np.zeros(3), 0.0, ": float64(2,) instead of float64(3,)"),
        (np.float32(np.nan), np.float32(np.nan), 0.0, None),
    ],
)
def test_the_first_difference_is_named(a: Any, b: Any, tolerance: float, said: str | None) -> None:
    assert difference(a, b, tolerance) == said


def test_another_structure_is_a_difference() -> None:
    assert "instead of" in (difference({"a": 1}, {"b": 1}) or "")


def test_random_keys_are_compared_by_their_data() -> None:
    key = jax.random.key
    assert difference(key(1), key(1)) is None
    assert difference(key(1), key(2)) == "[1]: 1 instead of 2"
