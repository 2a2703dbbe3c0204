"""Whole episodes from a pool of workers, and a run played with them.

An episode depends on the policy, its own random key and the environment, and on nothing else: not
on which worker is fast, how many workers there are, or whether another episode is lost. So a run
on an environment that depends on its seed alone repeats bit for bit.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from macpo.replay import buffer
from macpo.training.host.episodes import EpisodeWriter
from macpo.training.host.pool import EpisodeLost, Pool, Worker
from macpo.training.outcomes import episode_outcomes, evaluation_metrics, outcome_means
from macpo.training.programs import Programs, shared_property
from macpo.training.trainer import Trainer, TrainState
from macpo.types import AnyArray, Metrics, Observation, PyTree, Rollout


class HostPlayer:
    """A `Player` whose episodes come from a pool (see `macpo.training.player`)."""

    def __init__(self, trainer: Trainer, pool: Pool) -> None:
        self.trainer = trainer
        self.pool = pool

    @property
    def programs(self) -> Programs:
        """The trainer's."""
        return self.trainer.programs

    def compile(self) -> None:
        """Compile what follows an iteration's episodes; the workers start meanwhile."""
        trainer = self.trainer
        _ = trainer.compiled_chunk if trainer.run.is_offline else self._learn

    def chunk(self, state: TrainState, until: int) -> tuple[TrainState, Metrics]:
        """One iteration of every seed that has not yet played that many env steps.

        Metrics are [K, 1], zeros where nothing was played. All seeds play before any learns: if
        playing fails, the state is still whole. Offline nothing is played, and all is compiled.
        """
        if self.trainer.run.is_offline:
            return self.trainer.compiled_chunk(state, until)
        run, rollouts = self.trainer.run, dict[int, tuple[Rollout, int]]()
        for k in np.flatnonzero(np.asarray(state.env_steps) < until).tolist():
            params, key, epsilon = self.trainer.exploration(state, k)
            rollouts[k] = self.collect(params, key, run.batch_size_run, epsilon)
        metrics: dict[str, AnyArray] = {}  # filled in place
        for k, (rollout, n_lost) in rollouts.items():
            state, learned = self._learn(state, k, rollout.episodes)
            row = {
                **outcome_means(rollout.outcome),
                **jax.device_get(learned),
                "episodes_lost": n_lost,
            }
            for name, value in row.items():
                zeros = np.zeros((run.seeds, 1), np.asarray(value).dtype)
                metrics.setdefault(name, zeros)[k] = value
        return state, metrics

    def evaluate(self, state: TrainState) -> Metrics:
        """Metrics [K] of greedy episodes."""
        run, rows = self.trainer.run, list[dict[str, AnyArray]]()
        for k in range(run.seeds):
            params, key = self.trainer.evaluation(state, k)
            rollout, n_lost = self.collect(params, key, run.test_nepisode, keep_states=False)
            metrics = evaluation_metrics(episode_outcomes(rollout, run))
            rows.append({**metrics, "test_episodes_lost": n_lost})
        metrics: dict[str, AnyArray] = {
            name: np.stack([row[name] for row in rows]) for name in rows[0]
        }
        return metrics

    def play(
        self,
        params: PyTree,
        key: PRNGKeyArray,
        n_episodes: int,
        epsilon: float | None = None,
        *,
        keep_states: bool = False,
    ) -> Rollout:
        """Fresh episodes; lost ones are played again."""
        return self.collect(params, key, n_episodes, epsilon, keep_states)[0]

    def film(self, params: PyTree, key: PRNGKeyArray) -> tuple[Rollout, list[bytes]]:
        """One greedy episode, and a PNG of each of its states; NoPictures if they are not drawn."""
        pictures: dict[int, bytes] = {}
        rollout, _ = self.collect(params, key, 1, pictures=pictures)
        return rollout, [pictures[t] for t in range(int(rollout.episodes.length[0]) + 1)]

    def collect(
        self,
        params: PyTree,
        key: PRNGKeyArray,
        n_episodes: int,
        epsilon: Float[Array, ""] | float | None = None,
        keep_states: bool = True,
        pictures: dict[int, bytes] | None = None,
    ) -> tuple[Rollout, int]:
        """Episodes as NumPy arrays, and how many were lost and played again with a new seed.

        `pictures` is filled with those of the states of a single episode.

        The policy answers all workers that wait for it as soon as no other message is there. So it
        works while the others take their step, and the slower it is, the more it answers at once.
        """
        device = jax.devices()[0]  # a policy is too small to be shared out
        params, key, epsilon = jax.device_put((params, key, epsilon), device)
        params = tuple(jax.tree.leaves(params))  # flattened once, not in each of many short calls
        hidden = jax.device_put(self.trainer.algorithm.initial_hidden(n_episodes), device)
        writer = EpisodeWriter(
            self.pool.spec, n_episodes, keep_states, self.trainer.run.nonfinite_rewards
        )
        attempts = np.zeros(n_episodes, np.int32)
        seeds, act_keys = self._begin(key, attempts)
        queue, playing = deque(range(n_episodes)), dict[Worker, int]()
        while queue or playing:
            for worker in self.pool.idle()[: len(queue)]:
                playing[worker] = row = queue.popleft()
                self.pool.reset(worker, int(seeds[row]))
            for worker, event in self.pool.wait():
                row = playing[worker]
                if isinstance(event, EpisodeLost):
                    writer.discard(row)
                    attempts[row] += 1
                    seeds, act_keys = self._begin(key, attempts)
                    queue.appendleft(playing.pop(worker))
                else:
                    writer.add(row, worker.slot, event.outcome)
                    if pictures is not None:
                        pictures[int(writer.t[row])] = self.pool.view(worker)
                    if event.outcome is not None:
                        del playing[worker]
            if writer.waiting.any():
                hidden, actions = self._act(
                    params,
                    act_keys,
                    hidden,
                    writer.t,
                    writer.observation,
                    writer.last_action,
                    writer.waiting,
                    epsilon,
                )
                answered = writer.answer(np.asarray(actions))
                for worker, row in playing.items():
                    if answered[row]:
                        self.pool.step(worker, writer.last_action[row])
        return writer.finish(), int(attempts.sum())

    # --- compiled; `jax.jit` leaves their types open ----------------------------------------------

    @shared_property
    def _learn(self) -> Callable[..., tuple[TrainState, Metrics]]:
        """`Trainer.learn`, compiled ahead."""
        trainer = self.trainer
        replay = jax.eval_shape(lambda: buffer.init(trainer.env, trainer.run.batch_size_run))
        jitted: Any = trainer.learn  # as for a chunk of the trainer
        return jitted.lower(trainer.state_shapes, 0, replay.episodes).compile()

    @shared_property
    def _begin(self) -> Callable[..., PyTree]:
        """(key, attempts [n]) → (seeds [n] of the environments, keys [n] of the policy)."""

        def one(key: PRNGKeyArray, row: Array, attempt: Array) -> tuple[Array, PRNGKeyArray]:
            key = jax.random.fold_in(jax.random.fold_in(key, row), attempt)
            env_key, act_key = jax.random.split(key)
            return jax.random.randint(env_key, (), 0, jnp.iinfo(jnp.int32).max), act_key

        return jax.jit(
            lambda key, attempts: jax.vmap(one, (None, 0, 0))(
                key, jnp.arange(attempts.size), attempts
            )
        )

    @shared_property
    def _act(self) -> Callable[..., tuple[PyTree, Array]]:
        """(leaves of params, keys, hidden, t, observation, last action, waiting, epsilon) →
        (recurrent state, actions); the recurrent states of rows that do not wait stay as they are.
        """
        algorithm = self.trainer.algorithm
        structure = jax.tree.structure(jax.eval_shape(algorithm.init, jax.random.key(0)).params)

        def one(
            params: tuple[Array, ...],
            key: PRNGKeyArray,
            hidden: PyTree,
            t: Array,
            observation: Observation,
            last_action: Array,
            waiting: Array,
            epsilon: Array | None,
        ) -> tuple[PyTree, Array]:
            fresh = algorithm.initial_hidden(1)
            before = jax.tree.map(lambda new, old: jnp.where(t == 0, new, old[None]), fresh, hidden)
            observation, last_action = jax.tree.map(lambda x: x[None], (observation, last_action))
            key = jax.random.fold_in(key, t)
            networks = jax.tree.unflatten(structure, params)
            after, actions = algorithm.act(networks, key, before, observation, last_action, epsilon)
            after = jax.tree.map(lambda new, old: jnp.where(waiting, new[0], old), after, hidden)
            return after, actions[0]

        return jax.jit(jax.vmap(one, (None, 0, 0, 0, 0, 0, 0, None)))
