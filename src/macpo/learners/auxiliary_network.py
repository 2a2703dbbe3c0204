"""What an auxiliary network is, and the values of a learner's auxiliary networks in every state.

A weighting may need networks besides the algorithm's own. Each has a module with one class, an
`AuxiliaryNetwork`, and an entry in `auxiliary`. It values the joint actions taken; its target
network, if it has one, the greedy joint actions. No gradient passes between these networks and the
algorithm's.
"""

from functools import partial
from typing import ClassVar, NamedTuple, Protocol, TypeAlias

import jax
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from macpo.envs.base import Environment
from macpo.kernels.chunked import map_states
from macpo.kernels.packing import pack, unpack
from macpo.learners.episodes import PackedEpisodes, decode_rows, pack_episodes, unroll_agents
from macpo.learners.losses import LossTerm
from macpo.nets.action_selection import gather_actions
from macpo.nets.mixers import Extras, Mixer
from macpo.nets.value_network import ValueNetwork
from macpo.types import Episodes, PyTree, Spec

AuxiliaryNetworks: TypeAlias = dict[str, PyTree]
"""By name, each a `ValueNetwork`, or a `Mixer` alone that reads state and actions themselves."""


class AuxiliaryNetwork(LossTerm, Protocol):
    """How a network that a weighting needs starts and learns, and which signals it supplies."""

    optimiser: ClassVar[optax.GradientTransformation | None]
    """An optimiser of its own, or None for the learner's."""

    @property
    def target_rate(self) -> float:
        """Step size with which a target network follows it; 0: there is none."""
        ...

    def init(self, keys: PRNGKeyArray) -> ValueNetwork | Mixer:
        """A fresh network; of the keys of all auxiliary networks, it uses only its own."""
        ...


class AuxiliaryValues(NamedTuple):
    """The values of one network in every state, [B, T+1] once unpacked."""

    taken: Float[Array, "B Tp1"]
    """Of the actions taken."""
    greedy: Float[Array, "B Tp1"] | None = None
    """Of the greedy actions, by the target network."""


def auxiliary_values(
    env: Environment,
    networks: tuple[AuxiliaryNetworks, AuxiliaryNetworks],
    batch: tuple[Episodes, Int[Array, "B Tp1 N"]],
) -> dict[str, AuxiliaryValues]:
    """Values of (networks, target networks) in every state of (episodes, greedy actions)."""
    (nets, targets), (episodes, greedy) = networks, batch
    packed = pack_episodes(env, episodes)
    greedy = pack(packed.packing, greedy)
    online = utilities(env.spec, nets, packed, packed.actions)
    target = jax.lax.stop_gradient(utilities(env.spec, targets, packed, greedy))

    def mix_rows(mixers: PyTree, targets: PyTree, online: PyTree, context: PyTree) -> PyTree:
        encoded_state, taken, greedy, target = context
        state = decode_rows(env, encoded_state).state
        of_greedy = mix(mixers_of(targets), target, state, greedy)
        return paired(mix(mixers, online, state, taken), of_greedy)

    context = packed.encoded_state, packed.actions, greedy, target
    values = map_states(mix_rows, mixers_of(nets), targets, online, context, packed.packing)
    return jax.tree.map(partial(unpack, packed.packing), values)


def utilities(
    spec: Spec, networks: AuxiliaryNetworks, packed: PackedEpisodes, actions: Int[Array, "S L N"]
) -> dict[str, Float[Array, "S L N"]]:
    """The agents' utilities of these actions, in every network that has them."""
    return {
        name: gather_actions(unroll_agents(spec, net.agent, packed), actions)
        for name, net in networks.items()
        if isinstance(net, ValueNetwork)
    }


def mixers_of(networks: AuxiliaryNetworks) -> dict[str, Mixer]:
    """The parts of these networks that read the global state."""
    return {
        name: net.mixer if isinstance(net, ValueNetwork) else net for name, net in networks.items()
    }


def mix(
    mixers: dict[str, Mixer],
    utilities: PyTree,
    state: Float[Array, "R S"],
    actions: Int[Array, "R N"],
) -> dict[str, Float[Array, " R"]]:
    """The values of these actions in a chunk of states."""
    return {
        name: mixer(utilities.get(name), state, Extras(actions)) for name, mixer in mixers.items()
    }


def paired(taken: dict[str, Array], greedy: dict[str, Array]) -> dict[str, AuxiliaryValues]:
    """Both values of every network."""
    return {name: AuxiliaryValues(value, greedy.get(name)) for name, value in taken.items()}
