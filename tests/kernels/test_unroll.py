"""The hand-written unrolling against a plain scan differentiated by JAX, tensor by tensor."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.kernels import packing
from macpo.kernels import unroll as unrolling
from macpo.kernels.packing import pack, plan, unpack
from macpo.kernels.unroll import unroll, unroll_with_hidden
from macpo.nets.agent import AgentNet

T, N, O, HIDDEN, A = 6, 2, 3, 5, 4  # noqa: E741
FULL = {b: [T] * b for b in (1, 3, 8, 40)}
RAGGED = {
    1: [2],
    3: [5, 2, 0],
    8: [6, 6, 4, 3, 3, 1, 0, 0],
    40: sorted((7 * i % 7 + i % 5 for i in range(40)), reverse=True),
}
NET = AgentNet(jax.random.key(0), O, HIDDEN, A)


def encode(inputs):
    """An input made of two leaves, as the learner's is."""
    x, shift = inputs
    return x + shift[..., None]


def by_definition(net, inputs, length):
    """Every step of every episode, then zeros past the end."""

    return with_hidden_by_definition(net, inputs, length)[..., :A]


def with_hidden_by_definition(net, inputs, length):
    """Outputs and the recurrent states they were made from, end to end."""

    def step(h, now):
        x = encode(now)
        h, q = net(x.reshape(-1, O), h)
        return h, jnp.concatenate([q, h], -1).reshape(*x.shape[:-1], A + HIDDEN)

    h = np.zeros((inputs[0].shape[1] * N, HIDDEN))
    _, q = jax.lax.scan(step, h, inputs)
    exists = np.arange(T + 1)[:, None] <= length
    return jnp.where(exists[..., None, None], q, 0.0)


def drawn(batch, seed=0, outputs=A):
    """Inputs of all states, and a cotangent for every output, padding included."""
    rng = np.random.default_rng(seed)
    shapes = ((T + 1, batch, N, O), (T + 1, batch, N), (T + 1, batch, N, outputs))
    x, shift, cotangent = (np.asarray(rng.normal(size=s), np.float32) for s in shapes)
    return (x, shift), cotangent


def outputs_and_gradients(implementation):
    """(net, inputs, length, cotangent) → (outputs, gradient of every tensor of the network)."""
    is_definition = implementation in (by_definition, with_hidden_by_definition)
    return compiled(implementation, not is_definition and unrolling.on_accelerator())


@functools.cache
def compiled(implementation, on_accelerator):
    """The same in one place, compiled once for each size of a batch."""

    def loss(net, inputs, length, cotangent):
        q = implementation(net, inputs, length)
        return (q * cotangent).sum(), q

    @jax.jit
    def run(net, inputs, length, cotangent):
        grads, q = jax.grad(loss, has_aux=True)(net, inputs, length, cotangent)
        return q, grads

    return run


def ours(net, inputs, length):
    layout = plan(length, T + 1)
    packed = jax.tree.map(lambda x: pack(layout, jnp.swapaxes(x, 0, 1)), inputs)
    return jnp.swapaxes(unpack(layout, unroll(net, encode, packed, layout)), 0, 1)


def ours_with_hidden(net, inputs, length):
    layout = plan(length, T + 1)
    packed = jax.tree.map(lambda x: pack(layout, jnp.swapaxes(x, 0, 1)), inputs)
    both = jnp.concatenate(unroll_with_hidden(net, encode, packed, layout), -1)
    return jnp.swapaxes(unpack(layout, both), 0, 1)


def assert_close(actual, expected):
    """Relative to each tensor's largest entry, so that 0.1 % of any gate's gradient shows."""

    def check(x, y):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5 * np.abs(y).max())

    jax.tree.map(check, actual, expected)


@pytest.fixture(params=[False, True], ids=["on a CPU", "on an accelerator"], autouse=True)
def place(request, monkeypatch):
    """Every test runs both ways, wherever it runs."""
    for module in (unrolling, packing):
        monkeypatch.setattr(module, "on_accelerator", lambda: request.param)


@pytest.mark.parametrize("lengths", [FULL, RAGGED], ids=["full", "ragged"])
@pytest.mark.parametrize("batch", [1, 3, 8, 40])
def test_outputs_and_every_gradient_are_those_of_a_plain_scan(batch, lengths):
    inputs, cotangent = drawn(batch)
    args = NET, inputs, np.array(lengths[batch]), cotangent
    q, grads = outputs_and_gradients(ours)(*args)
    expected_q, expected_grads = outputs_and_gradients(by_definition)(*args)
    assert_close(q, expected_q)
    assert_close(grads, expected_grads)


@pytest.mark.parametrize("lengths", [FULL, RAGGED], ids=["full", "ragged"])
@pytest.mark.parametrize("batch", [1, 40])
def test_recurrent_states_and_the_gradients_through_them_are_those_of_a_plain_scan(batch, lengths):
    inputs, cotangent = drawn(batch, outputs=A + HIDDEN)
    args = NET, inputs, np.array(lengths[batch]), cotangent
    out, grads = outputs_and_gradients(ours_with_hidden)(*args)
    expected, expected_grads = outputs_and_gradients(with_hidden_by_definition)(*args)
    assert_close(out, expected)
    assert_close(grads, expected_grads)


def test_every_output_past_the_end_of_an_episode_is_zero():
    inputs, cotangent = drawn(8)
    q, _ = outputs_and_gradients(ours)(NET, inputs, np.array(RAGGED[8]), cotangent)
    past = np.arange(T + 1)[:, None] > np.array(RAGGED[8])
    np.testing.assert_array_equal(np.asarray(q)[past], 0.0)


@pytest.mark.parametrize("junk", np.float32([-100, np.inf, np.nan]))
def test_content_of_padding_changes_neither_outputs_nor_gradients(junk):
    run, length = outputs_and_gradients(ours), np.array(RAGGED[8])
    inputs, cotangent = drawn(8)
    exists = np.arange(T + 1)[:, None] <= np.array(RAGGED[8])

    def spoil(x):
        return np.where(exists.reshape(*exists.shape, *[1] * (x.ndim - 2)), x, junk)

    clean = run(NET, inputs, length, cotangent)
    dirty = run(NET, jax.tree.map(spoil, inputs), length, spoil(cotangent))
    jax.tree.map(np.testing.assert_array_equal, clean, dirty)


def test_seeds_of_different_lengths_under_vmap_are_the_same_as_alone():
    run = outputs_and_gradients(ours)
    nets = jax.tree.map(lambda x: np.stack([x, -0.5 * x]), NET)
    length = np.array([[6, 3, 1], [4, 4, 2]])
    inputs, cotangent = jax.tree.map(lambda *x: np.stack(x), drawn(3), drawn(3, seed=1))
    together = jax.device_get(jax.vmap(run)(nets, inputs, length, cotangent))
    for seed in range(2):
        alone = jax.tree.map(lambda x: x[seed], (nets, inputs, length, cotangent))  # noqa: B023
        assert_close(jax.tree.map(lambda x: x[seed], together), run(*alone))  # noqa: B023
