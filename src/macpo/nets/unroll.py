"""The recurrent network over a batch of episodes of different lengths, forwards and backwards.

An update spends most of its time here, so this is the one place with a hand-written gradient.
Episodes come sorted, longest first: step t needs only a prefix of the batch, and the work is
proportional to the states that exist, not to the episode limit. A step is compiled for a few
prefixes and runs on the smallest that holds its episodes. Only the recurrent state is kept for the
backward pass; the gates are computed again from it, which on a CPU costs less than to store and
reload them.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from macpo.nets.agent import AgentNet
from macpo.nets.batching import common_max
from macpo.types import PyTree

PREFIXES = (1.0, 0.75, 0.5, 0.375, 0.25, 0.125)
"""Shares of the batch for which a step is compiled."""

Encode: TypeAlias = Callable[[PyTree], Float[Array, "B N i"]]
Ends: TypeAlias = tuple[Array, ...]


def unroll(
    net: AgentNet, encode: Encode, inputs: PyTree, length: Int[Array, " B"]
) -> Float[Array, "Tp1 B N A"]:
    """The network's output in states 0…length of every episode; zeros in later ones.

    `inputs` has leaves [T+1, B, ...]; `encode` makes the network's input of one step of them, and
    must be the same object in every call for compiled code to be shared. `length` must not
    increase along the batch. Gradients reach `net` alone.
    """
    batch = length.shape[0]
    # a prefix of more than `size` episodes is needed while episode number `size` has a state left
    smaller = [*_prefix_sizes(batch)[1:], 0]
    ends = tuple(common_max(length[size] + 1) for size in smaller)
    return _unroll(encode, net, inputs, length, ends)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _unroll(encode: Encode, net: AgentNet, inputs: PyTree, length: Array, ends: Ends) -> Array:
    return _forward(encode, net, inputs, length, ends)[0]


def _forward(
    encode: Encode, net: AgentNet, inputs: PyTree, length: Array, ends: Ends
) -> tuple[Array, PyTree]:
    n_states, batch = jax.tree.leaves(inputs)[0].shape[:2]
    sample = jax.eval_shape(lambda: encode(jax.tree.map(lambda x: x[0], inputs)))
    n_agents, out_size = sample.shape[1], net.head.bias.shape[-1]
    out = jnp.zeros((n_states, batch, n_agents, out_size))
    hidden = jnp.zeros((n_states + 1, batch, n_agents, net.hidden_size))  # before each step

    def step(size: int, t: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        out, hidden = carry
        exists = (t <= length[:size])[:, None, None]
        x = jnp.where(exists, encode(jax.tree.map(lambda leaf: _rows(leaf, t, size), inputs)), 0)
        h, y = net(_flat(x), _flat(_rows(hidden, t, size)))
        y = jnp.where(exists, y.reshape(*x.shape[:2], -1), 0)
        return _put(out, y, t), _put(hidden, h, t + 1)

    start: Array | int = 0
    for size, end in zip(_prefix_sizes(batch), ends, strict=True):
        out, hidden = jax.lax.fori_loop(start, end, partial(step, size), (out, hidden))
        start = end
    return out, (net, inputs, length, ends, hidden)


def _backward(encode: Encode, kept: PyTree, d_out: Array) -> tuple[AgentNet, None, None, None]:
    net, inputs, length, ends, hidden = kept
    batch = d_out.shape[1]

    def step(size: int, end: Array, i: Array, carry: tuple[Array, AgentNet]):
        d_hidden, grads = carry
        t = end - 1 - i
        exists = (t <= length[:size])[:, None, None]
        x = jnp.where(exists, encode(jax.tree.map(lambda leaf: _rows(leaf, t, size), inputs)), 0)
        h, d_y = _rows(hidden, t, size), jnp.where(exists, _rows(d_out, t, size), 0)
        d_h, d_net = _step_gradient(net, _flat(x), _flat(h), _flat(d_hidden[:size]), _flat(d_y))
        d_hidden = jax.lax.dynamic_update_slice(d_hidden, d_h.reshape(h.shape), (0, 0, 0))
        return d_hidden, jax.tree.map(jnp.add, grads, d_net)

    carry = (jnp.zeros(hidden.shape[1:]), jax.tree.map(jnp.zeros_like, net))
    starts = (0, *ends[:-1])
    for size, start, end in reversed([*zip(_prefix_sizes(batch), starts, ends, strict=True)]):
        carry = jax.lax.fori_loop(0, end - start, partial(step, size, end), carry)
    return carry[1], None, None, None


_unroll.defvjp(_forward, _backward)


def _step_gradient(
    net: AgentNet,
    x: Float[Array, "R i"],
    h: Float[Array, "R h"],
    d_next: Float[Array, "R h"],
    d_y: Float[Array, "R A"],
) -> tuple[Float[Array, "R h"], AgentNet]:
    """Gradients of one step with respect to the previous recurrent state and the network."""
    cell = net.cell
    embedded = jax.nn.relu(net.embed(x))
    r, z, n, n_h = cell.gates(embedded, h)

    d_next = d_next + d_y @ net.head.weight.T
    d_n = d_next * (1 - z) * (1 - n * n)
    d_z = d_next * (h - n) * z * (1 - z)
    d_r = d_n * n_h * r * (1 - r)
    d_x_gates = jnp.concatenate([d_r, d_z, d_n], -1)
    d_h_gates = jnp.concatenate([d_r, d_z, d_n * r], -1)
    d_embedded = (d_x_gates @ cell.weight_x.T) * (embedded > 0)
    d_net = eqx.tree_at(
        _leaves,
        net,
        (
            *_linear_gradient(x, d_embedded),
            *_linear_gradient(embedded, d_x_gates),
            *_linear_gradient(h, d_h_gates),
            *_linear_gradient((1 - z) * n + z * h, d_y),
        ),
    )
    return d_next * z + d_h_gates @ cell.weight_h.T, d_net


def _leaves(net: AgentNet) -> tuple[Array, ...]:
    embed, cell, head = net.embed, net.cell, net.head
    return (
        *(embed.weight, embed.bias),
        *(cell.weight_x, cell.bias_x),
        *(cell.weight_h, cell.bias_h),
        *(head.weight, head.bias),
    )


def _linear_gradient(
    x: Float[Array, "R i"], d_y: Float[Array, "R o"]
) -> tuple[Float[Array, "i o"], Float[Array, " o"]]:
    """Gradients of x W + b with respect to W and b; the sum over rows as a product is faster."""
    return x.T @ d_y, jnp.ones(x.shape[0]) @ d_y


def _prefix_sizes(batch: int) -> list[int]:
    return sorted({max(1, round(share * batch)) for share in PREFIXES}, reverse=True)


def _rows(x: Array, t: Array, size: int) -> Array:
    """x[t, :size]."""
    start = (t, *[0] * (x.ndim - 1))
    return jax.lax.dynamic_slice(x, start, (1, size, *x.shape[2:]))[0]


def _put(x: Array, rows: Array, t: Array) -> Array:
    """x with `rows` as its first rows at step t."""
    rows = rows.reshape(1, -1, *x.shape[2:])
    return jax.lax.dynamic_update_slice(x, rows, (t, *[0] * (x.ndim - 1)))


def _flat(x: Array) -> Array:
    """Episodes and agents as one axis of rows."""
    return x.reshape(-1, x.shape[-1])
