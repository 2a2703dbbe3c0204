"""The agents' shared recurrent network, and the only argmax over actions.

Source: the agent of the PyMARL family: dense 64, ReLU, GRU 64, dense A.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray

from macpo.nets.linear import Linear, fan_in_uniform
from macpo.types import Spec


class GRUCell(eqx.Module):
    """A gated recurrent unit with PyTorch's two bias vectors; gates in the order r, z, n."""

    weight_x: Float[Array, "*K i gates"]
    weight_h: Float[Array, "*K h gates"]
    bias_x: Float[Array, "*K gates"]
    bias_h: Float[Array, "*K gates"]

    def __init__(self, key: PRNGKeyArray, in_size: int, hidden_size: int) -> None:
        shapes = ((in_size,), (hidden_size,), (), ())
        keys = jax.random.split(key, 4)
        self.weight_x, self.weight_h, self.bias_x, self.bias_h = (
            fan_in_uniform(k, (*shape, 3 * hidden_size), hidden_size)
            for k, shape in zip(keys, shapes, strict=True)
        )

    def __call__(self, x: Float[Array, "*R i"], h: Float[Array, "*R h"]) -> Float[Array, "*R h"]:
        """The next recurrent state."""
        _, z, n, _ = self.gates(x, h)
        return (1 - z) * n + z * h

    def gates(self, x: Float[Array, "*R i"], h: Float[Array, "*R h"]) -> tuple[Array, ...]:
        """(reset, update, candidate, the candidate's recurrent part), each [*R, h]."""
        from_x = x @ self.weight_x + self.bias_x
        from_h = h @ self.weight_h + self.bias_h
        xr, xz, xn = jnp.split(from_x, 3, -1)
        hr, hz, hn = jnp.split(from_h, 3, -1)
        r, z = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xz + hz)
        return r, z, jnp.tanh(xn + r * hn), hn


class AgentNet(eqx.Module):
    """Utilities of every action from the agent's own history."""

    embed: Linear
    cell: GRUCell
    head: Linear

    def __init__(self, key: PRNGKeyArray, in_size: int, hidden_size: int, out_size: int) -> None:
        k1, k2, k3 = jax.random.split(key, 3)
        self.embed = Linear(k1, in_size, hidden_size)
        self.cell = GRUCell(k2, hidden_size, hidden_size)
        self.head = Linear(k3, hidden_size, out_size)

    @property
    def hidden_size(self) -> int:
        """Width of the recurrent state."""
        return self.cell.weight_h.shape[-2]

    def __call__(
        self, x: Float[Array, "*R i"], h: Float[Array, "*R h"]
    ) -> tuple[Float[Array, "*R h"], Float[Array, "*R A"]]:
        """One step: (next recurrent state, output of the head)."""
        h = self.cell(jax.nn.relu(self.embed(x)), h)
        return h, self.head(h)


def agent_inputs(
    spec: Spec, obs: Num[Array, "*B N O"], last_action: Int[Array, "*B N"]
) -> Float[Array, "*B N i"]:
    """What the network sees: observation, own last action (none: a negative number), own id."""
    parts = [obs.astype(jnp.float32)]
    if spec.obs_last_action:
        parts.append(jax.nn.one_hot(last_action, spec.n_actions))
    if spec.obs_agent_id:
        parts.append(jnp.broadcast_to(jnp.eye(spec.n_agents), (*obs.shape[:-1], spec.n_agents)))
    return jnp.concatenate(parts, -1)


def agent_input_size(spec: Spec) -> int:
    """Length of `agent_inputs` per agent."""
    ids = spec.n_agents if spec.obs_agent_id else 0
    return spec.obs_size + (spec.n_actions if spec.obs_last_action else 0) + ids


def agents_step(
    spec: Spec,
    net: AgentNet,
    obs: Num[Array, "B N O"],
    last_action: Int[Array, "B N"],
    hidden: Float[Array, "B N h"],
) -> tuple[Float[Array, "B N h"], Float[Array, "B N A"]]:
    """One step of every agent: (next recurrent states, outputs of the head)."""
    x = agent_inputs(spec, obs, last_action)
    rows = x.shape[:-1]  # as one axis: XLA multiplies matrices faster than stacks of them
    hidden, out = net(x.reshape(-1, x.shape[-1]), hidden.reshape(-1, hidden.shape[-1]))
    return hidden.reshape(*rows, -1), out.reshape(*rows, -1)


