"""Where two pytrees differ, in words."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from macpo.types import AnyArray, PyTree


def difference(a: PyTree, b: PyTree, tolerance: float = 0.0) -> str | None:
    """Where and how the first tree differs from the second; None if they are equal.

    NaN equals NaN. The tolerance, relative and absolute, applies to floating-point numbers.
    """
    a, b = jax.tree.map(_to_numpy, a), jax.tree.map(_to_numpy, b)
    if unlike := structure_difference(a, b):
        return unlike
    for (path, x), y in zip(jax.tree.leaves_with_path(a), jax.tree.leaves(b), strict=True):
        unequal = _unequal(x, y, tolerance)
        if unequal.any():
            at = np.unravel_index(int(unequal.argmax()), unequal.shape) if unequal.ndim else ()
            place = f"{jax.tree_util.keystr(path)}{[int(i) for i in at] or ''}"
            return f"{place}: {x[at]!s} instead of {y[at]!s}"
    return None


def structure_difference(a: PyTree, b: PyTree) -> str | None:
    """As `difference`, but of structure, shapes and dtypes only."""
    if jax.tree.structure(a) != jax.tree.structure(b):
        return f"{jax.tree.structure(a)} instead of {jax.tree.structure(b)}"
    for (path, x), y in zip(jax.tree.leaves_with_path(a), jax.tree.leaves(b), strict=True):
        if (x.dtype, x.shape) != (y.dtype, y.shape):
            place = jax.tree_util.keystr(path)
            return f"{place}: {x.dtype}{x.shape} instead of {y.dtype}{y.shape}"
    return None


def _unequal(x: np.ndarray, y: np.ndarray, tolerance: float) -> Bool[np.ndarray, "..."]:
    if tolerance and x.dtype.kind == "f":
        return ~np.isclose(x, y, rtol=tolerance, atol=tolerance, equal_nan=True)
    same = (x == y) | ((x != x) & (y != y))
    return np.asarray(~same)


def _to_numpy(x: AnyArray) -> np.ndarray:
    is_key = isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(x) if is_key else x)
