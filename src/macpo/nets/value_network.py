"""Joint action values: the agents' recurrent network, and a mixer of their utilities."""

from typing import NamedTuple

from jaxtyping import PRNGKeyArray

from macpo.nets.agent import AgentNet, make_agent
from macpo.nets.mixers import CentralMixer, Mixer
from macpo.types import Spec


class ValueNetwork(NamedTuple):
    """A joint action value: the agents' network and the mixer of their utilities."""

    agent: AgentNet
    mixer: Mixer


def central_value(
    spec: Spec, rnn_hidden_dim: int, mixing_embed_dim: int, keys: PRNGKeyArray
) -> ValueNetwork:
    """An unrestricted joint action value, from two keys."""
    agent = make_agent(keys[0], spec, rnn_hidden_dim, spec.n_actions)
    mixer = CentralMixer(keys[1], spec.n_agents, spec.state_size, mixing_embed_dim)
    return ValueNetwork(agent, mixer)
