"""The policy of a trained run: loaded, asked for actions, filmed."""

import os
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, Num

from macpo.bounds import NonNegativeInt, checked
from macpo.errors import require
from macpo.experiment import Experiment
from macpo.machine import prepare_jax
from macpo.runs.directory import RunDirectory
from macpo.runs.saving import read_model
from macpo.training.player import CompiledPlayer, Player, open_player
from macpo.training.trainer import Trainer, evaluation_key, make_trainer
from macpo.types import Observation, PyTree, Spec, action_dtype


class Policy:
    """The greedy policy of a trained run. Acts for all agents, one env step after another.

    `env`, a name or a configuration, is the environment to play in place of that of the training;
    UsageError if it differs from it in number of agents or actions or in the size of observations
    or state.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        seed: int | None = None,
        env: Any = None,  # as for `Experiment`
        *,
        trust: bool = False,
    ) -> None:
        trained = read_trained(RunDirectory(directory), env, trust=trust)
        self.experiment, self.trainer = trained.experiment, trained.trainer
        run = self.experiment.run
        seed = checked(seed, NonNegativeInt | None, "seed")
        k = 0 if seed is None else seed - run.seed
        require(
            0 <= k < run.seeds,
            f"{os.fspath(directory)} has seeds {run.seed} to {run.seed + run.seeds - 1}, "
            f"not {seed}.",
        )
        self.params = trained.params_of(k)
        self._act = jax.jit(self.trainer.algorithm.act)
        self.reset()

    def reset(self) -> None:
        """Begin a new episode: forget past observations and actions."""
        spec = self.trainer.env.spec
        self._hidden = self.trainer.algorithm.initial_hidden(1)
        self._last_action = jnp.full((1, spec.n_agents), -1, action_dtype(spec.n_actions))

    def act(
        self,
        obs: Num[Any, "N O"],  # arrays of any library that NumPy understands
        avail_actions: Bool[Any, "N A"] | None = None,
    ) -> Int[np.ndarray, " N"]:
        """Greedy actions of all agents; without `avail_actions` all are taken to be available."""
        spec = self.trainer.env.spec
        obs = jnp.asarray(obs)
        avail = jnp.ones((spec.n_agents, spec.n_actions), bool)
        if avail_actions is not None:
            avail = jnp.asarray(avail_actions).astype(bool)
        for name, x, size in (
            ("obs", obs, spec.obs_size),
            ("avail_actions", avail, spec.n_actions),
        ):
            require(
                x.shape == (spec.n_agents, size),
                f"act: {name} must have shape ({spec.n_agents}, {size}), not {x.shape}.",
            )
        require(bool(avail.any(-1).all()), "act: every agent needs at least one available action.")
        observation = Observation(obs[None], jnp.zeros((1, spec.state_size)), avail[None])
        self._hidden, actions = self._act(
            self.params, jax.random.key(0), self._hidden, observation, self._last_action, None
        )
        self._last_action = actions
        return np.asarray(actions[0])


def load(
    directory: str | os.PathLike[str],
    seed: int | None = None,
    *,
    env: Any = None,  # as for `Experiment`
    trust: bool = False,
) -> Policy:
    """The trained policy of a run directory.

    `seed` chooses one of several; `env` is another environment of the same sizes, by name or as a
    configuration; `trust` lets the run's files name code to import that is not registered
    (SECURITY.md).
    """
    return Policy(directory, seed, env, trust=trust)


# --- the film of an episode -----------------------------------------------------------------------


class FilmedEpisode(NamedTuple):
    """An episode of T env steps with the states it went through, final one included."""

    states: list[PyTree]
    actions: Int[np.ndarray, "T N"]
    rewards: Float[np.ndarray, " T"]


def play(policy: Policy, seed: int = 0) -> FilmedEpisode:
    """One greedy episode; its states are T+1."""
    seed = checked(seed, NonNegativeInt, "seed")
    with open_player(policy.experiment, policy.trainer, n_parallel=1) as player:
        # A player keeps encoded states, from which pictures cannot be drawn. So a JAX environment
        # is stepped here, state by state; of one in a worker only observations are known anyway.
        if isinstance(player, CompiledPlayer):
            return _stepped(policy, seed)
        return _observed(policy, player, seed)


def _stepped(policy: Policy, seed: int) -> FilmedEpisode:
    env = policy.trainer.env
    reset, step = jax.jit(env.reset), jax.jit(env.step)
    key = jax.random.key(seed)
    state, timestep = reset(key)
    policy.reset()
    states, actions, rewards = [state], [], []
    while not (timestep.terminated or timestep.truncated):
        action = policy.act(timestep.observation.obs, timestep.observation.avail_actions)
        key, step_key = jax.random.split(key)
        state, timestep = step(step_key, state, jnp.asarray(action))
        states.append(state)
        actions.append(action)
        rewards.append(float(timestep.reward))
    return FilmedEpisode(states, np.stack(actions), np.asarray(rewards, np.float32))


def _observed(policy: Policy, player: Player, seed: int) -> FilmedEpisode:
    episodes = player.play(policy.params, evaluation_key(seed), 1, keep_states=True).episodes
    length = int(episodes.length[0])
    states = [Observation(*(x[0, t] for x in episodes.encoded_state)) for t in range(length + 1)]
    rewards = np.asarray(episodes.reward[0, :length])
    return FilmedEpisode(states, np.asarray(episodes.actions[0, :length]), rewards)


# --- what a run has learned -----------------------------------------------------------------------


class Trained(NamedTuple):
    """A run that has reached a checkpoint."""

    experiment: Experiment
    trainer: Trainer
    params: PyTree
    """Leaves [K, ...], as NumPy arrays."""

    def params_of(self, k: int) -> PyTree:
        """What the k-th seed has learned."""
        return jax.tree.map(lambda x: jnp.asarray(x[k]), self.params)


def read_trained(directory: RunDirectory, env: Any = None, *, trust: bool = False) -> Trained:
    """The experiment of a run, its trainer and parameters; with an `env`, for that environment.

    UsageError if there is no checkpoint yet, or if the environment does not fit. `trust` allows
    names that are not registered (`macpo.experiment.from_dict`).
    """
    experiment = planned = directory.read_experiment(trust=trust)
    prepare_jax()
    if env is None:
        trainer = make_trainer(experiment)
    else:
        trained_on = experiment.env.make().spec
        experiment = replace(experiment, env=env)
        trainer = make_trainer(experiment)
        _check_same_sizes(trained_on, trainer.env.spec)
    like = trainer.state_shapes.learner.params
    return Trained(experiment, trainer, read_model(directory, planned, like))


def _check_same_sizes(trained_on: Spec, other: Spec) -> None:
    sizes = ("n_agents", "n_actions", "obs_size", "state_size")
    unlike = [
        f"{name} {getattr(other, name)} for {getattr(trained_on, name)}"
        for name in sizes
        if getattr(other, name) != getattr(trained_on, name)
    ]
    require(
        not unlike,
        f"a policy of {trained_on.name} cannot play {other.name}, which has {', '.join(unlike)}; "
        "choose an environment of the same sizes.",
    )
