"""One row of an array, at an index that is known to be one.

`x[i]` and `x.at[i].set(row)` count negative indices from the end, for which they trace, lower and
compile three operations for each axis of x.
"""

import jax
from jaxtyping import Array, Int, Shaped


def row(x: Shaped[Array, "n *rest"], i: Int[Array, ""] | int) -> Shaped[Array, "*rest"]:
    """`x[i]`, for 0 ≤ i < n.

    >>> import jax.numpy as jnp
    >>> row(jnp.array([3, 5, 8]), 1)
    Array(5, dtype=int32)
    """
    return jax.lax.dynamic_index_in_dim(x, i, keepdims=False, allow_negative_indices=False)


def with_row(
    x: Shaped[Array, "n *rest"], new: Shaped[Array, "*rest"], i: Int[Array, ""] | int
) -> Shaped[Array, "n *rest"]:
    """`x.at[i].set(new)`, for 0 ≤ i < n.

    >>> import jax.numpy as jnp
    >>> with_row(jnp.array([3, 5, 8]), jnp.array(0), 1)
    Array([3, 0, 8], dtype=int32)
    """
    return jax.lax.dynamic_update_index_in_dim(x, new, i, 0, allow_negative_indices=False)
