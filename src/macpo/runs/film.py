"""An episode that a policy plays, with every state that it goes through, for films."""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from macpo.bounds import NonNegativeInt, checked
from macpo.envs.host_stub import HostEnvStub
from macpo.interop.factory import FactoryConfig
from macpo.runs.policy import Policy
from macpo.training.host.player import HostPlayer
from macpo.training.host.pool import NoPictures
from macpo.training.player import open_player
from macpo.training.trainer import evaluation_key
from macpo.types import Observation, PyTree


class Seen(NamedTuple):
    """A state of an environment that is not JAX and draws its pictures itself."""

    observation: Observation
    png: bytes


class FilmedEpisode(NamedTuple):
    """An episode of T env steps with the states it went through, final one included."""

    states: list[PyTree]
    actions: Int[np.ndarray, "T N"]
    rewards: Float[np.ndarray, " T"]
    no_pictures: str = ""
    """Why an environment did not draw its pictures, which it else would."""


def play(policy: Policy, seed: int = 0) -> FilmedEpisode:
    """One greedy episode; its states are T+1.

    An environment that is not JAX is made so that it draws itself, if it can; its states are then
    `Seen`, else observations.
    """
    seed = checked(seed, NonNegativeInt, "seed")
    experiment, is_host = policy.experiment, isinstance(policy.trainer.env, HostEnvStub)
    if is_host and isinstance(experiment.env, FactoryConfig):
        experiment = replace(experiment, env=experiment.env.filmed())
    with open_player(experiment, policy.trainer, n_parallel=1) as player:
        # A player keeps encoded states, from which pictures cannot be drawn. So a JAX environment
        # is stepped here, state by state; of one in a worker only observations are known anyway,
        # and what it draws.
        if isinstance(player, HostPlayer):
            return _observed(policy, player, seed)
        return _stepped(policy, seed)


def _stepped(policy: Policy, seed: int) -> FilmedEpisode:
    trainer, key = policy.trainer, jax.random.key(seed)
    state, timestep = trainer.compiled_reset(key)
    policy.reset()
    states, actions, rewards = [state], [], []
    while not (timestep.terminated or timestep.truncated):
        action = policy.act(timestep.observation.obs, timestep.observation.avail_actions)
        key, step_key = jax.random.split(key)
        state, timestep = trainer.compiled_step(step_key, state, jnp.asarray(action))
        states.append(state)
        actions.append(action)
        rewards.append(float(timestep.reward))
    return FilmedEpisode(states, np.stack(actions), np.asarray(rewards, np.float32))


def _observed(policy: Policy, player: HostPlayer, seed: int) -> FilmedEpisode:
    key, pictures, why = evaluation_key(seed), list[bytes](), ""
    try:
        rollout, pictures = player.film(policy.params, key)
    except NoPictures as error:
        rollout, why = player.play(policy.params, key, 1, keep_states=True), str(error)
    episodes = rollout.episodes
    length = int(episodes.length[0])
    states = [Observation(*(x[0, t] for x in episodes.encoded_state)) for t in range(length + 1)]
    return FilmedEpisode(
        [Seen(*each) for each in zip(states, pictures, strict=True)] if pictures else states,
        np.asarray(episodes.actions[0, :length]),
        np.asarray(episodes.reward[0, :length]),
        why,
    )
