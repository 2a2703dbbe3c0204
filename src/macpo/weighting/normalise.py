"""From log-weights to weights: scale, cap, and degenerate batches."""

import math
from typing import Literal, TypeAlias

from array_api_compat import array_namespace
from jaxtyping import Bool, Float

from macpo.weighting.arrays import Array, Namespace

Normalise: TypeAlias = Literal["mean", "none", "sum", "max", "ema"]
"""`mean`: mean one over valid steps, the paper's E_μ[w] = 1. `none`: raw, as in the released code.
`sum`: they sum to one, for a loss that is a sum. `max`: the largest is one. `ema`: divided by a
running mean of their means, which lets batches differ in weight."""

NonFinite: TypeAlias = Literal["propagate", "zero"]
"""What happens to a valid step whose weight is NaN or infinite: the weight stays, or becomes 0."""


def normalised(
    log_weight: Float[Array, "*B"],
    mask: Bool[Array, "*B"],
    mode: Normalise,
    clip: float,
    running_mean: Float[Array, ""] | float,
    xp: Namespace,
) -> tuple[Float[Array, "*B"], Float[Array, ""]]:
    """(weights, 1 if uniform weights took their place) of log-weights that are −∞ on padding.

    With `clip` > 0 no raw weight exceeds that multiple of their mean. Only `ema` reads
    `running_mean`. Where all weights vanish, every valid step gets the same weight, except in mode
    `none`.
    """
    if mode in ("none", "ema"):
        scaled = xp.exp(log_weight)
    else:
        # These modes do not depend on a common scale. Dividing by the largest weight before the
        # exponential keeps weights comparable that lie far below the smallest float.
        largest = xp.max(log_weight)
        known = xp.isfinite(largest)
        scaled = xp.exp(log_weight - xp.where(known, largest, xp.zeros_like(largest)))
    scaled = capped(scaled, mask, clip, xp)
    n_valid = xp.sum(xp.astype(mask, scaled.dtype))
    total = xp.sum(scaled)  # of valid steps, since exp(−∞) is 0
    vanished = total == 0  # NaN is not zero and stays visible
    if mode == "none":
        return xp.where(mask, scaled, xp.zeros_like(scaled)), xp.zeros_like(total)
    one = xp.ones_like(total)
    uniform = one
    if mode == "mean":
        factor = n_valid / xp.where(vanished, one, total)
    elif mode == "sum":
        uniform = one / xp.where(n_valid > 0, n_valid, one)
        factor = one / xp.where(vanished, one, total)
    elif mode == "max":
        factor = one / xp.where(vanished, one, xp.max(scaled))
    else:
        factor = one / xp.where(running_mean == 0, one, running_mean)
    vanished = xp.astype(vanished, scaled.dtype)
    weights = scaled * factor + uniform * vanished
    fallback = vanished * xp.astype(n_valid > 0, scaled.dtype)
    return xp.where(mask, weights, xp.zeros_like(weights)), fallback


def is_nonfinite(log_weight: Float[Array, "*B"], xp: Namespace) -> Bool[Array, "*B"]:
    """Whether a weight is NaN or infinite; one of 0, whose log is −∞, is not."""
    return xp.isnan(log_weight) | (log_weight == math.inf)


def capped(
    weights: Float[Array, "*B"], mask: Bool[Array, "*B"], clip: float, xp: Namespace
) -> Float[Array, "*B"]:
    """Weights of at most `clip` times their mean; unchanged if `clip` is 0."""
    return weights if clip <= 0 else xp.minimum(weights, clip * masked_mean(weights, mask))


def masked_mean(x: Float[Array, "*B"], mask: Bool[Array, "*B"]) -> Float[Array, ""]:
    """Mean over the valid entries, whatever the others hold; 0 if none is valid."""
    xp = array_namespace(x, mask)
    n_valid = xp.sum(xp.astype(mask, x.dtype))
    total = xp.sum(xp.where(mask, x, xp.zeros_like(x)))
    return total / xp.where(n_valid > 0, n_valid, xp.ones_like(n_valid))
