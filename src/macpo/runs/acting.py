"""How a trained policy acts, in words and numbers that readers without macpo understand.

They lie in the metadata of `model.safetensors` (docs/networks.md).
"""

from typing import NamedTuple

from macpo.field_types import JsonObject
from macpo.learners.actor_critic import ActorCriticLearner
from macpo.learners.base import Algorithm
from macpo.learners.value_based import ValueBasedLearner

_AXES = {
    "embed.weight": ("input", "hidden"),
    "embed.bias": ("hidden",),
    "cell.weight_x": ("hidden", "gates"),
    "cell.weight_h": ("hidden", "gates"),
    "cell.bias_x": ("gates",),
    "cell.bias_h": ("gates",),
    "head.weight": ("hidden", "output"),
    "head.bias": ("output",),
}
"""Of the arrays of `macpo.nets.agent.AgentNet`."""
GATES = ("reset", "update", "candidate")
"""In this order along the axis of gates."""


class Acting(NamedTuple):
    """The greedy policy of all agents: the action with the largest output, of those available."""

    network: str
    """With what the names of its arrays begin."""
    outputs: str
    """What its first A outputs are; further ones do not act."""
    n_agents: int
    n_actions: int
    obs_size: int
    obs_last_action: bool
    """Whether the last action, one-hot, follows the observation in the network's input."""
    obs_agent_id: bool
    """Whether the agent's index, one-hot, is the end of the network's input."""
    hidden_size: int
    utility_clamp: tuple[float, float] | None
    """Bounds of the outputs, which can make them equal."""

    def explained(self) -> JsonObject:
        """As JSON, with the names of all axes."""
        axes = {f"{self.network}.{name}": ["seed", *axes] for name, axes in _AXES.items()}
        return {**self._asdict(), "gates": GATES, "axes": axes}


def acting_of(algorithm: Algorithm) -> Acting | None:
    """How an algorithm acts; None if it does so in a way of its own, which nobody here knows."""
    family = ValueBasedLearner if isinstance(algorithm, ValueBasedLearner) else ActorCriticLearner
    if not isinstance(algorithm, family) or type(algorithm).act is not family.act:
        return None
    if isinstance(algorithm, ValueBasedLearner):
        network, outputs, clamp = "value.agent", "utilities", algorithm.config.utility_clamp
    else:
        network, outputs, clamp = "actor", "logits of the policy", None
    spec = algorithm.spec
    return Acting(
        network,
        outputs,
        spec.n_agents,
        spec.n_actions,
        spec.obs_size,
        spec.obs_last_action,
        spec.obs_agent_id,
        algorithm.config.rnn_hidden_dim,
        clamp,
    )