def last_actions(actions: Int[Array, "B T N"]) -> Int[Array, "B Tp1 N"]:
    """What each agent did before each state of an episode; −1 (nothing) before the first."""
    return jnp.pad(actions, ((0, 0), (1, 0), (0, 0)), constant_values=-1)


def greedy(q: Float[Array, "*B A"], avail_actions: Bool[Array, "*B A"]) -> Int[Array, "*B"]:
    """The best available action; the lowest number wins ties."""
    q = jax.lax.stop_gradient(jnp.where(avail_actions, q, -jnp.inf))
    return _first(q == q.max(-1, keepdims=True))


def _first(flags: Bool[Array, "*B A"]) -> Int[Array, "*B"]:
    """Number of the first flag set; a minimum, which XLA vectorises, unlike argmax."""
    numbers = jnp.arange(flags.shape[-1], dtype=jnp.int8)
    return jnp.where(flags, numbers, jnp.int8(flags.shape[-1] - 1)).min(-1)


def epsilon_greedy(
    key: PRNGKeyArray,
    q: Float[Array, "*B A"],
    avail_actions: Bool[Array, "*B A"],
    epsilon: Float[Array, ""],
) -> Int[Array, "*B"]:
    """With probability epsilon, per agent, a uniform available action; else the greedy one."""
    u = jax.random.uniform(key, (2, *q.shape[:-1]))
    n_available = avail_actions.sum(-1)
    ordinal = jnp.floor(u[0] * n_available).astype(jnp.int32)
    # the ordinal-th available action is where the running count first exceeds it
    count = jnp.cumsum(avail_actions, -1)
    random = _first(count > ordinal[..., None])
    return jnp.where(u[1] < epsilon, random, greedy(q, avail_actions))


IMPOSSIBLE = -1e30
"""Log probability of an unavailable action: exp makes it exactly 0, and 0 times it is no NaN."""


def possible_actions(avail_actions: Bool[Array, "*B A"]) -> Bool[Array, "*B A"]:
    """The available actions; all where none is available (padding)."""
    return avail_actions | ~avail_actions.any(-1, keepdims=True)


def log_policy(
    logits: Float[Array, "*B A"], avail_actions: Bool[Array, "*B A"]
) -> Float[Array, "*B A"]:
    """log π over the available actions; over all where none is available (padding)."""
    possible = possible_actions(avail_actions)
    log_pi = jax.nn.log_softmax(jnp.where(possible, logits, IMPOSSIBLE))
    return jnp.where(possible, log_pi, IMPOSSIBLE)


def mix_with_uniform(
    log_pi: Float[Array, "*B A"], avail_actions: Bool[Array, "*B A"], epsilon: Float[Array, ""]
) -> Float[Array, "*B A"]:
    """log of (1 − ε) π + ε / n, n the number of available actions."""
    floor = epsilon / jnp.maximum(avail_actions.sum(-1, keepdims=True), 1)
    mixed = jnp.where(avail_actions, (1 - epsilon) * jnp.exp(log_pi) + floor, 1.0)
    # nearly 0 where neither the policy nor the floor leaves anything
    log_mixed = jnp.log(jnp.maximum(mixed, jnp.finfo(mixed.dtype).tiny))
    return jnp.where(avail_actions, log_mixed, log_pi)


def sample_actions(
    key: PRNGKeyArray, log_pi: Float[Array, "*B A"], avail_actions: Bool[Array, "*B A"]
) -> Int[Array, "*B"]:
    """An available action of each agent, drawn from its policy."""
    return greedy(log_pi + jax.random.gumbel(key, log_pi.shape), avail_actions)


def gather_actions(q: Float[Array, "*B A"], actions: Int[Array, "*B"]) -> Float[Array, "*B"]:
    """The value of the action taken, per agent; compared, not indexed, for the gradient's sake."""
    chosen = actions[..., None] == jnp.arange(q.shape[-1], dtype=actions.dtype)
    return jnp.where(chosen, q, 0.0).sum(-1)
