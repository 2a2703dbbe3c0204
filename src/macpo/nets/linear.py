"""Dense layers with PyTorch's default initialisation, which every reference implementation uses.

Why not Equinox's: critics and mixers split the first layer's matrix by the parts of its input, and
the hand-written gradient of the recurrent network takes weights as [in, out] over any leading axes.
Speed is no reason: under `vmap` Equinox's take as long (about 100 ms for a gradient through 100
steps of 128 rows on one core, `benchmarks/own_layers.py`).
"""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from macpo.nets.precision import matmul
from macpo.types import PyTree


class Linear(eqx.Module):
    """x W + b on the last axis.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> Linear(jax.random.key(0), in_size=3, out_size=2)(jnp.ones((5, 3))).shape
        (5, 2)
    """

    weight: Float[Array, "*K i o"]
    bias: Float[Array, "*K o"]

    def __init__(self, key: PRNGKeyArray, in_size: int, out_size: int) -> None:
        w_key, b_key = jax.random.split(key)
        self.weight = fan_in_uniform(w_key, (in_size, out_size), in_size)
        self.bias = fan_in_uniform(b_key, (out_size,), in_size)

    def __call__(self, x: Float[Array, "*B i"]) -> Float[Array, "*B o"]:
        """x W + b."""
        return matmul(x, self.weight) + self.bias


class MLP(eqx.Module):
    """Dense layers with ReLU between them.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> MLP(jax.random.key(0), 3, 64, 1)(jnp.ones((5, 3))).shape
        (5, 1)
    """

    layers: tuple[Linear, ...]

    def __init__(self, key: PRNGKeyArray, *sizes: int) -> None:
        keys = jax.random.split(key, len(sizes) - 1)
        self.layers = tuple(
            Linear(k, i, o) for k, i, o in zip(keys, sizes[:-1], sizes[1:], strict=True)
        )

    def __call__(self, x: Float[Array, "*B i"]) -> Float[Array, "*B o"]:
        """The output of the last layer, which has no ReLU."""
        return self.after_first(self.layers[0](x))

    def after_first(self, x: Float[Array, "*B h"]) -> Float[Array, "*B o"]:
        """The output of the last layer, given the output of the first."""
        for layer in self.layers[1:]:
            x = layer(jax.nn.relu(x))
        return x


def orthogonal(key: PRNGKeyArray, net: PyTree, gain: float = 2**0.5) -> PyTree:
    """The network with orthogonal weight matrices times `gain`, and biases of zero."""
    leaves, structure = jax.tree.flatten(net)
    init = jax.nn.initializers.orthogonal(gain)
    keys = jax.random.split(key, len(leaves))
    new = [
        init(k, x.shape) if x.ndim == 2 else jnp.zeros_like(x)
        for k, x in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, new)


def fan_in_uniform(key: PRNGKeyArray, shape: tuple[int, ...], fan_in: int) -> Float[Array, "..."]:
    """U(±1/√fan_in), PyTorch's default for dense and recurrent layers, biases included."""
    size = math.prod(shape)
    drawn = _uniform(key, fan_in**-0.5, max(2 ** (size - 1).bit_length(), _MIN_DRAWN))
    if isinstance(drawn, Tracer):
        return drawn[:size].reshape(shape)
    return jax.device_put(np.asarray(drawn)[:size].reshape(shape))  # compiles nothing


_MIN_DRAWN = 1024


@functools.partial(jax.jit, static_argnums=2)
def _uniform(key: PRNGKeyArray, bound: float, size: int) -> Float[Array, " size"]:
    """The first of these numbers do not depend on how many are drawn.

    So a program for each power of two serves all shapes. Compiling one for every shape is most of
    the time in which a small run starts.
    """
    return jax.random.uniform(key, (size,), jnp.float32, -bound, bound)
