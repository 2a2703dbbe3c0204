"""Teams of heterogeneous agents: rows of different sizes are padded to a common one.

An environment shows all agents in one array, [N, O] of observations and [N, A] of available
actions. If agents observe or can do different things, O and A are the largest of their sizes;
missing observations are zeros and missing actions are unavailable. Agents then need to know which
they are: leave `obs_agent_id` on, unless their observations tell them apart.
"""

from collections.abc import Sequence

from array_api_compat import array_namespace
from jaxtyping import Shaped

from macpo.errors import require
from macpo.types import AnyArray


def padded(
    rows: Sequence[Shaped[AnyArray, " _"]], width: int | None = None
) -> Shaped[AnyArray, "N X"]:
    """One agent's numbers or flags per row, followed by zeros or `False` up to `width`.

    Works on NumPy and JAX arrays; by default the longest row decides the width.
    Raises UsageError for a row that is longer than the width.

    >>> import numpy as np
    >>> padded([np.array([True]), np.array([True, True])]).tolist()
    [[True, False], [True, True]]
    """
    xp = array_namespace(*rows)
    longest = max(row.shape[0] for row in rows)
    width = longest if width is None else width
    require(longest <= width, f"padded: a row of {longest} is longer than the width, {width}.")

    def pad(row: AnyArray) -> AnyArray:
        return xp.concat([row, xp.zeros(width - row.shape[0], dtype=row.dtype)])

    return xp.stack([pad(row) for row in rows])
