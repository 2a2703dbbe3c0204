"""Masked means and errors."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def masked_mean(x: Float[Array, "*B"], mask: Bool[Array, "*B"]) -> Float[Array, ""]:
    """Mean over the valid entries, whatever the others hold; 0 where none is valid."""
    return jnp.where(mask, x, 0.0).sum() / jnp.maximum(mask.sum(), 1)


def weighted_squared_error(
    error: Float[Array, "B T"], weight: Float[Array, "B T"], mask: Bool[Array, "B T"]
) -> Float[Array, ""]:
    """Σ w δ² / Σ mask: the weights shape the loss, the number of valid steps scales it."""
    return masked_mean(weight * jnp.square(jnp.where(mask, error, 0.0)), mask)
