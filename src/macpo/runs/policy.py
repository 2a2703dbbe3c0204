"""The policy of a trained run: loaded, and asked for actions."""

import os
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray

from macpo.bounds import Fraction, NonNegativeInt, PositiveInt, checked
from macpo.envs.base import EnvConfig
from macpo.errors import UsageError, require
from macpo.runs.directory import RunDirectory
from macpo.runs.saving import Which
from macpo.runs.trained import read_trained
from macpo.types import AnyArray, Observation, PyTree, action_dtype


class PolicyState(NamedTuple):
    """What the agents of B environments remember from one env step to the next.

    Every leaf begins with B, so that states of several environments can be stacked and taken apart.
    """

    hidden: PyTree
    last_action: Int[Array, "B N"]


class Policy:
    """The policy of a trained run. Acts for all agents, greedily unless told to explore.

    `act` remembers the episode until `reset`; `step` is the same as a pure function. `env`, a name
    or a configuration, is the environment to play in place of that of the training; UsageError if
    its observations or actions are others, or if the policy cannot act for so many agents.

    >>> import macpo
    >>> small = macpo.Run(steps=64, batch_size=8, test_interval=64, test_nepisode=8)
    >>> run = macpo.train(macpo.Experiment("matrix-game", "vdn", run=small))
    memory planned: ...
    >>> import jax
    >>> policy = macpo.Policy(run.directory, seed=0)
    >>> state, step = policy.experiment.env.make().reset(jax.random.key(0))
    >>> policy.act(step.observation.obs).shape  # an action for each agent
    (2,)
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        seed: int | None = None,
        env: EnvConfig | str | None = None,
        which: Which = "last",
        *,
        trust: bool = False,
    ) -> None:
        trained = read_trained(RunDirectory(directory), env, which, trust=trust)
        self.directory, self.which = os.fspath(directory), which
        self.experiment, self.trainer = trained.experiment, trained.trainer
        run = self.experiment.run
        seed = checked(seed, NonNegativeInt | None, "seed")
        self.seed: int = run.seed if seed is None else seed
        """The trained seed whose policy this is."""
        k = self.seed - run.seed
        require(
            0 <= k < run.seeds,
            f"{self.directory} has seeds {run.seed} to {run.seed + run.seeds - 1}, not {seed}.",
        )
        self.params = trained.params_of(k)
        self._key = jax.random.key(0)
        self.reset()

    def __repr__(self) -> str:
        which = "" if self.which == "last" else f", which={self.which!r}"
        return f"Policy({self.directory!r}, seed={self.seed}{which})"

    # --- one episode after another ----------------------------------------------------------------

    def reset(self, seed: int | None = None) -> None:
        """Begin a new episode: forget past observations and actions.

        A `seed` also begins the random numbers of exploration anew.
        """
        self._state: PolicyState | None = None
        if seed is not None:
            self._key = jax.random.key(checked(seed, NonNegativeInt, "seed"))

    def act(
        self,
        obs: Num[AnyArray, "*B N O"],
        avail_actions: Bool[AnyArray, "*B N A"] | None = None,
        epsilon: float | None = None,
    ) -> Int[np.ndarray, "*B N"]:
        """Actions of all agents, in one environment or in B that are played side by side.

        Without `avail_actions` all are taken to be available. Without an `epsilon` actions are
        greedy; with one they are chosen as in training with that exploration: at 0 an algorithm
        with policies draws from them.
        """
        obs = _array("obs", obs)
        avail = None if avail_actions is None else _array("avail_actions", avail_actions)
        is_single, batch = obs.ndim == 2, obs.shape[:-2][:1]  # [] or [B]
        self._check_shapes(obs, avail, batch)
        if is_single:
            obs, avail = obs[None], None if avail is None else avail[None]
        state = self.initial_state(len(obs)) if self._state is None else self._state
        n = len(state.last_action)
        require(
            len(obs) == n,
            f"act: the episode was begun in {n} environments and cannot go on in {len(obs)}; call "
            "reset() to begin another.",
        )
        key = None
        if epsilon is not None:
            epsilon = checked(epsilon, Fraction, "epsilon")
            self._key, key = jax.random.split(self._key)
        self._state, actions = self.step(state, obs, avail, epsilon, key)
        return np.asarray(actions[0] if is_single else actions)

    # --- the same as pure functions ---------------------------------------------------------------

    def initial_state(self, n_envs: int = 1) -> PolicyState:
        """What agents remember at the start of an episode, in `n_envs` environments."""
        n_envs, spec = checked(n_envs, PositiveInt, "n_envs"), self.trainer.env.spec
        none = jnp.full((n_envs, spec.n_agents), -1, action_dtype(spec.n_actions))
        return PolicyState(self.trainer.algorithm.initial_hidden(n_envs), none)

    def step(
        self,
        state: PolicyState,
        obs: Num[AnyArray, "B N O"],
        avail_actions: Bool[AnyArray, "B N A"] | None = None,
        epsilon: Float[Array, ""] | float | None = None,
        key: PRNGKeyArray | None = None,
    ) -> tuple[PolicyState, Int[Array, "B N"]]:
        """One env step in B environments: (next state, actions).

        Pure, for `jax.jit` and `jax.lax.scan` too. An `epsilon` is as for `act`, and needs a `key`.
        """
        spec, n = self.trainer.env.spec, len(state.last_action)
        obs = _array("obs", obs)
        avail = jnp.ones((n, spec.n_agents, spec.n_actions), bool)
        if avail_actions is not None:
            avail = _array("avail_actions", avail_actions).astype(bool)
        self._check_shapes(obs, avail, (n,))
        require(
            isinstance(avail, Tracer) or bool(avail.any(-1).all()),
            "act: every agent needs at least one available action.",
        )
        require(
            epsilon is None or key is not None,
            "act: an epsilon needs a key (jax.random.key) to draw actions with.",
        )
        observation = Observation(obs, jnp.zeros((len(obs), spec.state_size)), avail)
        key = jax.random.key(0) if key is None else key  # greedy actions draw nothing from it
        hidden, actions = self.trainer.compiled_act(
            self.params, key, state.hidden, observation, state.last_action, epsilon
        )
        return PolicyState(hidden, actions), actions

    def _check_shapes(self, obs: Array, avail: Array | None, batch: tuple[int, ...]) -> None:
        """UsageError unless the arrays are as those of `batch` such environments."""
        spec = self.trainer.env.spec
        _check_shape("obs", obs, (*batch, spec.n_agents, spec.obs_size))
        if avail is not None:
            _check_shape("avail_actions", avail, (*batch, spec.n_agents, spec.n_actions))


def _array(name: str, x: AnyArray) -> Array:
    """The numbers as an array; UsageError if they are none."""
    try:
        return jnp.asarray(x)
    except (TypeError, ValueError) as error:
        raise UsageError(f"act: {name} must be an array of numbers: {error}") from error


def _check_shape(name: str, x: Array, shape: tuple[int, ...]) -> None:
    env = "one environment" if len(shape) == 2 else f"{shape[0]} environments"
    require(x.shape == shape, f"act: {name} must have shape {shape} in {env}, not {x.shape}.")


def load(
    directory: str | os.PathLike[str],
    seed: int | None = None,
    *,
    which: Which = "last",
    env: EnvConfig | str | None = None,
    trust: bool = False,
) -> Policy:
    """The trained policy of a run directory.

    `seed` chooses one of several; `which` are its parameters, the last ones or those of its best
    evaluation; `env` is another environment, by name or as a configuration, whose observations and
    actions are of the same sizes; `trust` lets the run's files name code to import that is not
    registered (SECURITY.md).

    >>> import macpo
    >>> small = macpo.Run(steps=64, batch_size=8, test_interval=64, test_nepisode=8)
    >>> run = macpo.train(macpo.Experiment("matrix-game", "vdn", run=small))
    memory planned: ...
    >>> macpo.load(run.directory).seed
    0
    """
    return Policy(directory, seed, env, which, trust=trust)
