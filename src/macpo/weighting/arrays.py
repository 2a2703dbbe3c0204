"""Arrays of NumPy, JAX or torch: their types, and conversions that the array API lacks."""

from collections.abc import Callable
from typing import Any, TypeAlias

from array_api_compat import array_namespace, is_jax_array, is_torch_array

from macpo.errors import require

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


def as_flags(x: Array, what: str) -> Array:
    """Booleans, given as such or as 0 and 1; UsageError that names `what` for other numbers.

    A mask that is added to logits, of 0 and −∞, would otherwise be read as its opposite.
    """
    require(
        not holds_somewhere(lambda x: (x != 0) & (x != 1), x),
        f"{what} holds numbers other than 0 and 1; give booleans, or 1 for true and 0 for false "
        "(of a mask of 0 and -inf, to be added to logits, give mask == 0).",
    )
    return x != 0


def holds_somewhere(condition: Callable[..., Array], *arrays: Array) -> bool:
    """Whether a condition holds for an entry; False if JAX or torch only traces the arrays."""
    found = array_namespace(*arrays).any(condition(*arrays))
    # inside jit, what is computed from known arrays is traced as well
    if any(is_jax_array(x) and _is_traced(x) for x in (*arrays, found)):
        return False
    if not is_torch_array(found):
        return bool(found)
    import torch  # pyright: ignore[reportMissingImports]

    try:
        return not torch.compiler.is_compiling() and bool(found)
    except RuntimeError:  # under torch.vmap no number can be looked at
        return False


def _is_traced(x: Array) -> bool:
    from jax.core import Tracer

    return isinstance(x, Tracer)
