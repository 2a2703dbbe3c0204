"""Masked means and errors."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from macpo.weighting import normalise
from macpo.weighting.boltzmann import weighted_loss


def masked_mean(x: Float[Array, "*B"], mask: Bool[Array, "*B"]) -> Float[Array, ""]:
    """Mean over the valid entries, whatever the others hold; 0 where none is valid."""
    return normalise.masked_mean(x, mask, jnp)


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
