"""What every learner reads from stored episodes: real steps, ends, actions, global states."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from macpo.envs.base import Environment
from macpo.types import Episodes, PyTree


def transitions(episodes: Episodes) -> tuple[Bool[Array, "B T"], Bool[Array, "B T"]]:
    """(which steps are real transitions, which of them end the decision process)."""
    t = jnp.arange(episodes.reward.shape[1])
    mask = t < episodes.length[:, None]
    return mask, (t == episodes.length[:, None] - 1) & episodes.terminated[:, None]


def stored_actions(episodes: Episodes) -> Int[Array, "B Tp1 N"]:
    """The action taken in every state; −1 (none) in the final one, wherever it lies."""
    actions = jnp.where(transitions(episodes)[0][..., None], episodes.actions, -1)
    return jnp.pad(actions, ((0, 0), (0, 1), (0, 0)), constant_values=-1)


def global_state(env: Environment, encoded_state: PyTree) -> Float[Array, "R S"]:
    """The global states of encoded ones."""
    return jax.vmap(env.decode)(encoded_state).state.astype(jnp.float32)
