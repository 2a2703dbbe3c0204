"""A function over the valid rows, against the function over all rows with a mask."""

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
    keys = jax.random.split(jax.random.key(seed), 5)
    utilities = {"u": jax.random.normal(keys[0], (P, 3)), "scale": jax.random.normal(keys[1], (P,))}
    context = jax.random.normal(keys[2], (P,))
    cotangents = {
        "learned": jax.random.normal(keys[3], (P,)),
        "mixed": jax.random.normal(keys[4], (P,)),
    }
    return utilities, context, cotangents


def everywhere(fn, nets, frozen, utilities, context, valid):
    return jax.tree.map(lambda v: jnp.where(valid, v, 0.0), fn(nets, frozen, utilities, context))


def values_and_gradients(mapper, utilities, context, cotangents, valid):
    """(values, (gradient of the nets, gradient of the utilities))."""

    def loss(nets, utilities):
        values = mapper(fn, nets, FROZEN, utilities, context, valid)
        return sum((values[name] * cotangents[name]).sum() for name in values), values

    grads, values = jax.grad(loss, argnums=(0, 1), has_aux=True)(NETS, utilities)
    return values, grads


def assert_close(actual, expected):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, 1e-5, 1e-6), actual, expected)


@pytest.mark.parametrize("mask", MASKS)
def test_values_and_gradients_are_those_of_the_function_over_all_rows(mask):
    args = (*drawn(), jnp.array(MASKS[mask]))
    assert_close(values_and_gradients(map_rows, *args), values_and_gradients(everywhere, *args))


def test_values_are_zero_where_a_row_is_not_valid():
    valid = jnp.array(MASKS["partial"])
    values, _ = values_and_gradients(map_rows, *drawn(), valid)
    assert (values["learned"][~valid] == 0).all()
    assert (values["mixed"][~valid] == 0).all()


@pytest.mark.parametrize("mask", ["partial", "empty"])
def test_content_of_rows_that_are_not_valid_changes_nothing(mask):
    valid = jnp.array(MASKS[mask])
    utilities, context, cotangents = drawn()

    def spoil(x):
        return jnp.where(valid.reshape(-1, *[1] * (x.ndim - 1)), x, jnp.nan)

    spoiled = jax.tree.map(spoil, (utilities, context, cotangents))
    # the loss multiplies by the cotangents, so only those of valid rows may be used there
    clean = values_and_gradients(map_rows, utilities, context, cotangents, valid)
    dirty = values_and_gradients(map_rows, *spoiled[:2], cotangents, valid)
    jax.tree.map(np.testing.assert_array_equal, dirty, clean)


def test_gradients_reach_neither_frozen_networks_nor_context():
    utilities, context, _ = drawn()

    def loss(frozen, context):
        valid = jnp.array(MASKS["full"])
        return map_rows(fn, NETS, frozen, utilities, context, valid)["mixed"].sum()

    slopes = jax.grad(loss, argnums=(0, 1))(FROZEN, context)
    jax.tree.map(lambda x: np.testing.assert_array_equal(x, 0.0), slopes)


def test_seeds_with_different_masks_under_vmap_are_the_same_as_alone():
    masks = [jnp.array(MASKS[name]) for name in ("partial", "one", "empty")]
    seeds = [(*drawn(seed), mask) for seed, mask in enumerate(masks)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *seeds)
    together = jax.vmap(lambda *args: values_and_gradients(map_rows, *args))(*stacked)
    for i, alone in enumerate(seeds):
        one = jax.tree.map(lambda x: x[i], together)  # noqa: B023
        assert_close(one, values_and_gradients(map_rows, *alone))


def test_the_last_of_many_rows_is_reached():
    valid = jnp.array(MASKS["one"])
    utilities, context, cotangents = drawn()
    values, _ = values_and_gradients(map_rows, utilities, context, cotangents, valid)
    expected = fn(NETS, FROZEN, utilities, context)["mixed"][-1]
    np.testing.assert_allclose(values["mixed"][-1], expected, rtol=1e-5)
