"""Conversions that every array library needs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from array_api_compat import array_namespace

from macpo.weighting.arrays import at_least_float32, stop_gradient
from tests.support.weighting_libraries import every_library, library


@every_library
@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("int32", "float32"), ("float16", "float32"), ("float32", "float32")],
)
def test_narrow_numbers_become_single_precision(name: str, dtype: str, expected: str) -> None:
    x = library(name).ones(2, dtype=getattr(library(name), dtype))
    wide = at_least_float32(x, array_namespace(x))
    assert wide.dtype == getattr(library(name), expected)


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_double_precision_stays(name: str) -> None:
    x = library(name).ones(2, dtype=library(name).float64)
    assert at_least_float32(x, array_namespace(x)) is x


def test_no_gradient_flows_through_a_constant_in_jax() -> None:
    assert jax.grad(lambda x: stop_gradient(x) * x)(jnp.asarray(3.0)) == 3  # not 6


def test_no_gradient_flows_through_a_constant_in_torch() -> None:
    x = library("torch").tensor(3.0, requires_grad=True)
    assert not stop_gradient(x).requires_grad


def test_a_numpy_array_is_a_constant() -> None:
    x = np.ones(2)
    assert stop_gradient(x) is x
