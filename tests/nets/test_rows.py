"""A function over the valid rows, against the function over all rows with a mask."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.nets import rows
from macpo.nets.rows import map_rows

P, CHUNK = 11, 4
MASKS = {
    "full": [True] * P,
    "partial": [True, False, False, True, True, True, False, True, True, True, False],
    "one": [False] * (P - 1) + [True],
    "empty": [False] * P,
}
NETS = {"w": jnp.array([0.5, -1.0, 2.0]), "b": jnp.array(0.3)}
FROZEN = jnp.array([1.0, 0.7, -0.2])


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(rows, "CHUNK", CHUNK)


def fn(nets, frozen, utilities, context):
    """Two values of a row, from two leaves that learn and two that do not."""
    inner = jnp.tanh(utilities["u"] @ nets["w"] + nets["b"] * context)
    return {"learned": inner * utilities["scale"], "mixed": inner + utilities["u"] @ frozen}


def drawn(seed=0):
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return jnp.asarray(rng.normal(size=shape), jnp.float32)

    utilities = {"u": normal(P, 3), "scale": normal(P)}
    return utilities, normal(P), {"learned": normal(P), "mixed": normal(P)}


def everywhere(fn, nets, frozen, utilities, context, valid):
    return jax.tree.map(lambda v: jnp.where(valid, v, 0.0), fn(nets, frozen, utilities, context))


@functools.cache
def compiled(mapper):
    """(utilities, context, cotangents, valid) → (values, gradients of nets and utilities)."""

    def loss(nets, utilities, context, cotangents, valid):
        values = mapper(fn, nets, FROZEN, utilities, context, valid)
        return sum((values[name] * cotangents[name]).sum() for name in values), values

    @jax.jit
    def run(utilities, context, cotangents, valid):
        grad = jax.grad(loss, argnums=(0, 1), has_aux=True)
        grads, values = grad(NETS, utilities, context, cotangents, valid)
        return values, grads

    return run


def values_and_gradients(mapper, *args):
    return compiled(mapper)(*args)


def assert_close(actual, expected):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, 1e-5, 1e-6), actual, expected)


@pytest.mark.parametrize("mask", MASKS)
def test_values_and_gradients_are_those_of_the_function_over_all_rows(mask):
    args = (*drawn(), jnp.array(MASKS[mask]))
    assert_close(values_and_gradients(map_rows, *args), values_and_gradients(everywhere, *args))


def test_values_are_zero_where_a_row_is_not_valid():
    valid = np.array(MASKS["partial"])
    values, _ = values_and_gradients(map_rows, *drawn(), valid)
    assert not np.asarray(values["learned"])[~valid].any()
    assert not np.asarray(values["mixed"])[~valid].any()


@pytest.mark.parametrize("mask", ["partial", "empty"])
def test_content_of_rows_that_are_not_valid_changes_nothing(mask):
    valid = jnp.array(MASKS[mask])
    utilities, context, cotangents = drawn()

    def spoil(x):
        return jnp.where(valid.reshape(-1, *[1] * (x.ndim - 1)), x, jnp.nan)

    spoiled = jax.tree.map(spoil, (utilities, context))
    clean = values_and_gradients(map_rows, utilities, context, cotangents, valid)
    dirty = values_and_gradients(map_rows, *spoiled, cotangents, valid)
    jax.tree.map(np.testing.assert_array_equal, dirty, clean)


def test_gradients_reach_neither_frozen_networks_nor_context():
    utilities, context, _ = drawn()

    def loss(frozen, context):
        valid = jnp.array(MASKS["full"])
        return map_rows(fn, NETS, frozen, utilities, context, valid)["mixed"].sum()

    slopes = jax.jit(jax.grad(loss, argnums=(0, 1)))(FROZEN, context)
    jax.tree.map(lambda x: np.testing.assert_array_equal(x, 0.0), slopes)


def test_seeds_with_different_masks_under_vmap_are_the_same_as_alone():
    masks = [jnp.array(MASKS[name]) for name in ("partial", "one", "empty")]
    seeds = [(*drawn(seed), mask) for seed, mask in enumerate(masks)]
    stacked = jax.tree.map(lambda *x: np.stack(x), *seeds)
    together = jax.tree.map(np.asarray, jax.vmap(compiled(map_rows))(*stacked))
    for i, alone in enumerate(seeds):
        one = jax.tree.map(lambda x: x[i], together)  # noqa: B023
        assert_close(one, values_and_gradients(map_rows, *alone))


def test_the_last_of_many_rows_is_reached():
    valid = jnp.array(MASKS["one"])
    utilities, context, cotangents = drawn()
    values, _ = values_and_gradients(map_rows, utilities, context, cotangents, valid)
    expected = fn(NETS, FROZEN, utilities, context)["mixed"][-1]
    np.testing.assert_allclose(values["mixed"][-1], expected, rtol=1e-5)
