"""The only training loop: collect → add → sample → update → target copy, compiled.

An iteration plays one episode in each parallel environment, stores them, and makes the updates that
follow. A chunk is as many iterations as fit before the next evaluation, in one compiled program;
metrics come back as arrays.

Several seeds are one program too. On an accelerator they run side by side under `vmap`; whatever
decides a branch or a loop is then common to all (`common_max`), so that a seed never pays for a
branch of another. On a CPU, which one seed keeps busy, they take turns: `vmap` would turn the
matrix products into batches, for which XLA has no fast code there. Where an update is shared out
over devices (`shard`), all of them play and remember the same.

Random keys: a seed's root key is `key(seed)`. Fold in 0 for the networks, 1 for training (then the
iteration), 2 for evaluation (then the number of env steps). Nothing carries a key from one
iteration to the next, so any iteration can be repeated alone.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from macpo import registry
from macpo.envs.base import Environment
from macpo.envs.host import HostEnvironment, HostEnvStub
from macpo.errors import require
from macpo.experiment import Experiment, Run
from macpo.kernels import shard
from macpo.kernels.common_max import common_max
from macpo.learners.base import Algorithm, LearnerState
from macpo.replay import buffer, priority
from macpo.replay.priority import Priorities, Replay
from macpo.training.rollout import collect
from macpo.types import Batch, Episodes, Metrics, Played, PyTree
from macpo.weighting.weighting import Weighting

_NETWORKS, _TRAINING, _EVALUATION = range(3)

_Learned: TypeAlias = tuple[LearnerState, Priorities]


class TrainState(NamedTuple):
    """Everything a run needs to continue bit for bit; with several seeds every leaf is [K, ...]."""

    learner: LearnerState
    replay_buffer: buffer.ReplayBuffer
    priorities: Priorities
    seed: Int[Array, "*K"]
    env_steps: Int[Array, "*K"]
    iteration: Int[Array, "*K"]
    updates: Int[Array, "*K"]
    last_sync: Int[Array, "*K"]
    """Episodes played when the targets were last copied."""


class Exploration(NamedTuple):
    """What episodes of training are played with."""

    params: PyTree
    key: PRNGKeyArray
    epsilon: Float[Array, ""]


@dataclass(frozen=True)
class Trainer:
    """The compiled functions of one experiment. Those that play need an environment in JAX."""

    env: Environment
    algorithm: Algorithm
    replay: Replay
    run: Run

    # --- one seed -----------------------------------------------------------------------------

    def _init(self, seed: Int[Array, ""]) -> TrainState:
        zero = jnp.zeros((), jnp.int32)
        return TrainState(
            learner=self.algorithm.init(_key(seed, _NETWORKS)),
            replay_buffer=buffer.init(self.env, self.run.buffer_size),
            priorities=priority.init(self.run.buffer_size),
            seed=seed,
            env_steps=zero,
            iteration=zero,
            updates=zero,
            last_sync=zero,
        )

    def epsilon(self, env_steps: Int[Array, ""]) -> Float[Array, ""]:
        """Exploration after so many env steps: linear, then flat."""
        run = self.run
        left = jnp.clip(1.0 - env_steps / run.epsilon_anneal_time, 0.0, 1.0)
        return run.epsilon_finish + left * (run.epsilon_start - run.epsilon_finish)

    def _iteration(self, state: TrainState) -> tuple[TrainState, Metrics]:
        params, key, epsilon = self._exploration(state)
        return self._learn(state, self.play(params, key, self.run.batch_size_run, epsilon, True))

    def _exploration(self, state: TrainState) -> Exploration:
        params, key = state.learner.params, _iteration_keys(state)[0]
        return Exploration(params, key, self.epsilon(state.env_steps))

    def _learn(self, state: TrainState, played: Played) -> tuple[TrainState, Metrics]:
        """All of an iteration that follows its episodes."""
        run, episodes = self.run, played.episodes
        learn_key, epsilon = _iteration_keys(state)[1], self.epsilon(state.env_steps)
        n_episodes = (state.iteration + 1) * run.batch_size_run
        # all seeds have played as many episodes: the branches taken are common to them
        ready = _common(n_episodes >= run.batch_size)
        due = n_episodes - state.last_sync >= run.target_update_interval
        sync = ready & _common(due)
        state = state._replace(
            replay_buffer=buffer.add(state.replay_buffer, episodes),
            priorities=priority.add(
                state.priorities, buffer.next_rows(state.replay_buffer, episodes)
            ),
            env_steps=state.env_steps + episodes.length.sum(),
            iteration=state.iteration + 1,
            updates=state.updates + ready * run.updates_per_iteration,
            last_sync=jnp.where(sync, n_episodes, state.last_sync),
        )
        (learner, priorities), learned = self._updates(state, learn_key, epsilon, ready, sync)
        metrics = {
            **outcome_means(played),
            "return_mean": episodes.reward.sum(-1).mean(),
            "ep_length_mean": episodes.length.mean(dtype=jnp.float32),
            "epsilon": epsilon,
            "episodes": n_episodes,
            "env_steps": state.env_steps,
            "updates": state.updates,
        }
        return state._replace(learner=learner, priorities=priorities), metrics | learned

    @functools.cached_property
    def _update(self) -> Callable[..., Any]:
        """The algorithm's, traced once however often a program mentions it."""
        return jax.jit(self.algorithm.update)

    def _updates(
        self, state: TrainState, key: PRNGKeyArray, epsilon: Array, ready: Array, sync: Array
    ) -> tuple[_Learned, Metrics]:
        """The updates of one iteration; before there is a full batch, none and metrics of NaN."""
        run = self.run

        def one(i: Array | int, learned: _Learned) -> tuple[_Learned, Metrics]:
            learner, priorities = learned
            sample_key, update_key = jax.random.split(jax.random.fold_in(key, i))
            batch, rows = self._sample(sample_key, state._replace(priorities=priorities), epsilon)
            last = i == run.updates_per_iteration - 1
            learner, metrics, td_error_abs = self._update(learner, batch, update_key, sync & last)
            if self.replay.sampling == "prioritized":
                valid = jnp.arange(td_error_abs.shape[1]) < batch.episodes.length[:, None]
                priorities = priority.update_priorities(
                    priorities, rows, td_error_abs, valid, self.replay
                )
                metrics["priority_mean"] = priorities.value.sum() / (priorities.value > 0).sum()
                metrics["importance_min"] = batch.importance.min()
            return (learner, priorities), metrics

        def several() -> tuple[_Learned, Metrics]:
            learned = jax.lax.fori_loop(
                0,
                run.updates_per_iteration - 1,
                lambda i, learned: one(i, learned)[0],
                (state.learner, state.priorities),
            )
            return one(run.updates_per_iteration - 1, learned)

        def none() -> tuple[_Learned, Metrics]:
            shapes = jax.eval_shape(several)[1]
            metrics = jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan), shapes)
            return (state.learner, state.priorities), metrics

        def as_float() -> tuple[_Learned, Metrics]:
            learned, metrics = several()
            return learned, jax.tree.map(lambda x: x.astype(jnp.float32), metrics)

        return jax.lax.cond(ready, as_float, none)

    def _sample(
        self, key: PRNGKeyArray, state: TrainState, epsilon: Array
    ) -> tuple[Batch, Int[Array, " B"]]:
        """A batch, and the rows of replay that its episodes come from."""
        run, ring = self.run, state.replay_buffer
        n_stored = jnp.minimum(ring.n_added, run.buffer_size)
        if self.replay.sampling == "prioritized":
            beta = priority.beta_at(state.env_steps, run.steps, self.replay)
            drawn = priority.draw(
                key, state.priorities, n_stored, run.batch_size, self.replay, beta
            )
            rows, importance = drawn.rows, drawn.importance
        else:
            rows = buffer.uniform_rows(key, ring, run.batch_size)
            importance = jnp.ones(run.batch_size)
        order = buffer.longest_first(ring, rows)
        rows, importance = rows[order], importance[order]
        batch = Batch(
            buffer.take(ring, rows),
            importance,
            env_steps=state.env_steps,
            epsilon=epsilon,
        )
        wanted = self.algorithm.recent(run.batch_size, run.buffer_size)
        if wanted is None:
            return batch, rows
        recent = buffer.sample(jax.random.fold_in(key, 1), ring, wanted.n_episodes, wanted.window)
        differs = n_stored > 4 * wanted.window
        return batch._replace(recent=recent, recent_differs=differs), rows

    def play(
        self,
        params: PyTree,
        key: PRNGKeyArray,
        n: int,
        epsilon: Float[Array, ""] | float | None,
        keep_states: bool,
    ) -> Played:
        """n whole episodes of one seed; greedy without an epsilon."""

        def act(
            key: PRNGKeyArray, hidden: PyTree, observation: Any, last: Array
        ) -> tuple[PyTree, Array]:
            return self.algorithm.act(params, key, hidden, observation, last, epsilon)

        hidden = self.algorithm.initial_hidden(n)
        return collect(self.env, act, hidden, key, n, keep_states)

    def _evaluate(self, state: TrainState) -> Metrics:
        params, key = _evaluation(state)
        return evaluation_metrics(self.play(params, key, self.run.test_nepisode, None, False))

    def _chunk(
        self, state: TrainState, mark: Int[Array, ""], most: int
    ) -> tuple[TrainState, Metrics]:
        iteration = jax.jit(self._iteration)  # traced once
        shapes = jax.eval_shape(iteration, state)[1]
        metrics = jax.tree.map(lambda s: jnp.zeros((most, *s.shape), s.dtype), shapes)
        start = state.iteration

        def unfinished(carry: tuple[TrainState, Metrics]) -> Array:
            state, _ = carry
            return _common((state.env_steps < mark) & (state.iteration - start < most))

        def step(carry: tuple[TrainState, Metrics]) -> tuple[TrainState, Metrics]:
            state, metrics = carry
            row = state.iteration - start
            state, new = iteration(state)
            return state, jax.tree.map(lambda m, x: m.at[row].set(x), metrics, new)

        return jax.lax.while_loop(unfinished, step, (state, metrics))

    # --- all seeds ----------------------------------------------------------------------------

    @functools.cached_property
    def init(self) -> Callable[[], TrainState]:
        """A fresh state of every seed."""
        seeds = self.run.seed + np.arange(self.run.seeds, dtype=np.int32)
        return self._jit(lambda: self._over_seeds(self._init, jnp.asarray(seeds)))

    @functools.cached_property
    def chunk(self) -> Callable[[TrainState, Array, int], tuple[TrainState, Metrics]]:
        """(state, mark, most) → (state, metrics [K, most]); the state given is consumed.

        Iterations until a seed has played `mark` env steps, but at most `most` (a constant of the
        compiled program). Metrics of iterations that were not made are zeros. Under `vmap` seeds
        go on until the last of them has reached the mark.
        """

        def chunk(state: TrainState, mark: Array, most: int) -> tuple[TrainState, Metrics]:
            return self._over_seeds(lambda s: self._chunk(s, mark, most), state)

        return self._jit(chunk, static_argnums=2, donate_argnums=0)

    @functools.cached_property
    def evaluate(self) -> Callable[[TrainState], Metrics]:
        """Metrics [K] of greedy episodes."""
        return self._jit(lambda state: self._over_seeds(self._evaluate, state))

    # --- where something else plays -----------------------------------------------------------

    @functools.cached_property
    def exploration(self) -> Callable[[TrainState, int], Exploration]:
        """(state, k) → what the next episodes of the k-th seed are to be played with."""
        return self._jit(lambda state, k: self._exploration(self._one(state, k)))

    @functools.cached_property
    def evaluation(self) -> Callable[[TrainState, int], tuple[PyTree, PRNGKeyArray]]:
        """(state, k) → the parameters and the random key of the k-th seed's next evaluation."""
        return self._jit(lambda state, k: _evaluation(self._one(state, k)))

    @functools.cached_property
    def learn(self) -> Callable[[TrainState, int, Episodes], tuple[TrainState, Metrics]]:
        """(state, k, episodes) → (state, metrics of the k-th seed): the iteration that they end.

        The state given is consumed."""

        def learn(state: TrainState, k: Array, episodes: Episodes) -> tuple[TrainState, Metrics]:
            one, metrics = self._learn(self._one(state, k), Played(episodes, {}))
            if self.run.seeds == 1:
                return jax.tree.map(lambda x: x[None], one), metrics
            return jax.tree.map(lambda old, new: old.at[k].set(new), state, one), metrics

        return self._jit(learn, donate_argnums=0)

    def _one(self, state: TrainState, k: Array) -> TrainState:
        """The k-th seed's slice."""
        return jax.tree.map(lambda x: x[0 if self.run.seeds == 1 else k], state)

    @property
    def sharding(self) -> NamedSharding:
        """Where a state lies: on all devices that share the work of an update."""
        return shard.replicated(self.run.batch_size)

    def _jit(self, fn: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        return jax.jit(
            fn,
            in_shardings=self.sharding,
            out_shardings=self.sharding,
            compiler_options=shard.compiler_options(self.run.batch_size),
            **options,
        )

    def _over_seeds(self, fn: Callable[[Any], Any], states: Any) -> Any:
        """fn of every seed's slice, stacked."""
        if self.run.seeds == 1:
            out = fn(jax.tree.map(lambda x: x[0], states))
            return jax.tree.map(lambda x: x[None], out)
        if jax.default_backend() == "cpu":
            return jax.lax.map(fn, states)
        return jax.vmap(fn)(states)


def make_trainer(experiment: Experiment) -> Trainer:
    """Build environment, weighting and algorithm, and check that they fit together."""
    env = experiment.env.make()
    if isinstance(env, HostEnvironment):
        env = HostEnvStub(env.spec)
    weighting = experiment.weighting.make()
    if experiment.algorithm.about.on_policy:
        _check_on_policy(experiment, weighting)
    algorithm, run = experiment.algorithm.make(env, weighting), experiment.run
    newest = algorithm.recent(run.batch_size, run.buffer_size)
    if newest is not None:
        name, n = registry.name_of(experiment.algorithm), newest.n_episodes
        require(
            n <= run.buffer_size,
            f"{name} learns from {n} of the newest episodes as well, but replay holds only "
            f"{run.buffer_size}; raise buffer_size.",
        )
    return Trainer(env, algorithm, experiment.replay, run)


def _check_on_policy(experiment: Experiment, weighting: Weighting) -> None:
    """UsageError unless every update learns from exactly the episodes just played."""
    run, name = experiment.run, registry.name_of(experiment.algorithm)
    require(
        not weighting.factors and experiment.replay.sampling == "uniform",
        f"{name} learns on-policy: each episode is used once, while it is new, so there is no "
        "replay to weigh or to prioritise; leave out --weighting and --replay.sampling, or choose "
        "an algorithm with replay (`macpo list algorithms`).",
    )
    require(
        run.buffer_size == run.batch_size == run.batch_size_run,
        f"{name} learns on-policy, from the episodes just played: batch_size ({run.batch_size}) "
        f"and buffer_size ({run.buffer_size}) must equal batch_size_run ({run.batch_size_run}).",
    )
    require(
        run.updates_per_iteration == 1,
        f"{name} learns on-policy, once from each episode: updates_per_iteration must be 1, not "
        f"{run.updates_per_iteration} (mappo's passes over its episodes are --algorithm.epochs).",
    )


def outcome_means(played: Played, prefix: str = "") -> Metrics:
    """`NAME_mean` for each NAME in the last `info` of the episodes; where it is an array, over all
    its numbers."""
    return {
        f"{prefix}{name}_mean": values.mean(dtype=jnp.float32)
        for name, values in played.outcome.items()
    }


def evaluation_metrics(played: Played) -> Metrics:
    """What an evaluation reports of its episodes, of JAX or NumPy arrays."""
    returns = played.episodes.reward.sum(-1)
    return {
        **outcome_means(played, "test_"),
        "test_return_mean": returns.mean(),
        "test_return_std": returns.std(),
        "test_ep_length_mean": played.episodes.length.mean(dtype=jnp.float32),
    }


def evaluation_key(seed: int) -> PRNGKeyArray:
    """The random key of greedy episodes outside of training."""
    return _key(jnp.asarray(seed), _EVALUATION)


def _evaluation(state: TrainState) -> tuple[PyTree, PRNGKeyArray]:
    key = jax.random.fold_in(_key(state.seed, _EVALUATION), state.env_steps)
    return state.learner.params, key


def _iteration_keys(state: TrainState) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    """(for playing, for learning)"""
    key = jax.random.fold_in(_key(state.seed, _TRAINING), state.iteration)
    play_key, learn_key = jax.random.split(key)
    return play_key, learn_key


def _common(flag: Bool[Array, ""]) -> Bool[Array, ""]:
    """Whether the flag is set for any seed of the surrounding `vmap`."""
    return common_max(flag.astype(jnp.int32)) > 0


def _key(seed: Int[Array, ""], purpose: int) -> PRNGKeyArray:
    return jax.random.fold_in(jax.random.key(seed), purpose)
