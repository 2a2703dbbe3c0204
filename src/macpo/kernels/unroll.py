"""The recurrent network along the lanes of a packed batch, forwards and backwards.

An update spends most of its time here, so the gradient of the network is written by hand. Only
the recurrent state is kept for the backward pass; the gates are recomputed from it.

On a CPU all of a step is computed at once, while its rows are in the cache. On an accelerator time
goes by kernels launched one after the other, so a step there is only what waits for the recurrent
state: the rest is computed for all steps together, before the loop and after it.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias, cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Shaped

from macpo.kernels.packing import Packing
from macpo.kernels.rows import row, with_row
from macpo.machine import on_accelerator
from macpo.nets.agent import AgentNet
from macpo.nets.precision import matmul
from macpo.types import PyTree

Encode: TypeAlias = Callable[[PyTree], Float[Array, "L N i"]]


def unroll(
    net: AgentNet, encode: Encode, inputs: PyTree, packing: Packing
) -> Float[Array, "S L N A"]:
    """The network's output in every state; zeros in empty places.

    `inputs` has leaves [S, L, ...] (see `pack`); `encode` turns one step of them into the network's
    input, and must be the same object in every call for compiled code to be shared. Each episode
    starts from a recurrent state of zeros. Gradients reach `net` alone.
    """
    out, _ = cast(tuple[Array, None], _unroll(encode, False, net, inputs, packing))
    return out


def unroll_with_hidden(
    net: AgentNet, encode: Encode, inputs: PyTree, packing: Packing
) -> tuple[Float[Array, "S L N A"], Float[Array, "S L N h"]]:
    """`unroll`, and the recurrent states behind the outputs, through which gradients flow too."""
    return cast(tuple[Array, Array], _unroll(encode, True, net, inputs, packing))


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _unroll(
    encode: Encode, with_hidden: bool, net: AgentNet, inputs: PyTree, packing: Packing
) -> tuple[Array, Array | None]:
    out, hidden = _run(encode, net, inputs, packing, keep=with_hidden)
    return out, _hidden_output(hidden, out, packing) if with_hidden else None


def _forward(
    encode: Encode, with_hidden: bool, net: AgentNet, inputs: PyTree, packing: Packing
) -> tuple[tuple[Array, Array | None], tuple[PyTree, ...]]:
    out, hidden = _run(encode, net, inputs, packing, keep=True)
    hidden_output = _hidden_output(hidden, out, packing) if with_hidden else None
    return (out, hidden_output), (net, inputs, packing, hidden)


def _hidden_output(hidden: Array | None, out: Array, packing: Packing) -> Float[Array, "S L N h"]:
    """The recurrent states after each step; zeros in empty places."""
    assert hidden is not None
    hidden = hidden.reshape(*out.shape[:3], -1)
    return jnp.where(packing.filled[..., None, None], hidden, 0)


def _run(
    encode: Encode, net: AgentNet, inputs: PyTree, packing: Packing, keep: bool
) -> tuple[Array, Array | None]:
    """(outputs, recurrent states after each step if `keep`)."""
    if on_accelerator():
        return _run_hoisted(encode, net, inputs, packing)
    n_places = packing.filled.shape[0]
    lanes, n_agents, _ = jax.eval_shape(encode, _at(inputs, 0)).shape
    rows, width = lanes * n_agents, net.hidden_size
    out = jnp.zeros((n_places, rows, net.head.bias.shape[-1]))
    hidden = jax.lax.empty((n_places, rows, width), out.dtype) if keep else None

    def step(s: Array, carry: tuple[Array, Array | None, Array]) -> tuple[Array | None, ...]:
        out, hidden, h = carry
        h = jnp.where(_per_row(row(packing.first, s), n_agents), 0, h)
        h, y = net(_flat(encode(_at(inputs, s))), h)
        if hidden is not None:
            hidden = with_row(hidden, h, s)
        y = jnp.where(_per_row(row(packing.filled, s), n_agents), y, 0)
        return with_row(out, y, s), hidden, h

    start = out, hidden, jnp.zeros((rows, width))
    out, hidden, _ = jax.lax.fori_loop(0, packing.n_places, step, start)
    return out.reshape(n_places, lanes, n_agents, -1), hidden


def _backward(
    encode: Encode, with_hidden: bool, kept: tuple[PyTree, ...], d: tuple[Array, Array | None]
) -> tuple[AgentNet, None, None]:
    (net, inputs, packing, hidden), (d_out, d_hidden) = kept, d
    if on_accelerator():
        gradient = _hoisted_gradient(encode, net, inputs, packing, hidden, d_out, d_hidden)
        return gradient, None, None
    n_agents = d_out.shape[2]

    def step(i: Array, carry: tuple[Array, AgentNet]) -> tuple[Array, AgentNet]:
        d_h, grads = carry
        s = packing.n_places - 1 - i
        filled, first = (_per_row(row(x, s), n_agents) for x in (packing.filled, packing.first))
        d_y = jnp.where(filled, _flat(row(d_out, s)), 0)
        if d_hidden is not None:
            d_h += jnp.where(filled, _flat(row(d_hidden, s)), 0)
        h = jnp.where(first, 0, row(hidden, jnp.maximum(s - 1, 0)))
        d_h, d_net = _step_gradient(net, _flat(encode(_at(inputs, s))), h, d_h, d_y)
        d_h = jnp.where(first, 0, d_h)
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
    gates = cell.gates(embedded, h)
    d_next = d_next + matmul(d_y, net.head.weight.T)
    d_x_gates, d_h_gates = _gate_gradients(gates, h, d_next)
    d_net = _parameter_gradients(net, x, embedded, gates, h, d_x_gates, d_h_gates, d_y)
    return d_next * gates[1] + matmul(d_h_gates, cell.weight_h.T), d_net


def _gate_gradients(
    gates: tuple[Array, ...], h: Float[Array, "*R h"], d_next: Float[Array, "*R h"]
) -> tuple[Float[Array, "*R gates"], Float[Array, "*R gates"]]:
    """Of the gates' parts from the input and from the recurrent state h, before their sums are
    squashed; `d_next` is the gradient of the next state."""
    r, z, n, n_h = gates
    d_n = d_next * (1 - z) * (1 - n * n)
    d_z = d_next * (h - n) * z * (1 - z)
    d_r = d_n * n_h * r * (1 - r)
    return jnp.concatenate([d_r, d_z, d_n], -1), jnp.concatenate([d_r, d_z, d_n * r], -1)


def _parameter_gradients(
    net: AgentNet,
    x: Float[Array, "R i"],
    embedded: Float[Array, "R e"],
    gates: tuple[Array, ...],
    h: Float[Array, "R h"],
    d_x_gates: Float[Array, "R gates"],
    d_h_gates: Float[Array, "R gates"],
    d_y: Float[Array, "R A"],
) -> AgentNet:
    """The network's gradient, from those of its gates and outputs."""
    _, z, n, _ = gates
    d_embedded = matmul(d_x_gates, net.cell.weight_x.T) * (embedded > 0)
    return eqx.tree_at(
        _leaves,
        net,
        (
            *_linear_gradient(x, d_embedded),
            *_linear_gradient(embedded, d_x_gates),
            *_linear_gradient(h, d_h_gates),
            *_linear_gradient((1 - z) * n + z * h, d_y),
        ),
    )


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
    # with few columns, the transposed product is faster
    weight = matmul(d_y.T, x).T if d_y.shape[1] < 16 else matmul(x.T, d_y)
    return weight, jnp.ones(x.shape[0]) @ d_y


