"""Stepwise critic updates: one sweep over the episodes of a batch, a few env steps per update.

COMA and DOP train their critics this way: every policy update comes with many critic updates, at
the cost of one pass over the episodes. The references make one critic update per env step: COMA's
from the last env step to the first, DOP's from the first to the last.

Source: COMA (Foerster et al. 2018) and DOP (Wang et al. 2021), released code.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from macpo.kernels.common_max import common_max
from macpo.kernels.shard import map_over_devices
from macpo.learners.actor_critic import ActorCriticLearner
from macpo.learners.episodes import decode_rows, last_actions
from macpo.learners.losses import weighted_squared_error
from macpo.types import Episodes, Observation, PyTree

CriticFunction: TypeAlias = Callable[
    [PyTree, Observation, Int[Array, "B N"], Int[Array, "B N"]], tuple[Array, PyTree]
]
"""(critic, observation, actions, last actions) → (value to fit [B] or [B, N], further outputs)."""
Direction: TypeAlias = Literal["backward", "forward"]
"""In time: from the last env step that any episode has to the first, or from the first to it."""


class CriticUpdate(NamedTuple):
    """A critic after its updates."""

    critic: PyTree
    opt_state: optax.OptState
    value: Float[Array, "B T *N"]
    """Values of the actions taken, each computed before the update on its step."""
    outputs: PyTree
    """The critic's further outputs, computed likewise: leaves [B, T, ...]."""
    loss: Float[Array, ""]
    """Weighted; mean over the updates."""


def update_critic_stepwise(
    learner: ActorCriticLearner,
    critic: PyTree,
    opt_state: optax.OptState,
    critic_function: CriticFunction,
    episodes: Episodes,
    target: Float[Array, "B T *N"],
    weight: Float[Array, "B T"],
    mask: Bool[Array, "B T"],
    steps_per_update: int = 1,
    direction: Direction = "backward",
) -> CriticUpdate:
    """Weighted regression of the critic on the targets of a few env steps at a time."""
    record = episodes.encoded_state, episodes.actions, last_actions(episodes.actions)
    rows, length = jnp.arange(episodes.length.size)[:, None], episodes.length[:, None]
    longest, n_steps = episodes.length.max(), target.shape[1]
    n_updates = -(-longest // steps_per_update)
    n_iterations = common_max(n_updates)
    may_idle = n_updates < n_iterations  # only under `vmap`, for a seed with shorter episodes

    def times(i: Array | int) -> Int[Array, " W"]:
        """The env steps of an update, in the order of the sweep; the last update's may run past the
        end of the episodes, or be negative."""
        step = i * steps_per_update + jnp.arange(steps_per_update)
        return step if direction == "forward" else longest - 1 - step

    def at(t: Int[Array, " W"]) -> PyTree:
        # an episode that has ended repeats its last step: 0 times padding may be NaN
        t = jnp.clip(t, 0, length - 1)  # [B, W]
        return jax.tree.map(lambda x: x[rows, t], record)

    def of_steps(critic: PyTree, steps: PyTree) -> tuple[Array, PyTree]:
        encoded_state, actions, last = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), steps)
        observation = decode_rows(learner.env, encoded_state)
        out = critic_function(critic, observation, actions, last)
        return jax.tree.map(lambda x: x.reshape(-1, steps_per_update, *x.shape[1:]), out)

    def update(i: Array, carry: tuple[PyTree, ...]) -> tuple[PyTree, ...]:
        critic, opt_state, outputs, losses = carry
        t = times(i)
        y = target[:, t]
        w, m = weight[:, t], mask[:, t] & (t >= 0) & (t < n_steps)
        w, m = (jnp.expand_dims(x, range(2, y.ndim)) for x in (w, m))
        m = jnp.broadcast_to(m, y.shape)

        def loss(critic: PyTree) -> tuple[Array, PyTree]:
            out = map_over_devices(of_steps, critic, at(t))
            return weighted_squared_error(out[0] - y, w, m), out

        (loss_now, out), grads = jax.value_and_grad(loss, has_aux=True)(critic)
        stepped = learner.optimise(grads, opt_state, critic, learner.critic_lr)
        done = may_idle & (i >= n_updates)  # an optimiser step changes it even without a gradient
        critic, opt_state = jax.tree.map(partial(jnp.where, done), (critic, opt_state), stepped)
        real = jnp.where(t >= 0, t, n_steps)  # others are dropped
        outputs = jax.tree.map(lambda old, new: old.at[:, real].set(new, mode="drop"), outputs, out)
        return critic, opt_state, outputs, losses + loss_now

    one = jax.eval_shape(lambda: of_steps(critic, at(times(0))))
    zeros = jax.tree.map(lambda s: jnp.zeros((len(rows), n_steps, *s.shape[2:]), s.dtype), one)
    start = critic, opt_state, zeros, jnp.zeros(())
    critic, opt_state, (value, outputs), losses = jax.lax.fori_loop(0, n_iterations, update, start)
    return CriticUpdate(critic, opt_state, value, outputs, losses / n_updates)
