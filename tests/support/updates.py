"""Updates of an algorithm as the training loop makes them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from macpo.learners.base import Algorithm, UpdateResult


def update_then_sync(algorithm: Algorithm) -> Callable[..., UpdateResult]:
    """(state, batch, key, sync): the algorithm's update; then, where asked, the target networks are
    replaced by copies."""

    def update(state: Any, batch: Any, key: Any, sync: Any) -> UpdateResult:
        result = algorithm.update(state, batch, key)
        synced = algorithm.sync_targets(result.state)
        chosen = jax.tree.map(partial(jnp.where, sync), synced, result.state)
        return result._replace(state=chosen)

    return update
