"""What it costs to play an environment that is not JAX in worker processes."""

import statistics
import time
from dataclasses import dataclass
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from macpo import config
from macpo.algorithms.qmix import Config as Qmix
from macpo.bench.measure import Flags, Result, once
from macpo.config import Experiment, Run
from macpo.envs.host import HostEnvironment
from macpo.host.pool import Pool, Workers
from macpo.host.rollout import HostRollout
from macpo.train import make_trainer
from macpo.types import Spec, TimeStep

N_WORKERS = 8


class Waiting(HostEnvironment):
    """Zeros of SMAC's size (5m_vs_6m), `seconds` a step, as if a game computed elsewhere."""

    def __init__(self, settings: "Config") -> None:
        self.settings = settings
        self.spec = Spec("waiting", 5, 12, 72, 98, settings.episode_limit)

    def reset(self, seed: int) -> TimeStep:
        """No time at all."""
        self.t = 0
        return self._seen()

    def step(self, actions: Int[np.ndarray, " N"]) -> TimeStep:
        """As long as asked for, to the limit."""
        time.sleep(self.settings.seconds)
        self.t += 1
        return self._seen()

    def _seen(self) -> TimeStep:
        spec = self.spec
        zero: Any = np.float32(0)
        over: Any = np.bool_(self.t >= spec.episode_limit)
        return TimeStep(
            obs=cast(Any, np.zeros((spec.n_agents, spec.obs_size), np.float32)),
            state=cast(Any, np.zeros(spec.state_size, np.float32)),
            avail_actions=cast(Any, np.ones((spec.n_agents, spec.n_actions), bool)),
            reward=zero,
            terminated=zero > 0,
            truncated=over,
            info={},
        )


@dataclass(frozen=True)
class Config:
    """An environment that waits."""

    seconds: float = 0.005
    episode_limit: int = 100

    def make(self) -> Waiting:
        """Build it."""
        return Waiting(self)


def host(flags: Flags) -> list[Result]:
    """Steps of 5 ms and of no time, by eight workers with a policy, against a plain loop."""
    name = "a step of 5 ms"
    plain, pooled, start = _seconds_per_step(Config(), flags.rounds)
    results = [
        Result(f"{name}: plain loop, without a policy", 1 / plain, "env steps/s"),
        Result(
            f"{name}: {N_WORKERS} workers, with policy",
            N_WORKERS / pooled,
            "env steps/s",
            N_WORKERS * plain / pooled,
            "plain loop",
        ),
        Result(
            f"{name}: what the pool and the policy add to it",
            100 * (pooled / plain - 1),
            "%",
            note=f"per step of a worker: {1e6 * (pooled - plain):,.0f} µs",
        ),
    ]
    _, pooled, _ = _seconds_per_step(Config(seconds=0.0), flags.rounds)
    results += [
        Result(f"a step of no time: {N_WORKERS} workers", N_WORKERS / pooled, "env steps/s"),
        Result(f"start of {N_WORKERS} workers", start, "s", note="until all can play"),
    ]
    return results


def _seconds_per_step(settings: Config, rounds: int) -> tuple[float, float, float]:
    """(of a plain loop, of each worker in the pool, seconds until the pool could play)"""
    experiment = Experiment(env=settings, algorithm=Qmix(), run=Run(batch_size_run=N_WORKERS))
    trainer = make_trainer(experiment)
    params = jax.jit(trainer.algorithm.init)(jax.random.key(0)).params
    env, limit = settings.make(), settings.episode_limit
    actions = np.zeros(env.spec.n_agents, np.int64)

    def plain() -> None:
        env.reset(0)
        for _ in range(limit):
            env.step(actions)

    start = time.perf_counter()
    part = config.to_dict(experiment)["env"]
    with Pool(part, trainer.env.spec, N_WORKERS, Workers(count=N_WORKERS)) as pool:
        while len(pool.idle()) < N_WORKERS:
            pool.wait()
        ready = time.perf_counter() - start
        rollout = HostRollout(trainer, pool)

        def pooled() -> None:
            rollout.play(params, jax.random.key(0), jnp.asarray(0.1), N_WORKERS)

        pooled()  # compiles
        seconds = [(once(plain), once(pooled)) for _ in range(rounds)]
    loop, pool_of_all = (statistics.median(taken) / limit for taken in zip(*seconds, strict=True))
    return loop, pool_of_all, ready
