"""Learning from every episode a small game has, each exactly as often as the others.

What is learned then depends on the representation and the weights alone, not on exploration.
"""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from macpo.learners.forward import JointValues
from macpo.learners.value_based import ValueBasedLearner
from macpo.registry import make_config
from macpo.training.rollout import collect
from macpo.types import Batch, Episodes
from tests.support.updates import update_then_sync

SYNC = 25  # updates between copies of the networks into the targets

SMALL: dict[str, Any] = {
    "td_lambda": 0.0,  # actions are random: a longer return would mix them into the values
    "lr": 3e-3,
    "rnn_hidden_dim": 16,
    "central_mixing_embed_dim": 32,
}
QMIX: dict[str, Any] = {"mixing_embed_dim": 16, "hypernet_embed": 16}
OPTIONS: dict[str, dict[str, Any]] = {
    "iql": {},
    "vdn": {},
    "qmix": QMIX,
    "cwqmix": QMIX,
    "owqmix": QMIX,
    "qplex": {"hypernet_embed": 16},
    # narrower, or faster, half the seeds end with a joint value that only adds
    "qtran": {"rnn_hidden_dim": 32, "joint_embed_dim": 64, "lr": 1e-3},
}


class TrainedValues(NamedTuple):
    """What K seeds have learned of E episodes."""

    q_tot: np.ndarray
    """[K, E, T] joint values of the actions stored."""
    values: JointValues
    """Of every state, [K, E, T+1]."""
    returns: np.ndarray
    """[K] of the greedy joint actions."""


def every_episode(env: Any) -> Episodes:
    """All sequences of joint actions up to the end of the game."""
    spec = env.spec
    joint = list(itertools.product(range(spec.n_actions), repeat=spec.n_agents))
    plans = jnp.array(list(itertools.product(joint, repeat=spec.episode_limit)), jnp.int8)

    def act(key: Any, t: Any, observation: Any, last: Any) -> Any:
        return t + 1, plans[jnp.arange(len(plans)), t[0]]

    start = jnp.zeros(len(plans), jnp.int32)
    return jax.jit(lambda: collect(env, act, start, jax.random.key(0), len(plans)).episodes)()


def learn(
    env: Any, algorithm: str, weighting: Any, updates: int, seeds: int = 8, **options: Any
) -> TrainedValues:
    """What `algorithm` makes of the game; `weighting` is a configuration."""
    config = make_config("algorithms", algorithm, **SMALL | OPTIONS[algorithm] | options)
    learner: ValueBasedLearner = config.make(env, weighting)
    episodes = every_episode(env)
    batch = Batch(episodes, jnp.ones(len(episodes.length)))

    update = update_then_sync(learner)

    def step(i: Any, state: Any) -> Any:
        return update(state, batch, jax.random.key(0), i % SYNC == SYNC - 1).state

    def play(params: Any) -> Any:
        def act(key: Any, hidden: Any, observation: Any, last: Any) -> Any:
            return learner.act(params, key, hidden, observation, last, None)

        hidden = learner.initial_hidden(1)
        return collect(env, act, hidden, jax.random.key(0), 1).episodes.reward.sum()

    @jax.jit
    def run(states: Any) -> Any:
        def one(state: Any) -> Any:
            state = jax.lax.fori_loop(0, updates, step, state)
            values = learner.forward((state.params, state.target_networks), batch.episodes).joint
            return values, play(state.params)

        return jax.lax.map(one, states)  # shorter to trace than side by side, and as fast

    fresh = map(learner.init, jax.random.split(jax.random.key(0), seeds))
    states = jax.tree.map(lambda *xs: np.stack(xs), *fresh)
    values, returns = jax.device_get(run(states))
    return TrainedValues(values.q_tot[:, :, :-1], values, returns)
