"""The precision of networks' matrix products: float32, or bfloat16 with sums in float32.

What is multiplied is rounded to bfloat16 (8 bits of mantissa) before each product, forwards and
backwards; parameters, sums, activations and the optimiser stay in float32. Processors with units
for such products (AMX, AVX-512 BF16, NVIDIA's GPUs since Ampere) carry them out faster.

Source: mixed-precision training (Micikevicius et al. 2018), with bfloat16, which has float32's
range, so that losses need no scaling.
"""

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Literal, TypeAlias, TypeVar, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Precision: TypeAlias = Literal["float32", "bf16"]
T = TypeVar("T")

_PRECISION: ContextVar[Precision] = ContextVar("precision", default="float32")
"""Of the function that is being traced."""
_JAX_NAME = "bfloat16"
"""JAX's name, by which it tells traced functions apart. XLA:CPU does not heed it, and on a GPU it
stands for TF32, so `matmul` rounds by itself."""


def in_precision(precision: Precision, fn: Callable[..., T]) -> Callable[..., T]:
    """`fn`, whose products with weights (`matmul`) are in this precision.

    Example:
        >>> import jax.numpy as jnp
        >>> x, weight = jnp.array([[1.001]]), jnp.array([[1.0]])
        >>> float(in_precision("bf16", matmul)(x, weight)[0, 0])
        1.0
    """
    if precision == "float32":
        return fn

    @wraps(fn)
    def rounded(*args: object, **options: object) -> T:
        token = _PRECISION.set(precision)
        try:
            with jax.default_matmul_precision(_JAX_NAME):
                return fn(*args, **options)
        finally:
            _PRECISION.reset(token)

    return rounded


def matmul(x: Float[Array, "*K B i"], weight: Float[Array, "*K i o"]) -> Float[Array, "*K B o"]:
    """x W, in the precision that surrounds it.

    One matrix serves x with any leading axes; a stack of them needs x with the same stack.
    """
    if _PRECISION.get() == "bf16":
        return cast(Array, _rounded(x, weight))
    return x @ weight


def _product(x: Array, y: Array) -> Array:
    """x y from rounded factors, summed in float32."""
    x, y = x.astype(jnp.bfloat16), y.astype(jnp.bfloat16)
    return jnp.matmul(x, y, preferred_element_type=jnp.float32)


@jax.custom_vjp
def _rounded(x: Array, weight: Array) -> Array:
    return _product(x, weight)


def _forward(x: Array, weight: Array) -> tuple[Array, tuple[Array, Array]]:
    return _product(x, weight), (x, weight)


def _backward(factors: tuple[Array, Array], d_out: Array) -> tuple[Array, Array]:
    x, weight = factors
    rows, d_rows = x, d_out
    if weight.ndim == 2:  # the same weights for all rows
        rows, d_rows = x.reshape(-1, x.shape[-1]), d_out.reshape(-1, d_out.shape[-1])
    return _product(d_out, weight.mT), _product(rows.mT, d_rows)


_rounded.defvjp(_forward, _backward)
