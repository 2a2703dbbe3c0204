"""Who plays the episodes of a run: the compiled program, or worker processes.

A JAX environment is part of the compiled program (`CompiledPlayer`). One that is plain Python is
played by a pool of workers (`macpo.training.host`), and only the learning is compiled.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from macpo.bounds import MAX_INT
from macpo.envs.host_stub import HostEnvStub
from macpo.errors import require
from macpo.experiment import Experiment, to_dict
from macpo.training.host.player import HostPlayer
from macpo.training.host.pool import Pool, Workers
from macpo.training.trainer import Trainer, TrainState
from macpo.types import Metrics, PyTree, Rollout


class Player(Protocol):
    """Plays episodes, of training and of evaluation, with a trainer's algorithm."""

    trainer: Trainer
    """Of what is learned."""

    def compile(self) -> None:
        """Compile what a run needs, ahead of its first chunk."""
        ...

    def chunk(self, state: TrainState, until: int) -> tuple[TrainState, Metrics]:
        """Run iterations of every seed whose `progress` is less than `until`.

        The player decides how many. Metrics are [K, iterations], zeros for iterations that were not
        run. The state passed in is consumed.
        """
        ...

    def evaluate(self, state: TrainState) -> Metrics:
        """Metrics [K] of greedy episodes."""
        ...

    def play(
        self,
        params: PyTree,
        key: PRNGKeyArray,
        n_episodes: int,
        epsilon: float | None = None,
        *,
        keep_states: bool = False,
    ) -> Rollout:
        """Fresh episodes with one seed's parameters; greedy without an epsilon."""
        ...


@contextmanager
def open_player(
    experiment: Experiment,
    trainer: Trainer,
    workers: Workers | None = None,
    n_parallel: int | None = None,
) -> Generator[Player]:
    """The player that the environment needs; workers, if there are any, end with the context.

    `n_parallel` episodes are played at once by workers, by default as many as in training.
    """
    if not isinstance(trainer.env, HostEnvStub):
        yield CompiledPlayer(trainer)
        return
    n_parallel = n_parallel or trainer.run.batch_size_run
    with Pool(to_dict(experiment)["env"], trainer.env.spec, n_parallel, workers) as pool:
        yield HostPlayer(trainer, pool)


class CompiledPlayer:
    """Plays in the trainer's compiled functions, without leaving the device."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer

    def compile(self) -> None:
        """Compile a chunk and an evaluation."""
        _ = self.trainer.compiled_chunk, self.trainer.compiled_evaluate

    def chunk(self, state: TrainState, until: int) -> tuple[TrainState, Metrics]:
        """As many iterations as fit into one call of the compiled program (`chunk_length`)."""
        self._check_count(state)
        return self.trainer.compiled_chunk(state, until)

    def _check_count(self, state: TrainState) -> None:
        """UsageError before the counter of a seed's env steps overflows.

        On an accelerator a seed that plays long episodes goes on until the last one is done.
        """
        spec, run = self.trainer.env.spec, self.trainer.run
        most = self.trainer.chunk_length * run.batch_size_run * spec.episode_limit
        played = int(np.max(jax.device_get(state.env_steps)))
        require(
            run.seeds == 1 or played <= MAX_INT - most,
            f"a seed has played {played:,} env steps, and at most {MAX_INT:,} are counted; train "
            "the seeds one by one.",
        )

    def evaluate(self, state: TrainState) -> Metrics:
        """Metrics [K] of greedy episodes."""
        return self.trainer.compiled_evaluate(state)

    def play(
        self,
        params: PyTree,
        key: PRNGKeyArray,
        n_episodes: int,
        epsilon: float | None = None,
        *,
        keep_states: bool = False,
    ) -> Rollout:
        """Fresh episodes, all at once."""
        return self.trainer.compiled_play(params, key, n_episodes, epsilon, keep_states)
