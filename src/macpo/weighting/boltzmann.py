"""How probable the stored actions are now, and the loss that weights go into."""

import math
from typing import Any, Literal

from array_api_compat import array_namespace

from macpo.errors import require
from macpo.weighting.signals import wide


def taken_probs(
    utilities: Any,
    actions: Any,
    avail_actions: Any = None,
    temperature: float = 1.0,
    include_unavailable: bool = False,
) -> Any:
    """Boltzmann probability [*B] of the action taken, π_i(u_i) ∝ exp(q_i(u_i)/temperature).

    `utilities` and `avail_actions` are [*B, A], `actions` whole numbers [*B] or [*B, 1] (as PyMARL
    keeps them). Unavailable actions get no mass, so an agent with one action left (a dead one) has
    π = 1 and drops out of every product; where nothing is available (padding) all actions count.
    `include_unavailable` is the released MAC-PO code, which ranges over all actions. Give the
    utilities as the network made them, not with −10⁷ written over unavailable ones.

    Source: MAC-PO, section 4.1 and Eq. (6).
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
    logits = wide(utilities, xp) / temperature
    if avail_actions is not None and not include_unavailable:
        available = avail_actions != 0
        nothing = ~xp.any(available, axis=-1)[..., None]
        logits = xp.where(available | nothing, logits, xp.full_like(logits, -math.inf))
    mass = xp.exp(logits - xp.max(logits, axis=-1)[..., None])
    numbers = xp.arange(n_actions, dtype=actions.dtype, **_device_of(utilities))
    # compared, not indexed: for the compilers' sake, and a number out of range has no probability
    chosen = actions[..., None] == numbers
    return xp.sum(xp.where(chosen, mass, xp.zeros_like(mass)), axis=-1) / xp.sum(mass, axis=-1)


def weighted_loss(
    loss: Any, weights: Any, mask: Any, reduction: Literal["mean", "sum"] = "mean"
) -> Any:
    """Σ w · loss / Σ mask over valid steps, whatever padding holds; `sum` leaves out the division.

    Steps of weight zero contribute exactly nothing. `weights` and `mask` are [B, T] (or broadcast
    to the shape of `loss`).
    """
    xp = array_namespace(loss, weights, mask)
    for name, x in (("weights", weights), ("mask", mask)):
        pairs = zip(reversed(x.shape), reversed(loss.shape), strict=False)
        require(
            x.ndim <= loss.ndim and all(n in (1, of_loss) for n, of_loss in pairs),
            f"weighted_loss: {name} have shape {tuple(x.shape)}, which does not broadcast to "
            f"the shape {tuple(loss.shape)} of the loss.",
        )
    counts = (mask != 0) & (weights != 0)
    total = xp.sum(xp.where(counts, weights * loss, xp.zeros_like(loss)))
    if reduction == "sum":
        return total
    n_valid = xp.sum(xp.astype(mask != 0, loss.dtype))
    return total / xp.where(n_valid > 0, n_valid, xp.ones_like(n_valid))


def _device_of(x: Any) -> dict[str, Any]:
    """torch makes new arrays on the CPU unless told otherwise."""
    return {"device": x.device} if type(x).__module__.startswith("torch") else {}
