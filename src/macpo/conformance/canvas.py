"""Episodes that are written, not played: on an environment whose states are its observations."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from macpo.envs.base import Environment, first_step
from macpo.types import Episodes, Observation, Spec, TimeStep


class Canvas(Environment):
    """No game: a state is its observation, so that any episode may be written down.

    Played, it shows zeros without end, and every action may be taken.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def reset(self, key: PRNGKeyArray) -> tuple[Observation, TimeStep]:
        """Zeros."""
        n, spec = self.spec.n_agents, self.spec
        blank = Observation(
            jnp.zeros((n, spec.obs_size)),
            jnp.zeros(spec.state_size),
            jnp.ones((n, spec.n_actions), bool),
        )
        return blank, first_step(blank)

    def step(
        self, key: PRNGKeyArray, state: Observation, actions: Int[Array, " N"]
    ) -> tuple[Observation, TimeStep]:
        """The same again."""
        return state, first_step(state)

    def observe(self, state: Observation) -> Observation:
        """The state."""
        return state


CANVAS = Spec("canvas", n_agents=2, n_actions=3, obs_size=4, state_size=5, episode_limit=6)


def scribble(
    spec: Spec, length: Sequence[int], terminated: Sequence[bool], seed: int = 0
) -> Episodes:
    """Random episodes on a `Canvas`, zeros past their ends; give the longest first."""
    rng = np.random.default_rng(seed)
    b, t, n = len(length), spec.episode_limit, spec.n_agents
    ends = np.asarray(length)
    real = np.arange(t) < ends[:, None]
    exists = np.arange(t + 1) <= ends[:, None]

    def normal(*shape: int) -> Float[np.ndarray, "..."]:
        return rng.normal(size=shape).astype(np.float32)

    avail = rng.random((b, t + 1, n, spec.n_actions)) < 0.6
    avail[..., 0] = True
    draw = np.where(avail, rng.random(avail.shape), -1)
    actions = draw[:, :-1].argmax(-1).astype(np.int8)
    put = jax.device_put  # `jnp.asarray` would compile a program for each shape
    return Episodes(
        encoded_state=Observation(
            put(normal(b, t + 1, n, spec.obs_size) * exists[..., None, None]),
            put(normal(b, t + 1, spec.state_size) * exists[..., None]),
            put(avail & exists[..., None, None]),
        ),
        actions=put(actions * real[..., None]),
        reward=put(normal(b, t) * real),
        length=put(ends.astype(np.int32)),
        terminated=put(np.asarray(terminated)),
    )


def past_end(x: Array, first: Sequence[int] | np.ndarray) -> Bool[np.ndarray, "B T"]:
    """Which rows of an array [B, T, ...] are padding, if those from `first` on are."""
    return np.arange(x.shape[1]) >= np.asarray(first)[:, None]


def spoiled(episodes: Episodes, garbage: float = np.nan, seed: int = 0) -> Episodes:
    """The episodes with nonsense in their padding: `garbage`, or for flags and actions chance."""
    rng = np.random.default_rng(seed)
    length = np.asarray(episodes.length)

    def spoil(x: Array, first: Sequence[int] | np.ndarray) -> Array:
        padding = past_end(x, first).reshape(*x.shape[:2], *[1] * (x.ndim - 2))
        if x.dtype == bool:
            nonsense = rng.random(x.shape) < 0.5
        elif x.dtype == jnp.int8:
            nonsense = rng.integers(-128, 128, x.shape, np.int8)
        else:
            nonsense = np.float32(garbage)
        return jax.device_put(np.where(padding, nonsense, x))

    return episodes._replace(
        encoded_state=jax.tree.map(lambda x: spoil(x, length + 1), episodes.encoded_state),
        actions=spoil(episodes.actions, length),
        reward=spoil(episodes.reward, length),
    )
