"""A function over the leading rows, against the function over all rows with a mask."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.kernels import chunked
from macpo.kernels.chunked import map_rows, map_states
from macpo.kernels.packing import plan, unpack

P, CHUNK = 11, 4
N_ROWS = {"full": P, "two chunks": 8, "part of a chunk": 6, "one": 1, "none": 0}
NETS = {"w": np.array([0.5, -1.0, 2.0]), "b": np.array(0.3)}
FROZEN = np.array([1.0, 0.7, -0.2])


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK", CHUNK)


def fn(nets, frozen, utilities, context):
    """Two values of a row, from two leaves that learn and two that do not."""
    inner = jnp.tanh(utilities["u"] @ nets["w"] + nets["b"] * context)
    return {"learned": inner * utilities["scale"], "mixed": inner + utilities["u"] @ frozen}


def drawn(seed=0):
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return jax.device_put(rng.normal(size=shape).astype(np.float32))

    utilities = {"u": normal(P, 3), "scale": normal(P)}
    return utilities, normal(P), {"learned": normal(P), "mixed": normal(P)}


def map_all_rows(fn, nets, frozen, utilities, context, n_rows):
    """By definition: every row, and only whole chunks of them count."""
    counts = np.arange(P) < -(-n_rows // CHUNK) * CHUNK
    values = fn(nets, frozen, utilities, context)
    return jax.tree.map(lambda v: jnp.where(counts, v, 0.0), values)


@functools.cache
def compiled(mapper):
    """(utilities, context, cotangents, n_rows) → (values, gradients of nets and utilities)."""

    def loss(nets, utilities, context, cotangents, n_rows):
        values = mapper(fn, nets, FROZEN, utilities, context, n_rows)
        return sum((values[name] * cotangents[name]).sum() for name in values), values

    @jax.jit
    def run(utilities, context, cotangents, n_rows):
        grad = jax.grad(loss, argnums=(0, 1), has_aux=True)
        grads, values = grad(NETS, utilities, context, cotangents, n_rows)
        return values, grads

    return run


def assert_close(actual, expected):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, 1e-5, 1e-6), actual, expected)


@pytest.mark.parametrize("n_rows", N_ROWS.values(), ids=N_ROWS)
def test_values_and_gradients_are_those_of_the_function_over_all_rows(n_rows):
    args = (*drawn(), np.array(n_rows))
    assert_close(compiled(map_rows)(*args), compiled(map_all_rows)(*args))


def test_rows_of_chunks_that_are_not_reached_are_zero_whatever_they_hold():
    utilities, context, cotangents = drawn()

    def spoil(x):
        x = np.array(x)
        x[CHUNK:] = np.nan
        return x

    spoiled = jax.tree.map(spoil, (utilities, context))
    clean = compiled(map_rows)(utilities, context, cotangents, np.array(3))
    dirty = compiled(map_rows)(*spoiled, cotangents, np.array(3))
    jax.tree.map(np.testing.assert_array_equal, dirty, clean)
    assert not np.asarray(clean[0]["learned"])[CHUNK:].any()


def test_gradients_reach_neither_frozen_networks_nor_context():
    utilities, context, _ = drawn()

    def loss(frozen, context):
        return map_rows(fn, NETS, frozen, utilities, context, np.array(P))["mixed"].sum()

    slopes = jax.jit(jax.grad(loss, argnums=(0, 1)))(FROZEN, context)
    jax.tree.map(lambda x: np.testing.assert_array_equal(x, 0.0), slopes)


def test_seeds_under_vmap_are_the_same_as_alone():
    seeds = [drawn(seed) for seed in range(3)]
    stacked = jax.tree.map(lambda *x: np.stack(x), *seeds)
    together = jax.vmap(compiled(map_rows), in_axes=(0, 0, 0, None))(*stacked, np.array(P))
    together = jax.device_get(together)
    for i, alone in enumerate(seeds):
        one = jax.tree.map(lambda x: x[i], together)  # noqa: B023
        assert_close(one, compiled(map_rows)(*alone, np.array(P)))


# --- states of packed episodes --------------------------------------------------------------------


def test_values_and_gradients_of_packed_states_are_those_of_a_plain_vmap():
    packing = plan(np.array([5, 3, 2, 0]), 6)
    rng = np.random.default_rng(0)
    utilities, context, cotangent = (
        jax.device_put(rng.normal(size=shape).astype(np.float32))
        for shape in ((*packing.filled.shape, 3), packing.filled.shape, packing.exists.shape)
    )

    def of_state(nets, frozen, utilities, context):
        return jnp.tanh(utilities @ nets["w"] + nets["b"] * context) + utilities @ frozen

    def packed(nets, utilities):
        return map_states(of_state, nets, FROZEN, utilities, context, packing)

    def plain(nets, utilities):
        one = jax.vmap(jax.vmap(of_state, (None, None, 0, 0)), (None, None, 0, 0))
        return one(nets, FROZEN, utilities, context)

    def loss(values, nets, utilities):
        values = unpack(packing, values(nets, utilities))
        return (values * cotangent).sum(), values

    def run(values):
        grad = jax.grad(lambda *args: loss(values, *args), argnums=(0, 1), has_aux=True)
        return jax.jit(grad)(NETS, utilities)

    assert_close(run(packed), run(plain))
