"""A critic's updates, one for each env step of the episodes, from the last to the first.

COMA and DOP train their critics so: an update of the policy comes with as many of the critic as
the longest episode has steps, for the price of one pass over all of them.

Source: COMA (Foerster et al. 2018) and DOP (Wang et al. 2021), released code.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from macpo.algorithms.actor_critic import Learner
from macpo.losses import weighted_squared_error
from macpo.nets.agent import last_actions
from macpo.nets.batching import common_max
from macpo.shard import over_episodes
from macpo.types import Episodes, Observation, PyTree

Judge: TypeAlias = Callable[
    [PyTree, Observation, Int[Array, "B N"], Int[Array, "B N"]], tuple[Array, PyTree]
]
"""(critic, what is seen, actions, last actions) → (value to fit [B] or [B, N], judgement)."""


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
    learner: Learner,
    critic: PyTree,
    optimiser: PyTree,
    judge: Judge,
    episodes: Episodes,
    target: Float[Array, "B T *N"],
    weight: Float[Array, "B T"],
    mask: Bool[Array, "B T"],
) -> Swept:
    """Weighted regression of the critic on the targets."""
    record = (episodes.memory, episodes.actions, last_actions(episodes.actions))
    longest = common_max(episodes.length.max())

    def of_step(critic: PyTree, now: PyTree) -> tuple[Array, PyTree]:
        memory, actions, last = now
        return judge(critic, learner.state_of(memory), actions, last)

    def at(t: Array | int) -> PyTree:
        # an episode that is over shows its last step: 0 times what padding holds may be NaN
        rows, t = jnp.arange(episodes.length.size), jnp.minimum(t, episodes.length - 1)
        return jax.tree.map(lambda x: x[rows, t], record)

    def update(i: Array, carry: tuple[PyTree, ...]) -> tuple[PyTree, ...]:
        critic, optimiser, kept, losses = carry
        t = longest - 1 - i
        y = target[:, t]
        w, m = (jnp.expand_dims(x[:, t], range(1, y.ndim)) for x in (weight, mask))
        m = jnp.broadcast_to(m, y.shape)

        def loss(critic: PyTree) -> tuple[Array, PyTree]:
            said = over_episodes(of_step, critic, at(t))
            return weighted_squared_error(said[0] - y, w, m), said

        (of_step_t, said), grads = jax.value_and_grad(loss, has_aux=True)(critic)
        critic, optimiser = learner.step(grads, optimiser, critic, learner.critic_lr)
        kept = jax.tree.map(lambda old, new: old.at[:, t].set(new), kept, said)
        return critic, optimiser, kept, losses + of_step_t

    one = jax.eval_shape(lambda: of_step(critic, at(0)))
    room = jax.tree.map(
        lambda s: jnp.zeros((s.shape[0], target.shape[1], *s.shape[1:]), s.dtype), one
    )
    start = critic, optimiser, room, jnp.zeros(())
    critic, optimiser, (value, judgement), losses = jax.lax.fori_loop(0, longest, update, start)
    return Swept(critic, optimiser, value, judgement, losses / longest)
