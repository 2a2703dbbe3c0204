"""The recurrent network along the lanes of a packed batch, forwards and backwards.

An update spends most of its time here, so this is the one place with a hand-written gradient. Only
the recurrent state is kept for the backward pass; the gates are computed again from it, which on a
CPU costs less than to store and reload them.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from macpo.nets.agent import AgentNet
from macpo.nets.packing import Packing
from macpo.types import PyTree

Encode: TypeAlias = Callable[[PyTree], Float[Array, "L N i"]]


def unroll(
    net: AgentNet, encode: Encode, inputs: PyTree, packing: Packing
) -> Float[Array, "S L N A"]:
    """The network's output in every state; zeros in empty places.

    `inputs` has leaves [S, L, ...] (see `pack`); `encode` makes the network's input of one step of
    them, and must be the same object in every call for compiled code to be shared. Each episode
    starts from a recurrent state of zeros. Gradients reach `net` alone.
    """
    return _unroll(encode, net, inputs, packing)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _unroll(encode: Encode, net: AgentNet, inputs: PyTree, packing: Packing) -> Array:
    return _play(encode, net, inputs, packing, keep=False)[0]


def _forward(
    encode: Encode, net: AgentNet, inputs: PyTree, packing: Packing
) -> tuple[Array, tuple[PyTree, ...]]:
    out, hidden = _play(encode, net, inputs, packing, keep=True)
    return out, (net, inputs, packing, hidden)


def _play(
    encode: Encode, net: AgentNet, inputs: PyTree, packing: Packing, keep: bool
) -> tuple[Array, Array | None]:
    """(outputs, recurrent states before each step if they are to be kept)."""
    n_places = packing.filled.shape[0]
    lanes, n_agents, _ = jax.eval_shape(encode, _at(inputs, 0)).shape
    rows, width = lanes * n_agents, net.hidden_size
    out = jnp.zeros((n_places, rows, net.head.bias.shape[-1]))
    hidden = jax.lax.empty((n_places, rows, width), out.dtype) if keep else None

    def step(s: Array, carry: tuple[Array, Array | None, Array]) -> tuple[Array | None, ...]:
        out, hidden, h = carry
        h = jnp.where(_per_row(packing.first[s], n_agents), 0, h)
        if hidden is not None:
            hidden = jax.lax.dynamic_update_index_in_dim(hidden, h, s, 0)
        h, y = net(_flat(encode(_at(inputs, s))), h)
        y = jnp.where(_per_row(packing.filled[s], n_agents), y, 0)
        return jax.lax.dynamic_update_index_in_dim(out, y, s, 0), hidden, h

    start = out, hidden, jnp.zeros((rows, width))
    out, hidden, _ = jax.lax.fori_loop(0, packing.n_places, step, start)
    return out.reshape(n_places, lanes, n_agents, -1), hidden


def _backward(
    encode: Encode, kept: tuple[PyTree, ...], d_out: Array
) -> tuple[AgentNet, None, None]:
    net, inputs, packing, hidden = kept
    n_agents = d_out.shape[2]

    def step(i: Array, carry: tuple[Array, AgentNet]) -> tuple[Array, AgentNet]:
        d_h, grads = carry
        s = packing.n_places - 1 - i
        d_y = jnp.where(_per_row(packing.filled[s], n_agents), _flat(d_out[s]), 0)
        d_h, d_net = _step_gradient(net, _flat(encode(_at(inputs, s))), hidden[s], d_h, d_y)
        d_h = jnp.where(_per_row(packing.first[s], n_agents), 0, d_h)
        return d_h, jax.tree.map(jnp.add, grads, d_net)

    start = jnp.zeros(hidden.shape[1:]), jax.tree.map(jnp.zeros_like, net)
    _, grads = jax.lax.fori_loop(0, packing.n_places, step, start)
    return grads, None, None


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
    # a product with so few columns is faster the other way round
    weight = (d_y.T @ x).T if d_y.shape[1] < 16 else x.T @ d_y
    return weight, jnp.ones(x.shape[0]) @ d_y


def _at(inputs: PyTree, s: Array | int) -> PyTree:
    """The inputs of step s."""
    return jax.tree.map(lambda x: x[s], inputs)


def _per_row(flags: Array, n_agents: int) -> Array:
    """A lane's flag for each of its agents' rows."""
    return jnp.repeat(flags, n_agents)[:, None]


def _flat(x: Array) -> Array:
    """Lanes and agents as one axis of rows."""
    return x.reshape(-1, x.shape[-1])
