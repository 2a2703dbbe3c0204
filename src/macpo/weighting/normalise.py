"""From log-weights to weights: the scale, a cap, and what happens to degenerate batches."""

from typing import Any, Literal, TypeAlias

Normalise: TypeAlias = Literal["mean", "none", "sum", "max", "ema"]
"""`mean`: mean one over valid steps, the paper's E_μ[w] = 1. `none`: raw, as in the released code.
`sum`: they sum to one, for a loss that is a sum. `max`: the largest is one. `ema`: divided by a
running mean of their means, which lets batches differ in weight."""

NonFinite: TypeAlias = Literal["propagate", "zero"]
"""What becomes of a valid step whose weight is NaN or infinite: it stays visible, or is dropped."""


def normalised(
    log_weight: Any, mask: Any, mode: Normalise, clip: float, running_mean: Any, xp: Any
) -> tuple[Any, Any]:
    """(weights, whether uniform ones took their place) from log-weights, −∞ on padding.

    With `clip` > 0 no raw weight counts more than so many times their mean. `running_mean` is read
    for `ema` alone. Where all weights vanish, every valid step counts the same, unless `none`.
    """
    if mode in ("none", "ema"):
        scaled = xp.exp(log_weight)
    else:
        # relative weights are the same at any common scale: divide by the largest before
        # exponentiating, so that weights far below the smallest float still compare
        largest = xp.max(log_weight)
        known = xp.isfinite(largest)
        scaled = xp.exp(log_weight - xp.where(known, largest, xp.zeros_like(largest)))
    scaled = capped(scaled, mask, clip, xp)
    n_valid = xp.sum(xp.astype(mask, scaled.dtype))
    total = xp.sum(scaled)  # of valid steps, for exp(−∞) is 0
    vanished = total == 0  # NaN counts as non-zero and stays visible
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
    happened = vanished * xp.astype(n_valid > 0, scaled.dtype)
    return xp.where(mask, weights, xp.zeros_like(weights)), happened


def capped(weights: Any, mask: Any, clip: float, xp: Any) -> Any:
    """No weight above `clip` times their mean; 0 or less: as they are."""
    return weights if clip <= 0 else xp.minimum(weights, clip * masked_mean(weights, mask, xp))


def masked_mean(x: Any, mask: Any, xp: Any) -> Any:
    """Mean over valid entries; 0 where there is none."""
    n_valid = xp.sum(xp.astype(mask, x.dtype))
    total = xp.sum(xp.where(mask, x, xp.zeros_like(x)))
    return total / xp.where(n_valid > 0, n_valid, xp.ones_like(n_valid))
