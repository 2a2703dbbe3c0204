"""Mixers: from the agents' utilities and the global state to one joint value.

A mixer whose `needs` are empty may be called without extras.
"""

from typing import ClassVar, NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from macpo.nets.linear import MLP, Linear
from macpo.nets.precision import matmul


class Extras(NamedTuple):
    """A mixer's inputs besides utilities and state; the optional ones only if it `needs` them.

    Example:
        >>> import jax.numpy as jnp
        >>> Extras(actions=jnp.array([0, 3]), best=jnp.array([1.5, 2.0])).hidden is None
        True
    """

    actions: Int[Array, "*B N"]
    """The joint action that the utilities belong to."""
    best: Float[Array, "*B N"] | None = None
    """The largest utility of each agent's available actions."""
    hidden: Float[Array, "*B N h"] | None = None
    """The agents' recurrent states after the current observation."""


class Mixer(Protocol):
    """From utilities and global state to a joint value.

    Example:
        >>> import jax.numpy as jnp
        >>> from macpo.nets.mixers import SumMixer
        >>> mixer: Mixer = SumMixer()
        >>> mixer(jnp.array([1.0, 2.0]), jnp.zeros(4)).item()
        3.0
    """

    needs: ClassVar[tuple[str, ...]]
    """The optional members of `Extras` that it reads."""

    def __call__(
        self,
        utilities: Float[Array, "*B N"],
        state: Float[Array, "*B S"],
        extras: Extras | None = None,
    ) -> Float[Array, "*B"]:
        """The joint value; [*B, N] where nothing is mixed."""
        ...


class NoMixer(eqx.Module):
    """Every agent on its own: values [*B, N], not [*B].   Source: IQL (Tan 1993)."""

    needs: ClassVar[tuple[str, ...]] = ()

    def __call__(
        self,
        utilities: Float[Array, "*B N"],
        state: Float[Array, "*B S"],
        extras: Extras | None = None,
    ) -> Float[Array, "*B N"]:
        """q_i."""
        return utilities


class SumMixer(eqx.Module):
    """Q_tot is the sum of the utilities.   Source: VDN (Sunehag et al. 2018), Eq. (3)."""

    needs: ClassVar[tuple[str, ...]] = ()

    def __call__(
        self,
        utilities: Float[Array, "*B N"],
        state: Float[Array, "*B S"],
        extras: Extras | None = None,
    ) -> Float[Array, "*B"]:
        """Σ_i q_i."""
        return utilities.sum(-1)


class MonotonicMixer(eqx.Module):
    """A two-layer mixing network whose non-negative weights are functions of the state.

    Source: QMIX (Rashid et al. 2018), section 4; two-layer hypernetworks as in PyMARL.
    """

    needs: ClassVar[tuple[str, ...]] = ()

    weight_1: MLP
    bias_1: Linear
    weight_2: MLP
    bias_2: MLP

    def __init__(
        self, key: PRNGKeyArray, n_agents: int, state_size: int, embed: int, hypernet_embed: int
    ) -> None:
        k1, k2, k3, k4 = jax.random.split(key, 4)
        self.weight_1 = MLP(k1, state_size, hypernet_embed, n_agents * embed)
        self.bias_1 = Linear(k2, state_size, embed)
        self.weight_2 = MLP(k3, state_size, hypernet_embed, embed)
        self.bias_2 = MLP(k4, state_size, embed, 1)

    def __call__(
        self,
        utilities: Float[Array, "*B N"],
        state: Float[Array, "*B S"],
        extras: Extras | None = None,
    ) -> Float[Array, "*B"]:
        """Q_tot, non-decreasing in every utility."""
        w1 = jnp.abs(self.weight_1(state))
        w1 = w1.reshape(*utilities.shape, -1)  # [*B, N, embed]
        hidden = jax.nn.elu((utilities[..., None] * w1).sum(-2) + self.bias_1(state))
        w2 = jnp.abs(self.weight_2(state))
        return (hidden * w2).sum(-1) + self.bias_2(state)[..., 0]


class CentralMixer(eqx.Module):
    """An unrestricted feed-forward value of state and utilities: Q*.

    Source: Weighted QMIX (Rashid et al. 2020), appendix; three hidden layers and a state value.
    """

    needs: ClassVar[tuple[str, ...]] = ()

    net: MLP
    value: MLP

    def __init__(self, key: PRNGKeyArray, n_agents: int, state_size: int, embed: int) -> None:
        k1, k2 = jax.random.split(key)
        self.net = MLP(k1, state_size + n_agents, embed, embed, embed, 1)
        self.value = MLP(k2, state_size, embed, 1)

    def __call__(
        self,
        utilities: Float[Array, "*B N"],
        state: Float[Array, "*B S"],
        extras: Extras | None = None,
    ) -> Float[Array, "*B"]:
        """Q*, which may be any function of both."""
        # the first layer as two products, so that no unused gradient of the state is computed
        first = self.net.layers[0]
        of_state, of_utilities = jnp.split(first.weight, [state.shape[-1]], -2)
        hidden = matmul(state, of_state) + matmul(utilities, of_utilities) + first.bias
        return (self.net.after_first(hidden) + self.value(state))[..., 0]


class PositiveMixer(eqx.Module):
    """Another mixer's joint value, made positive by a softplus."""

    needs: ClassVar[tuple[str, ...]] = ()

    mixer: Mixer

    def __call__(
        self,
        utilities: Float[Array, "*B N"],
        state: Float[Array, "*B S"],
        extras: Extras | None = None,
    ) -> Float[Array, "*B"]:
        """log(1 + exp Q)."""
        return jax.nn.softplus(self.mixer(utilities, state, extras))


