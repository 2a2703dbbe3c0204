"""Teams of unlike agents: what differs in size is padded, and what an agent lacks is unavailable.

An environment shows all agents in one array, [N, O] of observations and [N, A] of available
actions. Where agents see or can do different things, O and A are those of the agent that sees or
can do most. Agents then need to know which they are: leave `obs_agent_id` on, unless their
observations tell them apart.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Shaped


def padded(rows: Sequence[Shaped[Array, " _"]]) -> Shaped[Array, "N X"]:
    """One agent's numbers or flags a row, followed by zeros or `False` up to the longest.

    >>> padded([jnp.array([True]), jnp.array([True, True])]).tolist()
    [[True, False], [True, True]]
    """
    width = max(row.shape[0] for row in rows)
    return jnp.stack([jnp.pad(row, (0, width - row.shape[0])) for row in rows])
