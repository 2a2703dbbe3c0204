"""Actor-critic learning in plain JAX and NumPy, episode by episode: what learners must equal."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from macpo.types import Episodes

# One RMSprop step of `lr` with this epsilon is nearly a step along the gradient, so that wrong
# lengths of gradients show.
RMSPROP = {"optimiser": "rmsprop", "optim_alpha": 0.9, "optim_eps": 1.0}


def outputs(actor: Any, episodes: Episodes) -> jax.Array:
    """What the agents' network puts out in every state, step by step: [B, T+1, N, O]."""
    obs = episodes.encoded_state.obs
    b, _, n, _ = obs.shape
    n_actions = episodes.encoded_state.avail_actions.shape[-1]
    last = jnp.pad(episodes.actions, ((0, 0), (1, 0), (0, 0)), constant_values=-1)
    number = jnp.broadcast_to(jnp.eye(n), (b, n, n))

    def step(h: Any, now: Any) -> Any:
        return actor(jnp.concatenate([*now, number], -1), h)

    now = (obs, jax.nn.one_hot(last, n_actions))
    start = jnp.zeros((b, n, actor.hidden_size))
    _, out = jax.lax.scan(step, start, jax.tree.map(lambda x: x.swapaxes(0, 1), now))
    return out.swapaxes(0, 1)


@jax.jit
def policy(actor: Any, episodes: Episodes, epsilon: float = 0.0) -> jax.Array:
    """π of every action in every state; all are 1/A where padding has none available."""
    avail = episodes.encoded_state.avail_actions
    avail = avail | ~avail.any(-1, keepdims=True)
    weight = jnp.where(avail, jnp.exp(outputs(actor, episodes)[..., : avail.shape[-1]]), 0)
    pi = weight / weight.sum(-1, keepdims=True)
    return (1 - epsilon) * pi + epsilon * avail / avail.sum(-1, keepdims=True)


def log_taken(pi: jax.Array, episodes: Episodes) -> jax.Array:
    """log π of the actions taken: [B, T, N]."""
    return jnp.log(jnp.take_along_axis(pi[:, :-1], episodes.actions[..., None], -1)[..., 0])


def entropy(pi: jax.Array) -> jax.Array:
    """Of the policies in all states but the last: [B, T, N]."""
    pi = pi[:, :-1]
    return -(pi * jnp.log(jnp.where(pi > 0, pi, 1))).sum(-1)


def mean(x: Any, length: Sequence[int]) -> Any:
    """Over the real steps of all episodes (and over agents)."""
    real = [x[b, :ends] for b, ends in enumerate(length)]
    return sum(r.sum() for r in real) / sum(r.size for r in real)


def lambda_return(
    episodes: Episodes, value: np.ndarray, gamma: float, td_lambda: float
) -> np.ndarray:
    """G_t = r_t + γ ((1 − λ) v_{t+1} + λ G_{t+1}): zeros on padding; [B, T] or [B, T, N]."""
    reward = np.asarray(episodes.reward, np.float64)
    out = np.zeros_like(value[:, 1:], np.float64)
    for b, ends in enumerate(np.asarray(episodes.length)):
        after = g = np.where(episodes.terminated[b], 0.0, value[b, ends])
        for t in reversed(range(ends)):
            g = reward[b, t] + gamma * ((1 - td_lambda) * after + td_lambda * g)
            out[b, t], after = g, value[b, t]
    return out


def norm(tree: Any) -> float:
    """Of all arrays as one vector."""
    return float(np.sqrt(sum((np.float64(x) ** 2).sum() for x in jax.tree.leaves(tree))))


class Rmsprop:
    """PyTorch's, after clipping the norm of the gradient."""

    def __init__(self, config: Any, lr: float) -> None:
        self.config, self.lr, self.second_moment = config, lr, None

    def step(self, grads: Any, params: Any) -> Any:
        """The parameters after a step."""
        decay, scale = self.config.optim_alpha, min(1, self.config.grad_norm_clip / norm(grads))
        grads = jax.tree.map(lambda g: np.asarray(g) * scale, grads)
        if self.second_moment is None:
            self.second_moment = jax.tree.map(np.zeros_like, grads)
        self.second_moment = jax.tree.map(
            lambda v, g: decay * v + (1 - decay) * g**2, self.second_moment, grads
        )

        def move(p: Any, v: Any, g: Any) -> Any:
            return np.asarray(p) - self.lr * g / (np.sqrt(v) + self.config.optim_eps)

        return jax.tree.map(move, params, self.second_moment, grads)


def assert_close(actual: Any, expected: Any, rtol: float = 1e-4) -> None:
    """Of two trees, each leaf relative to its largest number."""

    def check(path: Any, x: Any, y: Any) -> None:
        np.testing.assert_allclose(
            x, y, rtol, 0.1 * rtol * np.abs(y).max(), err_msg=jax.tree_util.keystr(path)
        )

    jax.tree_util.tree_map_with_path(check, actual, expected)
