"""The replay buffer and its priorities. A name is imported when it is first used."""

from typing import TYPE_CHECKING

from macpo.lazy import lazy_names

if TYPE_CHECKING:
    from macpo.replay.buffer import ReplayBuffer
    from macpo.replay.priority import Priorities, Replay

__all__ = ["Priorities", "Replay", "ReplayBuffer"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Priorities": "macpo.replay.priority",
        "Replay": "macpo.replay.priority",
        "ReplayBuffer": "macpo.replay.buffer",
    },
)
