"""Mixers: from the agents' utilities and the global state to one joint value.

All have the signature `(utilities [*B, N], state [*B, S]) -> [*B]`.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from macpo.nets.linear import MLP, Linear
from macpo.types import Key


class SumMixer(eqx.Module):
    """Q_tot is the sum of the utilities.   Source: VDN (Sunehag et al. 2018), Eq. (3)."""

    def __call__(
        self, utilities: Float[Array, "*B N"], state: Float[Array, "*B S"]
    ) -> Float[Array, "*B"]:
        """Σ_i q_i."""
        return utilities.sum(-1)


class MonotonicMixer(eqx.Module):
    """A two-layer mixing network whose non-negative weights are functions of the state.

    Source: QMIX (Rashid et al. 2018), section 4; two-layer hypernetworks as in PyMARL.
    """

    weight_1: MLP
    bias_1: Linear
    weight_2: MLP
    bias_2: MLP

    def __init__(
        self, key: Key, n_agents: int, state_size: int, embed: int, hypernet_embed: int
    ) -> None:
        k1, k2, k3, k4 = jax.random.split(key, 4)
        self.weight_1 = MLP(k1, state_size, hypernet_embed, n_agents * embed)
        self.bias_1 = Linear(k2, state_size, embed)
        self.weight_2 = MLP(k3, state_size, hypernet_embed, embed)
        self.bias_2 = MLP(k4, state_size, embed, 1)

    def __call__(
        self, utilities: Float[Array, "*B N"], state: Float[Array, "*B S"]
    ) -> Float[Array, "*B"]:
        """Non-decreasing in every utility."""
        w1 = jnp.abs(self.weight_1(state))
        w1 = w1.reshape(*utilities.shape, -1)  # [*B, N, embed]
        hidden = jax.nn.elu((utilities[..., None] * w1).sum(-2) + self.bias_1(state))
        w2 = jnp.abs(self.weight_2(state))
        return (hidden * w2).sum(-1) + self.bias_2(state)[..., 0]


class CentralMixer(eqx.Module):
    """An unrestricted feed-forward value of state and utilities: Q*.

    Source: Weighted QMIX (Rashid et al. 2020), appendix; three hidden layers and a state value.
    """

    net: MLP
    value: MLP

    def __init__(self, key: Key, n_agents: int, state_size: int, embed: int) -> None:
        k1, k2 = jax.random.split(key)
        self.net = MLP(k1, state_size + n_agents, embed, embed, embed, 1)
        self.value = MLP(k2, state_size, embed, 1)

    def __call__(
        self, utilities: Float[Array, "*B N"], state: Float[Array, "*B S"]
    ) -> Float[Array, "*B"]:
        """Any function of both."""
        # the first layer in two products: no gradient of the state is computed, then thrown away
        first = self.net.layers[0]
        of_state, of_utilities = jnp.split(first.weight, [state.shape[-1]], -2)
        hidden = state @ of_state + utilities @ of_utilities + first.bias
        return (self.net.after_first(hidden) + self.value(state))[..., 0]
