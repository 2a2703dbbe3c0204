"""The only training loop: collect, add, sample, update, sync, compiled.

An iteration plays one episode in each parallel environment, stores them, and performs the updates
that follow. A chunk is as many iterations as fit before the next evaluation, in one compiled
program; metrics come back as arrays.

Several seeds are one program too. On an accelerator they run side by side under `vmap`; whatever
decides a branch or a loop is then common to all (`common_max`), so that a seed never pays for
another's branch. On a CPU, which one seed keeps busy, they take turns: `vmap` would turn the
matrix products into batches, for which XLA has no fast code there. Where an update is sharded
over devices (`kernels.shard`), each of them collects and stores the same episodes.

Random keys: a seed's root key is `key(seed)`. Fold in 0 for the networks, 1 for training (then the
iteration), 2 for evaluation and 3 for a look into replay (then the number of env steps). Nothing
carries a key from one iteration to the next, so any iteration can be repeated on its own.

A run that learns offline plays no episodes, and its iterations begin with the sample. What is
counted in env steps otherwise, random keys included, is then counted in updates (`progress`).
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from macpo import registry
from macpo.envs.base import Environment
from macpo.envs.host import HostEnvironment
from macpo.envs.host_stub import HostEnvStub
from macpo.experiment import Experiment, Run
from macpo.kernels import shard
from macpo.kernels.common_max import common_max
from macpo.kernels.rows import with_row
from macpo.learners.base import Algorithm, LearnerState, UpdateResult
from macpo.learners.episodes import mean_over_rows
from macpo.machine import on_accelerator, require_bf16_units
from macpo.nets.precision import in_precision
from macpo.replay import buffer, priority
from macpo.replay.buffer import ReplayBuffer
from macpo.replay.priority import Priorities, Replay
from macpo.training import fitting, rewards
from macpo.training.host.pool import require_importable
from macpo.training.outcomes import episode_outcomes, evaluation_metrics, outcome_means
from macpo.training.programs import Programs, programs_of, shared_property
from macpo.training.rollout import collect
from macpo.types import (
    Batch,
    Episodes,
    Metrics,
    Observation,
    PyTree,
    Rollout,
    TimeStep,
)
from macpo.weighting.explained import explaining, take_explanation
from macpo.weighting.weighting import Explanation

_NETWORKS, _TRAINING, _EVALUATION, _LOOKING = range(4)
MAX_CHUNK = 64
"""Maximum number of iterations in a chunk, so that a signal is handled soon."""


class TrainState(NamedTuple):
    """Everything a run needs to continue bit for bit; with several seeds every leaf is [K, ...]."""

    learner: LearnerState
    replay_buffer: ReplayBuffer
    priorities: Priorities
    seed: Int[Array, "*K"]
    env_steps: Int[Array, "*K"]
    iteration: Int[Array, "*K"]
    updates: Int[Array, "*K"]
    last_sync: Int[Array, "*K"]
    """Episodes played when the target networks were last copied."""


class Exploration(NamedTuple):
    """The inputs of a rollout for training."""

    params: PyTree
    key: PRNGKeyArray
    epsilon: Float[Array, ""]


class Evaluation(NamedTuple):
    """The inputs of a rollout of greedy episodes."""

    params: PyTree
    key: PRNGKeyArray


class ExplainedBatch(NamedTuple):
    """Episodes drawn from replay, and what the weights of their steps are made of."""

    episodes: Episodes
    importance: Float[Array, " B"]
    explanation: Explanation


class AfterUpdates(NamedTuple):
    """The parts of a state that the updates of an iteration change."""

    learner: LearnerState
    priorities: Priorities


@dataclass(frozen=True)
class Trainer:
    """The compiled functions of one experiment; those that play need an environment in JAX."""

    env: Environment
    algorithm: Algorithm
    replay: Replay
    run: Run
    programs: Programs = field(default_factory=dict, init=False, repr=False, compare=False)
    """Those compiled so far; trainers with the same ones share them (`make_trainer`)."""

    # --- one seed -----------------------------------------------------------------------------

    def _start(self, learner_and_seed: tuple[LearnerState, Int[Array, ""]]) -> TrainState:
        learner, seed = learner_and_seed
        zero = jnp.zeros((), jnp.int32)
        return TrainState(
            learner=learner,
            replay_buffer=buffer.init(self.env, self.run.buffer_size),
            priorities=priority.init(self.run.buffer_size),
            seed=seed,
            env_steps=zero,
            iteration=zero,
            updates=zero,
            last_sync=zero,
        )

    @shared_property
    def seed_shapes(self) -> TrainState:
        """One seed's state, as shapes."""

        def state(seed: Int[Array, ""]) -> TrainState:
            return self._start((self.algorithm.init(_key(seed, _NETWORKS)), seed))

        return jax.eval_shape(state, jax.ShapeDtypeStruct((), jnp.int32))

    def _chunk(
        self, state: TrainState, until: Int[Array, ""], max_iterations: int
    ) -> tuple[TrainState, Metrics]:
        iteration = jax.jit(self._iteration)  # traced once
        shapes = jax.eval_shape(iteration, state)[1]
        metrics = jax.tree.map(lambda s: jnp.zeros((max_iterations, *s.shape), s.dtype), shapes)
        start = state.iteration

        def unfinished(carry: tuple[TrainState, Metrics]) -> Bool[Array, ""]:
            state, _ = carry
            is_before_end = progress(self.run, state) < until
            return _any_seed(is_before_end & (state.iteration - start < max_iterations))

        def step(carry: tuple[TrainState, Metrics]) -> tuple[TrainState, Metrics]:
            state, metrics = carry
            row = state.iteration - start
            state, new = iteration(state)
            return state, jax.tree.map(lambda m, x: with_row(m, x, row), metrics, new)

        return jax.lax.while_loop(unfinished, step, (state, metrics))

    def _iteration(self, state: TrainState) -> tuple[TrainState, Metrics]:
        play_key, learn_key = _iteration_keys(state)
        if self.run.is_offline:
            return self._learn_offline(state, learn_key)
        params, epsilon = state.learner.params, self.epsilon(state.env_steps)
        rollout = self.play(params, play_key, self.run.batch_size_run, epsilon, keep_states=True)
        return self._learn(state, learn_key, rollout)

    def _learn(
        self, state: TrainState, key: PRNGKeyArray, rollout: Rollout
    ) -> tuple[TrainState, Metrics]:
        """The rest of an iteration after its episodes: add, sample, update, sync."""
        epsilon = self.epsilon(state.env_steps)
        n_nonfinite = rewards.n_nonfinite(rollout).sum()
        rollout = rewards.read_as(self.run.nonfinite_rewards, rollout)
        state = self._add(state, rollout.episodes)
        state, update_metrics = self._improve(state, key, epsilon)
        metrics = {
            **outcome_means(rollout.outcome),
            "return_mean": rollout.episodes.reward.sum(-1).mean(),
            "ep_length_mean": rollout.episodes.length.mean(dtype=jnp.float32),
            "rewards_nonfinite": n_nonfinite,
            "epsilon": epsilon,
            "episodes": state.iteration * self.run.batch_size_run,
            "env_steps": state.env_steps,
            "updates": state.updates,
        }
        return state, metrics | update_metrics

    def _learn_offline(self, state: TrainState, key: PRNGKeyArray) -> tuple[TrainState, Metrics]:
        """An iteration without episodes: sample, update, sync."""
        state = state._replace(iteration=state.iteration + 1)
        state, update_metrics = self._improve(state, key, self.epsilon(state.env_steps))
        metrics = {
            "episodes": jnp.zeros_like(state.iteration),
            "env_steps": state.env_steps,
            "updates": state.updates,
        }
        return state, metrics | update_metrics

    def _improve(
        self, state: TrainState, key: PRNGKeyArray, epsilon: Float[Array, ""]
    ) -> tuple[TrainState, Metrics]:
        """The updates of an iteration, if replay holds enough for them, and the sync."""
        # all seeds have played equally many episodes, so they take the same branches; a run that
        # learns offline copies its target networks as often as if it had played them
        n_episodes = state.iteration * self.run.batch_size_run
        # a run that was resumed without its replay fills it anew
        ready = _any_seed(state.replay_buffer.n_added >= self.run.batch_size)
        if self._n_own > 0:
            ready &= _any_seed(n_episodes >= self._n_own)
        due = n_episodes - state.last_sync >= self.run.target_update_interval
        sync = ready & _any_seed(due)

        updates = functools.partial(self._updates, state, key, epsilon)
        no_updates = functools.partial(self._no_updates, state)
        (learner, priorities), update_metrics = jax.lax.cond(ready, updates, no_updates)
        state = state._replace(
            learner=self._sync(learner, sync),
            priorities=priorities,
            updates=state.updates + ready * self.run.updates_per_iteration,
            last_sync=jnp.where(sync, n_episodes, state.last_sync),
        )
        return state, update_metrics

    @property
    def _n_own(self) -> int:
        """How many episodes of the run itself must be in replay besides those it begins with.

        What an algorithm takes for recent play must not be that of somebody else.
        """
        wanted = self.algorithm.recent_episodes(self.run.batch_size, self.run.buffer_size)
        begins_empty = self.replay.from_file is None
        return 0 if wanted is None or begins_empty else wanted.window

    def _fill(self, state: TrainState, episodes: Episodes) -> TrainState:
        """The state with episodes in replay that the run has not played."""
        rows = buffer.next_rows(state.replay_buffer, episodes)
        return state._replace(
            replay_buffer=buffer.add(state.replay_buffer, episodes),
            priorities=priority.add(state.priorities, rows, self.replay),
        )

    def _add(self, state: TrainState, episodes: Episodes) -> TrainState:
        """The state with these episodes in replay."""
        return self._fill(state, episodes)._replace(
            env_steps=state.env_steps + episodes.length.sum(),
            iteration=state.iteration + 1,
        )

    def _updates(
        self, state: TrainState, key: PRNGKeyArray, epsilon: Float[Array, ""]
    ) -> tuple[AfterUpdates, Metrics]:
        """The updates of one iteration, and metrics of the last of them."""

        def update(current: AfterUpdates, i: Int[Array, ""]) -> tuple[AfterUpdates, Metrics]:
            sample_key, update_key = jax.random.split(jax.random.fold_in(key, i))
            batch, rows = self._sample(sample_key, state, current.priorities, epsilon)
            learner, metrics, td_error_abs = self._update(current.learner, batch, update_key)
            priorities, measured = current.priorities, td_error_abs
            if self.replay.priority == "weights":
                measured = _raw_weights(take_explanation(metrics), len(rows))
            if self.replay.sampling == "prioritized":
                valid = jnp.arange(measured.shape[1]) < batch.episodes.length[:, None]
                priorities = priority.update_priorities(
                    priorities, rows, measured, valid, self.replay
                )
                mean = priorities.value.sum() / (priorities.value > 0).sum()
                metrics |= {"priority_mean": mean, "importance_min": batch.importance.min()}
            return AfterUpdates(learner, priorities), jax.tree.map(jnp.float32, metrics)

        before = AfterUpdates(state.learner, state.priorities)
        numbers = jnp.arange(self.run.updates_per_iteration)
        after, metrics = jax.lax.scan(update, before, numbers)
        return after, jax.tree.map(lambda x: x[-1], metrics)

    def _no_updates(self, state: TrainState) -> tuple[AfterUpdates, Metrics]:
        """Before replay holds a full batch: no change, and metrics of 0."""
        metrics = jax.tree.map(lambda s: jnp.zeros(s.shape), self._update_shapes[1])
        return AfterUpdates(state.learner, state.priorities), metrics

    def _sync(self, learner: LearnerState, sync: Bool[Array, ""]) -> LearnerState:
        """With new target networks if `sync`."""
        targets = jax.lax.cond(
            sync,
            lambda: self.algorithm.sync_targets(learner).target_networks,
            lambda: learner.target_networks,
        )
        return learner._replace(target_networks=targets)

    @shared_property
    def _update_shapes(self) -> tuple[AfterUpdates, Metrics]:
        """The shapes of what `_updates` returns."""
        state = self.seed_shapes
        epsilon = jax.eval_shape(self.epsilon, state.env_steps)
        given = state, jax.eval_shape(jax.random.key, 0), epsilon

        def placed(shape: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=self.sharding)

        # placed as in a chunk, so that the chunk finds the update already traced
        return jax.eval_shape(self._updates, *jax.tree.map(placed, given))

    @property
    def update_metrics(self) -> frozenset[str]:
        """The names of the metrics that updates give; they are 0 until the first one."""
        return frozenset(self._update_shapes[1])

    def check(self) -> None:
        """Trace the updates: whatever a custom algorithm or weighting raises, it raises here.

        Nothing is computed, and no run has begun yet. UsageError for a precision that this machine
        has no units for.
        """
        if self.run.precision == "bf16":
            require_bf16_units()
        _ = self._update_shapes

    @shared_property
    def _update(self) -> Callable[[LearnerState, Batch, PRNGKeyArray], UpdateResult]:
        """The algorithm's update, traced once however often a program uses it."""
        update = in_precision(self.run.precision, self.algorithm.update)
        return jax.jit(shard.on_devices_of(self.run.batch_size, update))

    def _sample(
        self,
        key: PRNGKeyArray,
        state: TrainState,
        priorities: Priorities,
        epsilon: Float[Array, ""],
    ) -> tuple[Batch, Int[Array, " B"]]:
        """A batch, and the rows of the replay buffer that its episodes come from."""
        run, replay_buffer = self.run, state.replay_buffer
        now = progress(run, state)
        rows, importance = priority.sample(
            key, replay_buffer, priorities, run.batch_size, self.replay, now, run.end
        )
        episodes = buffer.take(replay_buffer, rows)
        batch = Batch(episodes, importance, env_steps=now, epsilon=epsilon)
        wanted = self.algorithm.recent_episodes(run.batch_size, run.buffer_size)
        if wanted is None:
            return batch, rows
        recent_key = jax.random.fold_in(key, 1)
        recent = buffer.sample(recent_key, replay_buffer, wanted.n_episodes, wanted.window)
        n_stored = jnp.minimum(replay_buffer.n_added, run.buffer_size)
        differs = n_stored > 4 * wanted.window
        return batch._replace(recent=recent, recent_differs=differs), rows

    def play(
        self,
        params: PyTree,
        key: PRNGKeyArray,
        n_episodes: int,
        epsilon: Float[Array, ""] | float | None = None,
        keep_states: bool = False,
    ) -> Rollout:
        """One episode in each of `n_episodes` parallel environments; greedy if epsilon is None."""

        def act(
            key: PRNGKeyArray, hidden: PyTree, observation: Observation, last_action: Array
        ) -> tuple[PyTree, Array]:
            return self.algorithm.act(params, key, hidden, observation, last_action, epsilon)

        hidden = self.algorithm.initial_hidden(n_episodes)
        return collect(self.env, act, hidden, key, n_episodes, keep_states)

    @shared_property
    def compiled_play(self) -> Callable[..., Rollout]:
        """`play`, compiled for each number of episodes, epsilon and whether states are kept."""
        return jax.jit(self.play, static_argnums=(2, 3, 4))

    @shared_property
    def compiled_act(self) -> Callable[..., tuple[PyTree, Array]]:
        """The algorithm's `act`, compiled for each number of environments."""
        return jax.jit(self.algorithm.act)

    @shared_property
    def compiled_reset(self) -> Callable[[PRNGKeyArray], tuple[PyTree, TimeStep]]:
        """The environment's `reset`, compiled."""
        return jax.jit(self.env.reset)

    @shared_property
    def compiled_step(self) -> Callable[[PRNGKeyArray, PyTree, Array], tuple[PyTree, TimeStep]]:
        """The environment's `step`, compiled."""
        return jax.jit(self.env.step)

    def epsilon(self, env_steps: Int[Array, ""]) -> Float[Array, ""]:
        """The exploration rate at this number of env steps: linear, then constant.

        Offline nobody explores, and policies that include exploration are those of its end.
        """
        run = self.run
        if run.is_offline:
            return jnp.full(jnp.shape(env_steps), run.epsilon_finish)
        left = jnp.clip(1.0 - env_steps / run.epsilon_anneal_time, 0.0, 1.0)
        return run.epsilon_finish + left * (run.epsilon_start - run.epsilon_finish)

    def _evaluation(self, state: TrainState) -> Evaluation:
        key = jax.random.fold_in(_key(state.seed, _EVALUATION), progress(self.run, state))
        return Evaluation(state.learner.params, key)

    def _evaluate(self, state: TrainState) -> Metrics:
        params, key = self._evaluation(state)
        rollout = self.play(params, key, self.run.test_nepisode)
        return evaluation_metrics(episode_outcomes(rollout, self.run))

    # --- all seeds ----------------------------------------------------------------------------

    def init(self) -> TrainState:
        """A fresh state of every seed."""
        seeds = self.run.seed + np.arange(self.run.seeds, dtype=np.int32)
        # not compiled together: compiling the draws of parameters takes longer than drawing them
        learners = [self._init_learner(_key(jnp.asarray(seed), _NETWORKS)) for seed in seeds]
        stacked = jax.tree.map(lambda *xs: np.stack(xs), *learners)
        return self._compiled_start((stacked, seeds))

    @shared_property
    def _init_learner(self) -> Callable[[PRNGKeyArray], LearnerState]:
        """The same for all trainers with these programs, for it keeps what it has compiled."""
        return self.algorithm.init

    @shared_property
    def _compiled_start(self) -> Callable[[tuple[LearnerState, np.ndarray]], TrainState]:
        return self._jit(self._over_seeds(self._start))

    @property
    def state_shapes(self) -> TrainState:
        """What `init` returns, as shapes; nothing is computed."""
        k = self.run.seeds
        return jax.tree.map(
            lambda s: s.update(shape=(k, *s.shape), sharding=self.sharding), self.seed_shapes
        )

    @shared_property
    def chunk(
        self,
    ) -> Callable[[TrainState, Int[Array, ""], int], tuple[TrainState, Metrics]]:
        """(state, until, max_iterations) → (state, metrics [K, max_iterations]).

        Iterations until the `progress` of every seed is `until`, but at most `max_iterations` (a
        constant of the compiled program). Metrics of iterations that were not run are zeros. The
        state given is consumed. Under `vmap` seeds go on until the last of them is done.
        """

        return self._jit(self._over_seeds(self._chunk), static_argnums=2, donate_argnums=0)

    @property
    def chunk_length(self) -> int:
        """Iterations in a chunk: about those between two evaluations, but at most `MAX_CHUNK`."""
        run = self.run
        env_steps = self.env.spec.episode_limit * run.batch_size_run
        each = run.updates_per_iteration if run.is_offline else env_steps
        return min(max(run.test_interval // each, 1), MAX_CHUNK)

    @shared_property
    def compiled_chunk(self) -> Callable[[TrainState, int], tuple[TrainState, Metrics]]:
        """`chunk`, compiled ahead: (state, until) → (state, metrics [K, chunk_length])."""
        chunk: Any = self.chunk  # typed as a plain function, but a product of `jax.jit`
        until = jax.ShapeDtypeStruct((), jnp.int32)
        compiled = chunk.lower(self.state_shapes, until, self.chunk_length).compile()
        return lambda state, until: compiled(state, jnp.asarray(until, jnp.int32))

    @shared_property
    def fill(self) -> Callable[[TrainState, Episodes], TrainState]:
        """(state, episodes) → the state with these in the replay of every seed, as its newest.

        They count as nothing that the run has played. The state given is consumed. Compiled for
        each number of episodes.
        """

        def fill(states: TrainState, episodes: Episodes) -> TrainState:
            # not `_over_seeds`, which copies all of replay for a few rows of it
            return _vmap(lambda state: self._fill(state, episodes), states)

        return self._jit(fill, donate_argnums=0)

    @shared_property
    def evaluate(self) -> Callable[[TrainState], Metrics]:
        """Metrics [K] of greedy episodes."""
        return self._jit(self._over_seeds(self._evaluate))

    @shared_property
    def compiled_evaluate(self) -> Callable[[TrainState], Metrics]:
        """`evaluate`, compiled ahead."""
        evaluate: Any = self.evaluate  # as for a chunk
        return evaluate.lower(self.state_shapes).compile()

    @shared_property
    def explain(self) -> Callable[[TrainState], ExplainedBatch]:
        """state → a batch that the first seed might learn from next, and why each step weighs what
        it weighs.

        Only for an algorithm with an `Explained` weighting: UsageError if it has another or does
        not ask it. The batch is drawn as for an update. Of the update nothing is compiled but the
        way to the weights.
        """

        def explain(state: TrainState) -> ExplainedBatch:
            one = self._seed(state, jnp.zeros((), jnp.int32))
            key = jax.random.fold_in(_key(one.seed, _LOOKING), progress(self.run, one))
            sample_key, update_key = jax.random.split(key)
            batch, _ = self._sample(sample_key, one, one.priorities, self.epsilon(one.env_steps))
            metrics = self._update(one.learner, batch, update_key).metrics
            return ExplainedBatch(batch.episodes, batch.importance, take_explanation(metrics))

        return self._jit(explain)

    # --- for players outside the compiled program ---------------------------------------------

    @shared_property
    def exploration(self) -> Callable[[TrainState, int], Exploration]:
        """(state, k) → the inputs of the k-th seed's next rollout for training."""

        def exploration(state: TrainState, k: Array) -> Exploration:
            one = self._seed(state, k)
            play_key, _ = _iteration_keys(one)
            return Exploration(one.learner.params, play_key, self.epsilon(one.env_steps))

        return self._jit(exploration)

    @shared_property
    def evaluation(self) -> Callable[[TrainState, int], Evaluation]:
        """(state, k) → the inputs of the k-th seed's next evaluation."""
        return self._jit(lambda state, k: self._evaluation(self._seed(state, k)))

    @shared_property
    def learn(self) -> Callable[[TrainState, int, Episodes], tuple[TrainState, Metrics]]:
        """(state, k, episodes) → (state, metrics of the k-th seed): the rest of their iteration.

        The state given is consumed.
        """

        def learn(state: TrainState, k: Array, episodes: Episodes) -> tuple[TrainState, Metrics]:
            one = self._seed(state, k)
            one, metrics = self._learn(one, _iteration_keys(one)[1], Rollout(episodes, {}))
            if self.run.seeds == 1:
                return jax.tree.map(lambda x: x[None], one), metrics
            return jax.tree.map(lambda old, new: old.at[k].set(new), state, one), metrics

        return self._jit(learn, donate_argnums=0)

    def _seed(self, state: TrainState, k: Array) -> TrainState:
        """The k-th seed's slice of the state."""
        return jax.tree.map(lambda x: x[0 if self.run.seeds == 1 else k], state)

    @property
    def sharding(self) -> NamedSharding:
        """Where a state is placed: on all devices that share the work of an update."""
        return shard.replicated(self.run.batch_size)

    # of any signature, like `jax.jit`
    def _jit(self, fn: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        return jax.jit(
            fn,
            in_shardings=self.sharding,
            out_shardings=self.sharding,
            compiler_options=shard.compiler_options(self.run.batch_size),
            **options,
        )

    def _over_seeds(self, fn: Callable[..., PyTree]) -> Callable[..., PyTree]:
        """`fn`, a function of one seed's slice and more, mapped over all seeds, results stacked."""

        def over_seeds(states: PyTree, *args: PyTree) -> PyTree:
            if self.run.seeds == 1:
                out = fn(jax.tree.map(lambda x: x[0], states), *args)
                return jax.tree.map(lambda x: x[None], out)
            map_seeds = _vmap if on_accelerator() else jax.lax.map
            return map_seeds(lambda state: fn(state, *args), states)

        return over_seeds


def _vmap(fn: Callable[[PyTree], PyTree], xs: PyTree) -> PyTree:
    return jax.vmap(fn)(xs)


def make_trainer(experiment: Experiment, *, to_play: bool = False) -> Trainer:
    """Build environment, weighting and algorithm, and check that they fit together.

    `to_play` also checks what playing needs, such as a game: a policy can be asked for actions
    without it. Raises UsageError.
    """
    env = experiment.env.make()
    if isinstance(env, HostEnvironment):
        if to_play:
            require_importable(registry.name_of(experiment.env))
            env.check_ready()
        env = HostEnvStub(env.spec)
    fitting.check_schedule(experiment, env.spec)
    algorithm, run = experiment.algorithm.make(env, experiment.weighting), experiment.run
    if experiment.replay.priority == "weights":
        algorithm = explaining(algorithm, weighs=False)
    fitting.check_recent_play(experiment, algorithm)
    trainer = Trainer(env, algorithm, experiment.replay, run)
    object.__setattr__(trainer, "programs", programs_of(experiment, env))  # of no copy of it
    return trainer


def _raw_weights(why: Explanation, n_episodes: int) -> Float[Array, "B T"]:
    """Of every step; the mean of its agents or critics, where each has a weight of its own."""
    raw = why.weights if why.log_raw is None else jnp.exp(why.log_raw)
    return mean_over_rows(raw.mean(-1) if raw.ndim == 3 else raw, n_episodes)


def evaluation_key(seed: int) -> PRNGKeyArray:
    """The random key of greedy episodes outside of training."""
    return _key(jnp.asarray(seed), _EVALUATION)


def _iteration_keys(state: TrainState) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    """(for playing, for learning)"""
    key = jax.random.fold_in(_key(state.seed, _TRAINING), state.iteration)
    play_key, learn_key = jax.random.split(key)
    return play_key, learn_key


def progress(run: Run, state: TrainState) -> Int[Array, "*K"]:
    """How far a state is on the way to the run's end: env steps, or the updates of an offline run.

    The unit is `run.unit`.
    """
    return state.updates if run.is_offline else state.env_steps


def _any_seed(flag: Bool[Array, ""]) -> Bool[Array, ""]:
    """Whether the flag is set for any seed of the surrounding `vmap`."""
    return common_max(flag.astype(jnp.int32)) > 0


def _key(seed: Int[Array, ""], purpose: int) -> PRNGKeyArray:
    return jax.random.fold_in(jax.random.key(seed), purpose)
