"""Networks: the agents' recurrent network, mixers, critics, and how actions are chosen.

The names that a custom algorithm needs can be imported from here; each is loaded on first use.
"""

from typing import TYPE_CHECKING

from macpo.lazy import lazy_names

if TYPE_CHECKING:
    from macpo.nets.agent import AgentNet
    from macpo.nets.linear import MLP, Linear
    from macpo.nets.mixers import Extras, Mixer

__all__ = ["MLP", "AgentNet", "Extras", "Linear", "Mixer"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "MLP": "macpo.nets.linear",
        "AgentNet": "macpo.nets.agent",
        "Extras": "macpo.nets.mixers",
        "Linear": "macpo.nets.linear",
        "Mixer": "macpo.nets.mixers",
    },
)
