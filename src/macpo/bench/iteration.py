"""Whole iterations of training: several seeds at once, and prioritised sampling."""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp

from macpo import presets
from macpo.bench.measure import Flags, Result
from macpo.bench.update import batch_of, typical_lengths
from macpo.experiment import Experiment, Run
from macpo.replay.priority import Replay
from macpo.training.trainer import Trainer, make_trainer

SEEDS = (1, 8, 64)
ITERATIONS = 4
"""Of one chunk: each plays eight episodes and makes an update."""
SIZES = (5_000, 50_000)
"""Episodes in replay."""


def seeds(flags: Flags) -> list[Result]:
    """Several seeds in one program, on PyMARL2's schedule, at first with typical episodes.

    The ratio is to the same number of seeds one after the other.
    """
    schedule = presets.pymarl2(Experiment()).run
    batch_size = flags.size(schedule.batch_size, 4)
    alone: float | None = None
    results: list[Result] = []
    for n in SEEDS[: flags.size(len(SEEDS), 2)]:
        run = replace(schedule, seeds=n, batch_size=batch_size, buffer_size=2 * batch_size)
        timed = timed_iteration(make_trainer(Experiment(run=run)), flags.size(ITERATIONS, 1))
        timed()  # compiles
        seconds = statistics.median(timed() for _ in range(flags.rounds))
        alone = alone or seconds
        title = f"training iteration of {n} seed{'s' if n > 1 else ''}, typical episodes"
        if n == 1:
            results.append(Result(title, 1e3 * seconds, "ms"))
        else:
            ratio = seconds / (n * alone)
            results.append(Result(title, 1e3 * seconds, "ms", ratio, "seeds one by one"))
    return results


def sampling(flags: Flags) -> list[Result]:
    """Prioritised sampling of episodes against uniform, from small and from large replay."""
    results: list[Result] = []
    for size in SIZES[:: flags.size(1, 2)]:
        run = Run(batch_size=flags.size(32, 4), updates_per_iteration=1, buffer_size=size)
        uniform, prioritized = (
            timed_iteration(
                make_trainer(Experiment(algorithm="qmix", run=run, replay=Replay(sampling=way))),
                flags.size(ITERATIONS, 1),
            )
            for way in ("uniform", "prioritized")
        )
        pairs = [(uniform(), prioritized()) for _ in range(1 + flags.rounds)][1:]  # one compiles
        reference, ours = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
        title = f"training iteration, prioritised from {size:,} episodes"
        results.append(Result(title, 1e3 * ours, "ms", ours / reference, "uniform"))
    return results


def timed_iteration(trainer: Trainer, iterations: int) -> Callable[[], float]:
    """A call that trains on for so many iterations and returns the seconds of one of them.

    Replay holds one batch of typical episodes at first. The first call compiles.
    """
    lengths = typical_lengths(trainer.run.batch_size, trainer.env.spec.episode_limit)
    state = trainer.fill(trainer.init(), batch_of(trainer.env, lengths))
    forever = jnp.asarray(2**30, jnp.int32)

    def train_on() -> float:
        nonlocal state
        start = time.perf_counter()
        state, _ = jax.block_until_ready(trainer.chunk(state, forever, iterations))
        return (time.perf_counter() - start) / iterations

    return train_on
