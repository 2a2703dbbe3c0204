"""Conversions that every array library needs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from array_api_compat import array_namespace

from macpo.errors import UsageError
from macpo.weighting.arrays import as_flags, at_least_float32, holds_somewhere, stop_gradient
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


@every_library
@pytest.mark.parametrize("dtype", ["bool", "int64", "float32"])
def test_flags_may_be_booleans_or_0_and_1(name: str, dtype: str) -> None:
    if (name, dtype) == ("jax", "int64"):
        dtype = "int32"
    x = library(name).asarray(np.array([0, 1, 1]), dtype=getattr(library(name), dtype))
    assert as_flags(x, "mask").tolist() == [False, True, True]


def test_what_is_no_flag_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"^avail holds numbers other than 0 and 1; .* mask == 0"):
        as_flags(np.array([0, -np.inf]), "avail")


@every_library
@pytest.mark.parametrize(("least", "found"), [(2.0, True), (4.0, False)])
def test_a_condition_is_known_of_arrays_that_hold_numbers(
    name: str, least: float, found: bool
) -> None:
    x = library(name).asarray([1.0, 3.0])
    assert holds_somewhere(lambda x: x >= least, x) is found


@pytest.mark.parametrize("transform", [jax.jit, jax.vmap, jax.grad])
def test_of_arrays_that_jax_traces_no_condition_is_known(transform: Any) -> None:
    known: list[bool] = []

    def look(x: jax.Array) -> jax.Array:
        known.append(holds_somewhere(lambda x: x >= 0, x))
        return x.sum()

    transform(look)(jnp.ones(() if transform is jax.grad else 2))
    assert known == [False]


def test_inside_jit_no_condition_is_known_of_arrays_from_outside() -> None:
    outside, known = jnp.ones(2), list[bool]()

    @jax.jit
    def look(x: jax.Array) -> jax.Array:
        known.append(holds_somewhere(lambda x: x >= 0, outside))
        return x

    look(outside)
    assert known == [False]


def test_of_arrays_that_torch_maps_over_no_condition_is_known() -> None:
    torch, known = library("torch"), list[bool]()

    def look(x: Any) -> Any:
        known.append(holds_somewhere(lambda x: x >= 0, x))
        return x

    torch.vmap(look)(torch.ones(2))
    assert known == [False]