class LinearMixer(eqx.Module):
    """Q_tot = Σ_i k_i(s) q_i with k_i ≥ 0 that sum to one.

    Source: DOP (Wang et al. 2021), released code: products of two hypernetworks' outputs.
    """

    weight_1: Linear
    weight_2: Linear
    n_agents: int = eqx.field(static=True)

    def __init__(self, key: PRNGKeyArray, n_agents: int, state_size: int, embed: int) -> None:
        k1, k2 = jax.random.split(key)
        self.weight_1 = Linear(k1, state_size, n_agents * embed)
        self.weight_2 = Linear(k2, state_size, embed)
        self.n_agents = n_agents

    def weights(self, state: Float[Array, "*B S"]) -> Float[Array, "*B N"]:
        """k_i(s)."""
        w1 = jnp.abs(self.weight_1(state)).reshape(*state.shape[:-1], self.n_agents, -1)
        k = (w1 * jnp.abs(self.weight_2(state))[..., None, :]).sum(-1)
        return k / k.sum(-1, keepdims=True)


class Heads(eqx.Module):
    """Several small networks on the same input; their first layers are computed as one product."""

    first: Linear
    after: tuple[MLP, ...]
    """The remaining layers of each head; empty if heads have one layer."""
    n_heads: int = eqx.field(static=True)

    def __init__(self, key: PRNGKeyArray, n_heads: int, in_size: int, *sizes: int) -> None:
        k_first, *keys = jax.random.split(key, n_heads + 1)
        self.first = Linear(k_first, in_size, n_heads * sizes[0])
        self.after = tuple(MLP(k, *sizes) for k in keys) if len(sizes) > 1 else ()
        self.n_heads = n_heads

    def __call__(self, x: Float[Array, "*B i"]) -> Float[Array, "*B K o"]:
        """The output of every head."""
        out = self.first(x).reshape(*x.shape[:-1], self.n_heads, -1)
        if not self.after:
            return out
        hidden = jax.nn.relu(out)
        return jnp.stack([net(hidden[..., k, :]) for k, net in enumerate(self.after)], -2)


class DuelWeights(eqx.Module):
    """λ_i(s, u) > 0: a sum over heads of a key times the agent's share times its action's share.

    Source: QPLEX (Wang et al. 2021), section 4.2; FOP (Zhang et al. 2021) uses the same.
    """

    keys: Heads
    agents: Heads
    actions: Heads
    n_actions: int = eqx.field(static=True)

    def __init__(
        self,
        key: PRNGKeyArray,
        n_agents: int,
        n_actions: int,
        state_size: int,
        n_heads: int,
        *hidden: int,
    ) -> None:
        k1, k2, k3 = jax.random.split(key, 3)
        self.keys = Heads(k1, n_heads, state_size, *hidden, 1)
        self.agents = Heads(k2, n_heads, state_size, *hidden, n_agents)
        joint_size = state_size + n_agents * n_actions
        self.actions = Heads(k3, n_heads, joint_size, *hidden, n_agents)
        self.n_actions = n_actions

    def __call__(
        self, state: Float[Array, "*B S"], actions: Int[Array, "*B N"]
    ) -> Float[Array, "*B N"]:
        """λ of every agent, from the state and the joint action."""
        one_hot = jax.nn.one_hot(actions, self.n_actions).reshape(*state.shape[:-1], -1)
        both = jnp.concatenate([state, one_hot], -1)
        key = jnp.abs(self.keys(state)) + 1e-10
        share = jax.nn.sigmoid(self.agents(state)) * jax.nn.sigmoid(self.actions(both))
        return (key * share).sum(-2)


def duel(
    chosen: Float[Array, "*B N"], best: Float[Array, "*B N"], weights: Float[Array, "*B N"]
) -> Float[Array, "*B"]:
    """Σ_i a_i + Σ_i (λ_i − 1) (a_i − b_i), in which only λ learns from the advantages.

    a are values of the chosen actions, b those of the best ones (QPLEX) or soft values (FOP).
    Source: QPLEX (Wang et al. 2021), Eq. (10); the stop-gradient is that of the released code.
    """
    advantage = jax.lax.stop_gradient(chosen - best)
    return chosen.sum(-1) + ((weights - 1) * advantage).sum(-1)


class DuplexMixer(eqx.Module):
    """The duel of transformed utilities, Q_i = w_i(s) q_i + b_i(s).

    Source: QPLEX (Wang et al. 2021), section 4.2; the released code without Qatten.
    """

    needs: ClassVar[tuple[str, ...]] = ("best",)

    weight: MLP
    bias: MLP
    duel_weights: DuelWeights

    def __init__(
        self,
        key: PRNGKeyArray,
        n_agents: int,
        n_actions: int,
        state_size: int,
        hypernet_embed: int,
        n_heads: int,
        *hidden: int,
    ) -> None:
        k1, k2, k3 = jax.random.split(key, 3)
        self.weight = MLP(k1, state_size, hypernet_embed, n_agents)
        self.bias = MLP(k2, state_size, hypernet_embed, n_agents)
        self.duel_weights = DuelWeights(k3, n_agents, n_actions, state_size, n_heads, *hidden)

    def __call__(
        self,
        utilities: Float[Array, "*B N"],
        state: Float[Array, "*B S"],
        extras: Extras | None = None,
    ) -> Float[Array, "*B"]:
        """Q_tot, largest where every agent takes its best action."""
        assert extras is not None and extras.best is not None
        w, b = jnp.abs(self.weight(state)) + 1e-10, self.bias(state)
        weights = self.duel_weights(state, extras.actions)
        return duel(w * utilities + b, w * extras.best + b, weights)
