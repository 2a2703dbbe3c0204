"""Masked means and errors."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from macpo.weighting.loss import weighted_loss
from macpo.weighting.normalise import masked_mean

__all__ = ["masked_mean", "weighted_squared_error"]


def weighted_squared_error(
    error: Float[Array, "*B"],
    weight: Float[Array, "*B"],
    mask: Bool[Array, "*B"],
    reduction: Literal["mean", "sum"] = "mean",
) -> Float[Array, ""]:
    """Σ w δ² / Σ mask: the weights shape the loss, the number of valid steps scales it.

    With `sum` the weights scale it themselves. Steps of weight zero contribute nothing, not even
    where their error is NaN.
    """
    error = jnp.where(mask & (weight != 0), error, 0.0)  # before the square: 0 · NaN is NaN
    return weighted_loss(jnp.square(error), weight, mask, reduction)
