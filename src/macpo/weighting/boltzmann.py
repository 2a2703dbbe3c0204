"""Boltzmann policies: the current probabilities of stored actions."""

import math

from array_api_compat import array_namespace, is_torch_array
from jaxtyping import Bool, Float, Int

from macpo.errors import require
from macpo.weighting.arrays import Array, as_flags, at_least_float32


def taken_probs(
    utilities: Float[Array, "*B A"],
    actions: Int[Array, "*B"],
    avail_actions: Bool[Array, "*B A"] | None = None,
    temperature: float = 1.0,
    include_unavailable: bool = False,
) -> Float[Array, "*B"]:
    """Boltzmann probability of the action taken, π_i(u_i) ∝ exp(q_i(u_i)/temperature).

    `actions` are whole numbers [*B], or [*B, 1] as in PyMARL. Unavailable actions have probability
    zero, so an agent with one action left (a dead one) has π = 1 and drops out of every product.
    Where no action is available (padding), all actions count. `include_unavailable` ranges over all
    actions everywhere, as in the released MAC-PO code. Pass the utilities as the network returns
    them, without −10⁷ at unavailable actions.

    Raises UsageError if the shapes do not match, if the temperature is not positive, or if
    `avail_actions` holds numbers other than 0 and 1.

    Source: MAC-PO, section 4.1 and Eq. (6).

    >>> import numpy as np
    >>> utilities, avail_actions = np.zeros((2, 3)), np.array([[1, 1, 0], [0, 0, 1]])
    >>> taken_probs(utilities, np.array([0, 2]), avail_actions)
    array([0.5, 1. ])
    """
    given = [x for x in (utilities, actions, avail_actions) if x is not None]
    xp = array_namespace(*given)
    *batch, n_actions = utilities.shape
    if tuple(actions.shape) == (*batch, 1):
        actions = actions[..., 0]
    require(
        tuple(actions.shape) == tuple(batch),
        f"taken_probs: actions have shape {tuple(actions.shape)} but utilities "
        f"{tuple(utilities.shape)}; give one whole number for each row of utilities.",
    )
    require(
        avail_actions is None or avail_actions.shape == utilities.shape,
        f"taken_probs: avail_actions must have the shape {tuple(utilities.shape)} of utilities.",
    )
    require(temperature > 0, f"taken_probs: temperature must be positive, not {temperature}.")
    logits = at_least_float32(utilities, xp) / temperature
    if avail_actions is not None and not include_unavailable:
        available = as_flags(avail_actions, "taken_probs: avail_actions")
        nothing = ~xp.any(available, axis=-1)[..., None]
        logits = xp.where(available | nothing, logits, xp.full_like(logits, -math.inf))
    mass = xp.exp(logits - xp.max(logits, axis=-1)[..., None])
    numbers = xp.arange(n_actions, dtype=actions.dtype, **_device_of(utilities))
    # Compared rather than indexed: it compiles better, and numbers out of range get probability 0.
    chosen = actions[..., None] == numbers
    return xp.sum(xp.where(chosen, mass, xp.zeros_like(mass)), axis=-1) / xp.sum(mass, axis=-1)


def _device_of(x: Array) -> dict[str, object]:
    """The device argument for new arrays: torch alone puts them on the CPU by default."""
    return {"device": x.device} if is_torch_array(x) else {}
