"""Critics: feed-forward values of states, and of every action of every agent."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from macpo.nets.linear import MLP
from macpo.types import Key


class AgentCritic(eqx.Module):
    """Each agent's outputs from the global state and from inputs of its own, one network for all.

    The number of the agent is among its inputs.
    """

    net: MLP
    n_agents: int = eqx.field(static=True)

    def __init__(
        self, key: Key, n_agents: int, state_size: int, own_size: int, hidden: Sequence[int], n: int
    ) -> None:
        self.n_agents = n_agents
        self.net = MLP(key, state_size + own_size + n_agents, *hidden, n)

    def __call__(
        self, state: Float[Array, "*B S"], own: Float[Array, "*B N i"]
    ) -> Float[Array, "*B N o"]:
        """What the network puts out for every agent."""
        # the first layer in three products: the state's is the same for all agents
        first = self.net.layers[0]
        sizes = [state.shape[-1], state.shape[-1] + own.shape[-1]]
        of_state, of_own, of_id = jnp.split(first.weight, sizes, -2)
        hidden = own @ of_own + (state @ of_state)[..., None, :] + of_id + first.bias
        return self.net.after_first(hidden)


def dueling(out: Float[Array, "*B Ap1"]) -> Float[Array, "*B A"]:
    """Q(u) = V + A(u), with V the last output.   Source: DOP (Wang et al. 2021)."""
    return out[..., :-1] + out[..., -1:]
