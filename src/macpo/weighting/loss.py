"""The loss that weights enter."""

from typing import Literal

from array_api_compat import array_namespace
from jaxtyping import Bool, Float

from macpo.errors import require
from macpo.weighting.arrays import Array, as_flags


def weighted_loss(
    loss: Float[Array, "*B"],
    weights: Float[Array, "*B"],
    mask: Bool[Array, "*B"],
    reduction: Literal["mean", "sum"] = "mean",
) -> Float[Array, ""]:
    """Σ w · loss / Σ mask over valid steps, whatever padding holds; `sum` does not divide.

    Steps of weight zero contribute exactly nothing, even if their loss is NaN. `weights` and `mask`
    have the shape of `loss`, or broadcast to it.

    Raises UsageError if they do not, or if the mask holds numbers other than 0 and 1.

    >>> import numpy as np
    >>> loss, weights = np.array([1.0, 2.0, 9.0]), np.array([0.5, 1.5, 1.0])
    >>> float(weighted_loss(loss, weights, mask=np.array([1, 1, 0])))
    1.75
    """
    xp = array_namespace(loss, weights, mask)
    for name, x in (("weights", weights), ("mask", mask)):
        pairs = zip(reversed(x.shape), reversed(loss.shape), strict=False)
        require(
            x.ndim <= loss.ndim and all(n in (1, of_loss) for n, of_loss in pairs),
            f"weighted_loss: {name} have shape {tuple(x.shape)}, which does not broadcast to "
            f"the shape {tuple(loss.shape)} of the loss.",
        )
    valid = as_flags(mask, "weighted_loss: mask")
    counts = valid & (weights != 0)
    total = xp.sum(xp.where(counts, weights * loss, xp.zeros_like(loss)))
    if reduction == "sum":
        return total
    n_valid = xp.sum(xp.astype(valid, loss.dtype))
    return total / xp.where(n_valid > 0, n_valid, xp.ones_like(n_valid))
