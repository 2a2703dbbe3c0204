"""Arrays of NumPy, JAX or torch: their types, and conversions that the array API lacks."""

from typing import Any, TypeAlias

from array_api_compat import is_jax_array, is_torch_array

Array: TypeAlias = Any
"""An array of NumPy, JAX or torch; `Any`, because no static type covers all three."""

Namespace: TypeAlias = Any
"""The functions of an array's library, from `array_api_compat.array_namespace`; a module, which
type checkers cannot describe."""


def at_least_float32(x: Array, xp: Namespace) -> Array:
    """`x` in float32; unchanged if it is a float of 32 bits or more."""
    enough = xp.isdtype(x.dtype, "real floating") and xp.finfo(x.dtype).bits >= 32
    return x if enough else xp.astype(x, xp.float32)


def stop_gradient(x: Array) -> Array:
    """`x` as a constant: no gradient flows through it."""
    if is_jax_array(x):
        import jax

        return jax.lax.stop_gradient(x)
    return x.detach() if is_torch_array(x) else x
