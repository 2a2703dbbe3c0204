"""A critic's updates, one for every few env steps of the episodes, from the last to the first.

COMA and DOP train their critics so: an update of the policy comes with many of the critic, for the
price of one pass over the episodes. The references make one for each env step.

Source: COMA (Foerster et al. 2018) and DOP (Wang et al. 2021), released code.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from macpo.kernels.common_max import common_max
from macpo.kernels.shard import map_over_devices
from macpo.learners.actor_critic import ActorCriticLearner
from macpo.learners.losses import weighted_squared_error
from macpo.nets.agent import last_actions
from macpo.types import Episodes, Observation, PyTree

Judge: TypeAlias = Callable[
    [PyTree, Observation, Int[Array, "B N"], Int[Array, "B N"]], tuple[Array, PyTree]
]
"""(critic, observation, actions, last actions) → (value to fit [B] or [B, N], judgement)."""


class Swept(NamedTuple):
    """A critic after its updates."""

    critic: PyTree
    optimiser: PyTree
    value: Float[Array, "B T *N"]
    """Of the actions taken, each before the update on its own step."""
    judgement: PyTree
    """The same for all that the critic said of a step: leaves [B, T, ...]."""
    loss: Float[Array, ""]
    """Weighted; mean over the updates."""


def sweep(
    learner: ActorCriticLearner,
    critic: PyTree,
    optimiser: PyTree,
    judge: Judge,
    episodes: Episodes,
    target: Float[Array, "B T *N"],
    weight: Float[Array, "B T"],
    mask: Bool[Array, "B T"],
    width: int = 1,
) -> Swept:
    """Weighted regression of the critic on the targets of `width` env steps at a time."""
    record = (episodes.encoded_state, episodes.actions, last_actions(episodes.actions))
    rows, length = jnp.arange(episodes.length.size)[:, None], episodes.length[:, None]
    longest, n_steps = episodes.length.max(), target.shape[1]
    n_updates = -(-longest // width)
    turns = common_max(n_updates)
    waits = n_updates < turns  # never but under `vmap`, for a seed with shorter episodes

    def times(i: Array | int) -> Int[Array, " W"]:
        """The env steps of an update; those before the first are negative."""
        return longest - 1 - i * width - jnp.arange(width)

    def at(t: Int[Array, " W"]) -> PyTree:
        # an episode that is over shows its last step: 0 times what padding holds may be NaN
        t = jnp.clip(t, 0, length - 1)  # [B, W]
        return jax.tree.map(lambda x: x[rows, t], record)

    def of_steps(critic: PyTree, now: PyTree) -> tuple[Array, PyTree]:
        encoded_state, actions, last = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), now)
        said = judge(critic, learner.state_of(encoded_state), actions, last)
        return jax.tree.map(lambda x: x.reshape(-1, width, *x.shape[1:]), said)

    def update(i: Array, carry: tuple[PyTree, ...]) -> tuple[PyTree, ...]:
        critic, optimiser, kept, losses = carry
        t = times(i)
        y = target[:, t]
        w, m = weight[:, t], mask[:, t] & (t >= 0)
        w, m = (jnp.expand_dims(x, range(2, y.ndim)) for x in (w, m))
        m = jnp.broadcast_to(m, y.shape)

        def loss(critic: PyTree) -> tuple[Array, PyTree]:
            said = map_over_devices(of_steps, critic, at(t))
            return weighted_squared_error(said[0] - y, w, m), said

        (loss_now, said), grads = jax.value_and_grad(loss, has_aux=True)(critic)
        stepped = learner.step(grads, optimiser, critic, learner.critic_lr)
        done = waits & (i >= n_updates)  # a step without a gradient would move it all the same
        critic, optimiser = jax.tree.map(partial(jnp.where, done), (critic, optimiser), stepped)
        real = jnp.where(t >= 0, t, n_steps)
        kept = jax.tree.map(lambda old, new: old.at[:, real].set(new, mode="drop"), kept, said)
        return critic, optimiser, kept, losses + loss_now

    one = jax.eval_shape(lambda: of_steps(critic, at(times(0))))
    room = jax.tree.map(lambda s: jnp.zeros((len(rows), n_steps, *s.shape[2:]), s.dtype), one)
    start = critic, optimiser, room, jnp.zeros(())
    critic, optimiser, (value, judgement), losses = jax.lax.fori_loop(0, turns, update, start)
    return Swept(critic, optimiser, value, judgement, losses / n_updates)
