"""The auxiliary networks of a learner: which it needs, and how they start and learn.

| network | signals | learns | optimiser |
|---|---|---|---|
| central critic Q* | `q_star`, `q_star_greedy` | the learner's targets | the learner's |
| error network Δ, its target | `error_estimate`, `next_error_estimate` | accumulated errors | own |
| density ratio z | `log_density_ratio` | recent play from replay | own |

A further one is a module with an `AuxiliaryNetwork`, an entry in `auxiliary_networks`, and a key.
"""

import functools
from collections.abc import Collection
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PRNGKeyArray

from macpo.envs.base import Environment
from macpo.learners.auxiliary_network import AuxiliaryNetwork, AuxiliaryNetworks
from macpo.learners.base import RecentEpisodes
from macpo.learners.central_critic import CentralCritic
from macpo.learners.density_ratio import DensityRatio
from macpo.learners.error_network import ErrorNetwork
from macpo.learners.hyperparameters import optimiser_step

N_KEYS = 4
"""Random keys of all auxiliary networks; each has its own, whichever others there are."""
RECENT_SHARE = 20
"""The newest 1/20 of a full replay buffer counts as recent play."""


def auxiliary_networks(
    needs: Collection[str], env: Environment, central_critic: CentralCritic, gamma: float
) -> tuple[AuxiliaryNetwork, ...]:
    """The networks whose signal is needed."""
    networks: dict[str, AuxiliaryNetwork] = {
        "q_star": central_critic,
        "next_error_estimate": ErrorNetwork(central_critic.make_value, gamma),
        "log_density_ratio": DensityRatio(env),
    }
    return tuple(network for signal, network in networks.items() if signal in needs)


@dataclass(frozen=True)
class Auxiliary:
    """The auxiliary networks of a learner."""

    networks: tuple[AuxiliaryNetwork, ...]
    optimiser: optax.GradientTransformation | None = None
    """Of networks without one of their own; None: the learner trains them with its own."""

    @functools.cached_property
    def optimisers(self) -> dict[str, optax.GradientTransformation]:
        """The optimisers of all but those that the learner trains with its own."""
        found = {network.name: network.optimiser or self.optimiser for network in self.networks}
        return {name: optimiser for name, optimiser in found.items() if optimiser is not None}

    def init(self, keys: PRNGKeyArray) -> AuxiliaryNetworks:
        """Fresh networks from `N_KEYS` keys."""
        return {network.name: network.init(keys) for network in self.networks}

    def init_targets(self, params: AuxiliaryNetworks) -> AuxiliaryNetworks:
        """Copies of those that a target network follows."""
        followed = (network.name for network in self.networks if network.target_rate > 0)
        return {name: jax.tree.map(jnp.copy, params[name]) for name in followed}

    def init_optimisers(self, params: AuxiliaryNetworks) -> dict[str, optax.OptState]:
        """The states of `optimisers`."""
        return {name: opt.init(params[name]) for name, opt in self.optimisers.items()}

    def shared(self, params: AuxiliaryNetworks) -> AuxiliaryNetworks:
        """Those that the learner trains with its own optimiser."""
        return {name: net for name, net in params.items() if name not in self.optimisers}

    def recent_episodes(self, batch_size: int, buffer_size: int) -> RecentEpisodes | None:
        """For a density ratio: a batch drawn from the newest twentieth of the buffer."""
        if not any(isinstance(network, DensityRatio) for network in self.networks):
            return None
        return RecentEpisodes(batch_size, max(buffer_size // RECENT_SHARE, batch_size))

    def apply_gradients(
        self,
        grads: AuxiliaryNetworks,
        opt_states: dict[str, optax.OptState],
        params: AuxiliaryNetworks,
        targets: AuxiliaryNetworks,
    ) -> tuple[AuxiliaryNetworks, AuxiliaryNetworks, dict[str, optax.OptState]]:
        """(networks, targets, optimiser states) after a step of `optimisers` and of the targets."""
        params, targets, opt_states = dict(params), dict(targets), dict(opt_states)
        for name, optimiser in self.optimisers.items():
            params[name], opt_states[name] = optimiser_step(
                optimiser, grads[name], opt_states[name], params[name]
            )
        for network in self.networks:
            if network.target_rate > 0:
                name, rate = network.name, network.target_rate
                targets[name] = optax.incremental_update(params[name], targets[name], rate)
        return params, targets, opt_states
