"""The agents' shared recurrent network.

Why not Equinox's GRU cell: it has one bias for the gates r and z where PyTorch has two, whose sum
an optimiser moves twice as far, so no update could match the published learner's. And it does not
return its gates, which the hand-written gradient (`kernels.unroll`) computes again.

Source: the agent of the PyMARL family: dense 64, ReLU, GRU 64, dense A.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num, PRNGKeyArray

from macpo.nets.linear import Linear, fan_in_uniform
from macpo.nets.precision import matmul
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
        return self.step(self.from_input(x), h)

    def step(self, from_input: Float[Array, "*R gates"], h: Float[Array, "*R h"]) -> Array:
        """The next recurrent state, given the gates' part from the input."""
        _, z, n, _ = self.gates_of(from_input, h)
        return (1 - z) * n + z * h

    def gates(self, x: Float[Array, "*R i"], h: Float[Array, "*R h"]) -> tuple[Array, ...]:
        """(reset, update, candidate, the candidate's recurrent part), each [*R, h]."""
        return self.gates_of(self.from_input(x), h)

    def from_input(self, x: Float[Array, "*R i"]) -> Float[Array, "*R gates"]:
        """The part of the gates that does not wait for the recurrent state."""
        return matmul(x, self.weight_x) + self.bias_x

    def gates_of(
        self, from_input: Float[Array, "*R gates"], h: Float[Array, "*R h"]
    ) -> tuple[Array, ...]:
        """`gates`, given their part from the input."""
        from_h = matmul(h, self.weight_h) + self.bias_h
        xr, xz, xn = jnp.split(from_input, 3, -1)
        hr, hz, hn = jnp.split(from_h, 3, -1)
        r, z = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xz + hz)
        return r, z, jnp.tanh(xn + r * hn), hn


class AgentNet(eqx.Module):
    """Utilities of all actions, from an agent's own history.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> net = AgentNet(jax.random.key(0), in_size=10, hidden_size=64, out_size=5)
        >>> hidden, utilities = net(jnp.ones((8, 10)), jnp.zeros((8, net.hidden_size)))
        >>> utilities.shape
        (8, 5)
    """

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


def make_agent(key: PRNGKeyArray, spec: Spec, hidden_size: int, n_outputs: int) -> AgentNet:
    """The agents' recurrent network with `n_outputs` outputs for each agent."""
    return AgentNet(key, agent_input_size(spec), hidden_size, n_outputs)


def initial_hidden(spec: Spec, hidden_size: int, n_envs: int) -> Float[Array, "B N h"]:
    """The agents' recurrent states at the start of an episode: zeros."""
    return jnp.zeros((n_envs, spec.n_agents, hidden_size))


def agent_inputs(
    spec: Spec, obs: Num[Array, "*B N O"], last_action: Int[Array, "*B N"]
) -> Float[Array, "*B N i"]:
    """The network's input: observation, own last action (negative for none) and own id."""
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
    rows = x.shape[:-1]  # merged into one axis: XLA multiplies matrices faster than stacks of them
    hidden, out = net(x.reshape(-1, x.shape[-1]), hidden.reshape(-1, hidden.shape[-1]))
    return hidden.reshape(*rows, -1), out.reshape(*rows, -1)
