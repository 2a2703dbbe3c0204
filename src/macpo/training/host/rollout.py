"""Whole episodes from a pool of workers, and the two functions that drive a run with them.

An episode depends on the policy, its own random key and the environment, and on nothing else: not
on who is fast, how many workers there are, or whether another episode is lost. So a run on an
environment that depends on its seed alone repeats bit for bit.
"""

import functools
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from macpo.envs.host import HostEnvStub
from macpo.errors import require
from macpo.replay import buffer
from macpo.training.host.pool import Lost, Pool, Worker
from macpo.training.host.slot import Slot
from macpo.training.trainer import (
    Trainer,
    TrainState,
    evaluation_key,
    evaluation_metrics,
    outcome_means,
)
from macpo.types import Episodes, Metrics, Observation, PyTree, Rollout, Spec


@dataclass(frozen=True)
class HostRollout:
    """A trainer whose episodes come from a pool."""

    trainer: Trainer
    pool: Pool

    def chunk(self, state: TrainState, mark: Any) -> tuple[TrainState, Metrics]:
        """One iteration of every seed that has not played `mark` env steps; the state is consumed.

        Metrics are [K, 1], zeros where nothing was played. All play before any learns: if play
        fails, the state is still whole.
        """
        run, played = self.trainer.run, dict[int, tuple[Rollout, int]]()
        for k in np.flatnonzero(np.asarray(state.env_steps) < int(mark)).tolist():
            params, key, epsilon = self.trainer.exploration(state, k)
            played[k] = self.play(params, key, epsilon, run.batch_size_run)
        metrics: dict[str, Any] = {}
        for k, (new, n_lost) in played.items():
            state, learned = self.learn(state, k, new.episodes)
            row = {**outcome_means(new), **jax.device_get(learned), "episodes_lost": n_lost}
            for name, value in row.items():
                zeros = np.zeros((run.seeds, 1), np.asarray(value).dtype)
                metrics.setdefault(name, zeros)[k] = value
        return state, metrics

    def evaluate(self, state: TrainState) -> Metrics:
        """Metrics [K] of greedy episodes."""
        run, rows = self.trainer.run, list[dict[str, Any]]()
        for k in range(run.seeds):
            params, key = self.trainer.evaluation(state, k)
            played, n_lost = self.play(params, key, None, run.test_nepisode, keep_states=False)
            rows.append({**evaluation_metrics(played), "test_episodes_lost": n_lost})
        metrics: dict[str, Any] = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        return metrics

    def fresh_episodes(
        self,
        params: PyTree,
        seed: int,
        n: int,
        epsilon: float | None = None,
        keep_states: bool = False,
    ) -> Rollout:
        """n episodes, as `Trainer.fresh_episodes`."""
        return self.play(params, evaluation_key(seed), epsilon, n, keep_states)[0]

    def play(
        self,
        params: PyTree,
        key: PRNGKeyArray,
        epsilon: Float[Array, ""] | float | None,
        n: int,
        keep_states: bool = True,
    ) -> tuple[Rollout, int]:
        """n episodes, of NumPy arrays, and how many were lost and played again with a new seed.

        The policy answers all that wait for it as soon as nothing else is heard, so that it works
        while the others take their step, and the slower it is the more it answers at once.
        """
        device = jax.devices()[0]  # a policy is too small to be shared out
        params, key, epsilon = jax.device_put((params, key, epsilon), device)
        params = tuple(jax.tree.leaves(params))  # found once, not in each of many short calls
        hidden = jax.device_put(self.trainer.algorithm.initial_hidden(n), device)
        book = _Book(self.pool.spec, n, keep_states)
        attempts = np.zeros(n, np.int32)
        seeds, act_keys = self._begin(key, attempts)
        queue, playing = deque(range(n)), dict[Worker, int]()
        while queue or playing:
            for worker in self.pool.idle()[: len(queue)]:
                playing[worker] = row = queue.popleft()
                self.pool.reset(worker, int(seeds[row]))
            for worker, event in self.pool.wait():
                row = playing[worker]
                if isinstance(event, Lost):
                    book.forget(row)
                    attempts[row] += 1
                    seeds, act_keys = self._begin(key, attempts)
                    queue.appendleft(playing.pop(worker))
                else:
                    book.add(row, worker.slot, event.outcome)
                    if event.outcome is not None:
                        del playing[worker]
            if book.waiting.any():
                seen = (book.t, book.seen, book.last, book.waiting)
                hidden, actions = self._act(params, act_keys, hidden, seen, epsilon)
                answered = book.answer(np.asarray(actions))
                for worker, row in playing.items():
                    if answered[row]:
                        self.pool.step(worker, book.last[row])
        return book.played(), int(attempts.sum())

    # --- compiled -----------------------------------------------------------------------------

    @functools.cached_property
    def learn(self) -> Any:
        """`Trainer.learn`, compiled."""
        trainer = self.trainer
        ring = jax.eval_shape(lambda: buffer.init(trainer.env, trainer.run.batch_size_run))
        lowered: Any = trainer.learn
        return lowered.lower(jax.eval_shape(trainer.init), 0, ring.episodes).compile()

    @functools.cached_property
    def _begin(self) -> Any:
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

    @functools.cached_property
    def _act(self) -> Any:
        """(leaves of params, keys, hidden, (t, observation, last actions, waiting), epsilon) →
        (recurrent state, actions); the states of those that do not wait stay as they are."""
        algorithm = self.trainer.algorithm
        structure = jax.tree.structure(jax.eval_shape(algorithm.init, jax.random.key(0)).params)

        def one(
            params: tuple[Array, ...], key: PRNGKeyArray, hidden: PyTree, seen: Any, epsilon: Any
        ) -> Any:
            t, observation, last, waiting = seen
            fresh = algorithm.initial_hidden(1)
            before = jax.tree.map(lambda new, old: jnp.where(t == 0, new, old[None]), fresh, hidden)
            observation, last = jax.tree.map(lambda x: x[None], (observation, last))
            key = jax.random.fold_in(key, t)
            networks = jax.tree.unflatten(structure, params)
            after, actions = algorithm.act(networks, key, before, observation, last, epsilon)
            after = jax.tree.map(lambda new, old: jnp.where(waiting, new[0], old), after, hidden)
            return after, actions[0]

        return jax.jit(jax.vmap(one, (None, 0, 0, 0, None)))


