"""What another seed costs a run that trains several at once."""

import statistics
import time

import jax
import jax.numpy as jnp

from macpo.bench.measure import Flags, Result
from macpo.bench.update import batch_of, typical_lengths
from macpo.experiment import Experiment, Run
from macpo.training.trainer import Trainer, make_trainer

SEEDS = (1, 8, 64)
ITERATIONS = 4
"""Of one chunk: each plays eight episodes and makes an update."""


def seeds(flags: Flags) -> list[Result]:
    """Training iterations of the default schedule, with a batch of typical episodes in replay.

    The ratio is to the same number of seeds one after the other.
    """
    batch_size, iterations = flags.size(128, 4), flags.size(ITERATIONS, 1)
    alone: float | None = None
    results: list[Result] = []
    for n in SEEDS[: flags.size(len(SEEDS), 2)]:
        run = Run(seeds=n, batch_size=batch_size, buffer_size=2 * batch_size)
        trainer = make_trainer(Experiment(run=run))
        seconds = _seconds_of_iteration(trainer, iterations, flags.rounds)
        alone = alone or seconds
        ratio = seconds / (n * alone)
        title = f"training iteration of {n} seed{'s' if n > 1 else ''}, typical episodes"
        results.append(
            Result(
                title, 1e3 * seconds, "ms", ratio if n > 1 else None, "seeds one by one" * (n > 1)
            )
        )
    return results


def _seconds_of_iteration(trainer: Trainer, iterations: int, rounds: int) -> float:
    lengths = typical_lengths(trainer.run.batch_size, trainer.env.spec.episode_limit)
    state = trainer.fill(trainer.init(), batch_of(trainer.env, lengths))
    forever = jnp.asarray(2**30, jnp.int32)
    taken: list[float] = []
    for _ in range(1 + rounds):  # the first one compiles
        start = time.perf_counter()
        state, _ = jax.block_until_ready(trainer.chunk(state, forever, iterations))
        taken.append((time.perf_counter() - start) / iterations)
    return statistics.median(taken[1:])
