"""Critics: feed-forward values of states, of joint actions, and of every action of every agent."""

from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from macpo.nets.linear import MLP
from macpo.nets.mixers import Extras
from macpo.nets.precision import matmul


class AgentCritic(eqx.Module):
    """One network for all agents, which reads the global state and an agent's own inputs.

    The agent's index, one-hot, is among the inputs.
    """

    net: MLP
    n_agents: int = eqx.field(static=True)

    def __init__(
        self,
        key: PRNGKeyArray,
        n_agents: int,
        state_size: int,
        own_size: int,
        hidden: Sequence[int],
        n: int,
    ) -> None:
        self.n_agents = n_agents
        self.net = MLP(key, state_size + own_size + n_agents, *hidden, n)

    def __call__(
        self, state: Float[Array, "*B S"], own: Float[Array, "*B N i"]
    ) -> Float[Array, "*B N o"]:
        """The network's outputs for every agent."""
        # the first layer as three products: the state's is the same for all agents
        first = self.net.layers[0]
        sizes = [state.shape[-1], state.shape[-1] + own.shape[-1]]
        of_state, of_own, of_id = jnp.split(first.weight, sizes, -2)
        of_all = matmul(state, of_state)[..., None, :]
        hidden = matmul(own, of_own) + of_all + of_id + first.bias
        return self.net.after_first(hidden)


def counterfactual_inputs(
    state: Float[Array, "*B S"],
    obs: Float[Array, "*B N O"],
    actions: Int[Array, "*B N"],
    last_actions: Int[Array, "*B N"],
    n_actions: int,
) -> tuple[Float[Array, "*B s"], Float[Array, "*B N i"]]:
    """Inputs of COMA's critic: (state and all last actions, own observation and others' actions).

    Source: COMA (Foerster et al. 2018), section 4.
    """
    chosen, before = (jax.nn.one_hot(x, n_actions) for x in (actions, last_actions))
    others = chosen[..., None, :, :] * (1 - jnp.eye(chosen.shape[-2]))[..., None]  # [*B, N, N, A]

    def flat(x: Array) -> Array:
        return x.reshape(*x.shape[:-2], -1)

    shared = jnp.concatenate([state, flat(before)], -1)
    return shared, jnp.concatenate([obs, flat(others)], -1)


def dueling(out: Float[Array, "*B Ap1"]) -> Float[Array, "*B A"]:
    """Q(u) = V + A(u), with V the last output.   Source: DOP (Wang et al. 2021)."""
    return out[..., :-1] + out[..., -1:]


class JointValue(eqx.Module):
    """Q_jt, a function of all agents' recurrent states and actions in place of a mixer, and V_jt.

    Source: QTRAN-base (Son et al. 2019), section 4.1, in the sizes of PyMARL.
    """

    needs: ClassVar[tuple[str, ...]] = ("best", "hidden")

    encoder: MLP
    joint: MLP
    value: MLP
    n_actions: int = eqx.field(static=True)

    def __init__(
        self, key: PRNGKeyArray, n_actions: int, state_size: int, hidden_size: int, embed: int
    ) -> None:
        k1, k2, k3 = jax.random.split(key, 3)
        width = hidden_size + n_actions
        self.encoder = MLP(k1, width, width, width)
        self.joint = MLP(k2, state_size + width, embed, embed, 1)
        self.value = MLP(k3, state_size, embed, embed, 1)
        self.n_actions = n_actions

    def __call__(
        self,
        utilities: Float[Array, "*B N"],
        state: Float[Array, "*B S"],
        extras: Extras | None = None,
    ) -> Float[Array, "*B"]:
        """Q_jt(τ, u), which does not depend on the utilities."""
        assert extras is not None and extras.hidden is not None
        actions = jax.nn.one_hot(extras.actions, self.n_actions)
        encoded = self.encoder(jnp.concatenate([extras.hidden, actions], -1)).sum(-2)
        return self.joint(jnp.concatenate([state, encoded], -1))[..., 0]

    def state_value(self, state: Float[Array, "*B S"]) -> Float[Array, "*B"]:
        """V_jt(τ): what the sum of utilities cannot represent under partial observability."""
        return self.value(state)[..., 0]