def _at(inputs: PyTree, s: Array | int) -> PyTree:
    """The inputs of step s."""
    return jax.tree.map(lambda x: row(x, s), inputs)


def _per_row(flags: Bool[Array, "*S L"], n_agents: int) -> Bool[Array, "*S R 1"]:
    """Each lane's flag, repeated for the rows of its agents."""
    return jnp.repeat(flags, n_agents, -1)[..., None]


def _flat(x: Shaped[Array, "*S L N X"]) -> Shaped[Array, "*S R X"]:
    """x with the two axes before its last one, lanes and agents, merged into one of rows."""
    return x.reshape(*x.shape[:-3], -1, x.shape[-1])


# --- on an accelerator ------------------------------------------------------------------------


def _run_hoisted(
    encode: Encode, net: AgentNet, inputs: PyTree, packing: Packing
) -> tuple[Float[Array, "S L N A"], Float[Array, "S R h"]]:
    """(outputs, recurrent states after each step)."""
    x = jax.vmap(encode)(inputs)
    n_places, _, n_agents, _ = x.shape
    from_input = net.cell.from_input(jax.nn.relu(net.embed(_flat(x))))
    from_input, first = _in_blocks((from_input, _per_row(packing.first, n_agents)))

    def step(s: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        hidden, h = carry
        h = net.cell.step(row(from_input, s), jnp.where(row(first, s), 0, h))
        return with_row(hidden, h, s), h

    n_blocks = -(-packing.n_places // BLOCK)
    start = jnp.zeros((*from_input.shape[:2], net.hidden_size))
    hidden, _ = _block_by_block(n_blocks, step, (start, start[0]))
    hidden = hidden[:n_places]
    out = net.head(hidden).reshape(*x.shape[:3], -1)
    return jnp.where(packing.filled[..., None, None], out, 0), hidden


def _hoisted_gradient(
    encode: Encode,
    net: AgentNet,
    inputs: PyTree,
    packing: Packing,
    hidden: Float[Array, "S R h"],
    d_out: Float[Array, "S L N A"],
    d_hidden: Float[Array, "S L N h"] | None,
) -> AgentNet:
    """The network's gradient."""
    n_agents, cell = d_out.shape[2], net.cell
    filled, first = (_per_row(x, n_agents) for x in (packing.filled, packing.first))
    x = _flat(jax.vmap(encode)(inputs))
    embedded = jax.nn.relu(net.embed(x))
    h = jnp.where(first, 0, jnp.roll(hidden, 1, 0))  # before each step
    gates = cell.gates(embedded, h)
    d_y = jnp.where(filled, _flat(d_out), 0)
    d_after = matmul(d_y, net.head.weight.T)
    if d_hidden is not None:
        d_after += jnp.where(filled, _flat(d_hidden), 0)
    steps = _in_blocks((gates, h, d_after, first))
    n_blocks = -(-packing.n_places // BLOCK)

    def step(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        d_next, d_h = carry
        s = n_blocks * BLOCK - 1 - i  # the places behind the last state change nothing
        gates, h, d_after, first = _at(steps, s)
        now = d_h + d_after
        _, d_h_gates = _gate_gradients(gates, h, now)
        d_h = jnp.where(first, 0, now * gates[1] + matmul(d_h_gates, cell.weight_h.T))
        return with_row(d_next, now, s), d_h

    start = jnp.zeros_like(steps[1])
    d_next, _ = _block_by_block(n_blocks, step, (start, start[0]))
    d_gates = _gate_gradients(gates, h, d_next[: len(h)])
    rows = jax.tree.map(_flat, (x, embedded, gates, h, *d_gates, d_y))
    return _parameter_gradients(net, *rows)


BLOCK = 16
"""Steps between two looks at whether the loop is over; each makes an accelerator wait."""


def _block_by_block(
    n_blocks: Array, step: Callable[[Array, PyTree], PyTree], carry: PyTree
) -> PyTree:
    """`carry` after `step(s, carry)` for every s of so many blocks."""

    def block(i: Array, carry: PyTree) -> PyTree:
        return jax.lax.fori_loop(0, BLOCK, lambda k, carry: step(i * BLOCK + k, carry), carry)

    return jax.lax.fori_loop(0, n_blocks, block, carry)


def _in_blocks(steps: PyTree) -> PyTree:
    """Arrays [S, ...] with zeros behind, up to a whole number of blocks."""

    def padded(x: Array) -> Array:
        return jnp.pad(x, [(0, -len(x) % BLOCK), *[(0, 0)] * (x.ndim - 1)])

    return jax.tree.map(padded, steps)
