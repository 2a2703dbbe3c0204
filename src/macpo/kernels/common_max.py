"""Loop bounds that stay scalar under `vmap`."""

from jax.custom_batching import custom_vmap
from jaxtyping import Array, Int


@custom_vmap
def common_max(x: Int[Array, ""]) -> Int[Array, ""]:
    """x; under `vmap` the maximum over the batch, itself not batched.

    A loop whose bound differs between seeds would make `vmap` run it with a select of the whole
    carry in every iteration. With a common bound it stays one plain loop; seeds that need fewer
    iterations compute padding, which changes nothing.
    """
    return x


@common_max.def_vmap
def _common_max_rule(axis_size: int, in_batched: list[bool], x: Array) -> tuple[Array, bool]:  # pyright: ignore[reportUnusedFunction]
    return common_max(x.max(0) if in_batched[0] else x), False