def is_hosted(trainer: Trainer) -> bool:
    """Whether the trainer's environment is not JAX, so that only a pool can play it."""
    return isinstance(trainer.env, HostEnvStub)


class _Book:
    """Episodes being written, a row each, and where each of them stands."""

    def __init__(self, spec: Spec, n: int, keep_states: bool) -> None:
        self.spec = spec
        agents, limit = (n, spec.n_agents), spec.episode_limit
        self.t: Int[np.ndarray, " n"] = np.zeros(n, np.int32)
        self.seen = _observations(spec, n)
        self.last: Int[np.ndarray, "n N"] = np.full(agents, -1, np.int8)
        self.waiting: Bool[np.ndarray, " n"] = np.zeros(n, bool)
        """For an answer of the policy."""
        self.going: Bool[np.ndarray, " n"] = np.zeros(n, bool)
        self.outcomes: list[Mapping[str, float]] = [{} for _ in range(n)]
        self.episodes = Episodes(
            encoded_state=_observations(spec, n, limit + 1) if keep_states else (),
            actions=_zeros((n, limit, spec.n_agents), np.int8),
            reward=_zeros((n, limit), np.float32),
            length=_zeros(n, np.int32),
            terminated=_zeros(n, bool),
        )

    def add(self, row: int, slot: Slot, outcome: Mapping[str, float] | None) -> None:
        """Write a time step; with an outcome it is the last one."""
        episodes, limit = self.episodes, self.spec.episode_limit
        if self.going[row]:
            t = self.t[row]
            episodes.actions[row, t] = self.last[row]
            episodes.reward[row, t] = slot.reward[0]
            episodes.length[row] = self.t[row] = t + 1
        for place, shown in zip(self.seen, slot, strict=False):
            place[row] = shown
        for place, shown in zip(episodes.encoded_state, slot, strict=False):
            place[row, self.t[row]] = shown
        over = outcome is not None
        require(
            over or self.t[row] < limit,
            f"{self.spec.name} goes on after {limit} env steps, its episode_limit; its step must "
            "say truncated then.",
        )
        self.going[row] = self.waiting[row] = not over
        if over:
            cut = slot.truncated[0] and self.spec.truncation_is_terminal
            episodes.terminated[row] = slot.terminated[0] or cut
            self.outcomes[row] = outcome

    def forget(self, row: int) -> None:
        """Start the row anew."""
        self.going[row] = self.waiting[row] = False
        self.t[row], self.last[row] = 0, -1
        for array in jax.tree.leaves(self.episodes):
            array[row] = 0

    def answer(self, actions: Int[np.ndarray, "n N"]) -> Bool[np.ndarray, " n"]:
        """Note what those who wait are to do; who they were."""
        answered = self.waiting.copy()
        self.last[answered] = actions[answered]
        self.waiting[:] = False
        return answered

    def played(self) -> Rollout:
        """All episodes; every row must be over."""
        names = set(self.outcomes[0])
        require(
            all(names == set(outcome) for outcome in self.outcomes),
            f"{self.spec.name} ends episodes with different names in info; they must be the same.",
        )
        outcome: dict[str, Any] = {
            name: np.array([outcome[name] for outcome in self.outcomes], np.float32)
            for name in sorted(names)
        }
        return Rollout(self.episodes, outcome)


def _zeros(shape: int | tuple[int, ...], dtype: Any) -> Any:
    return np.zeros(shape, dtype)


def _observations(spec: Spec, *leading: int) -> Observation:
    n = spec.n_agents
    return Observation(
        _zeros((*leading, n, spec.obs_size), np.float32),
        _zeros((*leading, spec.state_size), np.float32),
        _zeros((*leading, n, spec.n_actions), bool),
    )
