"""The cost of playing a Python environment in worker processes."""

import statistics
import time
from dataclasses import dataclass
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from macpo.algorithms.qmix import Config as Qmix
from macpo.bench.measure import Flags, Result, once
from macpo.envs.host import HostEnvironment
from macpo.experiment import Experiment, Run, to_dict
from macpo.training.host.player import HostPlayer
from macpo.training.host.pool import Pool, Workers
from macpo.training.trainer import make_trainer
from macpo.types import AnyArray, Observation, Spec, TimeStep

N_WORKERS = 8


class Waiting(HostEnvironment):
    """Zeros in SMAC's shapes (5m_vs_6m); a step waits `seconds`, as if a game ran elsewhere."""

    def __init__(self, settings: "Config") -> None:
        self.settings = settings
        self.spec = Spec("waiting", 5, 12, 72, 98, settings.episode_limit)

    def reset(self, seed: int) -> TimeStep:
        """The first time step, without waiting."""
        self.t = 0
        return self._time_step()

    def step(self, actions: Int[np.ndarray, " N"]) -> TimeStep:
        """Wait; the episode is truncated at its limit."""
        time.sleep(self.settings.seconds)
        self.t += 1
        return self._time_step()

    def _time_step(self) -> TimeStep:
        spec = self.spec
        zero: AnyArray = np.float32(0)
        over: AnyArray = np.bool_(self.t >= spec.episode_limit)
        observation = Observation(
            obs=cast(AnyArray, np.zeros((spec.n_agents, spec.obs_size), np.float32)),
            state=cast(AnyArray, np.zeros(spec.state_size, np.float32)),
            avail_actions=cast(AnyArray, np.ones((spec.n_agents, spec.n_actions), bool)),
        )
        return TimeStep(observation, zero, terminated=zero > 0, truncated=over, info={})


@dataclass(frozen=True)
class Config:
    """An environment that waits."""

    seconds: float = 0.005
    episode_limit: int = 100

    def make(self) -> Waiting:
        """Build it."""
        return Waiting(self)


def host(flags: Flags) -> list[Result]:
    """Steps of 5 ms and of no time, by eight workers, with and without a policy."""
    slow = _seconds_per_step(Config(), flags.rounds)
    results = [Result("a step of 5 ms: plain loop", 1 / slow.plain, "env steps/s")]
    for name, seconds in (("the pool", slow.pool), ("pool and policy", slow.rollout)):
        added = 100 * (seconds / slow.plain - 1)
        note = f"per step of a worker: {1e6 * (seconds - slow.plain):,.0f} µs"
        results += [
            Result(
                f"a step of 5 ms: {N_WORKERS} workers, {name}",
                N_WORKERS / seconds,
                "env steps/s",
                N_WORKERS * slow.plain / seconds,
                "plain loop",
            ),
            Result(f"a step of 5 ms: added by {name}", added, "%", note=note),
        ]
    fast = _seconds_per_step(Config(seconds=0.0), flags.rounds)
    return [
        *results,
        Result(
            f"a step of no time: {N_WORKERS} workers, the pool",
            N_WORKERS / fast.pool,
            "env steps/s",
        ),
        Result(
            f"a step of no time: {N_WORKERS} workers, pool and policy",
            N_WORKERS / fast.rollout,
            "env steps/s",
        ),
        Result(f"start of {N_WORKERS} workers", fast.start, "s", note="until all can play"),
    ]


class Seconds(NamedTuple):
    """Seconds per env step of each worker, and until all workers were ready."""

    plain: float
    pool: float
    rollout: float
    start: float


def _seconds_per_step(settings: Config, rounds: int) -> Seconds:
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
    part = to_dict(experiment)["env"]
    with Pool(part, trainer.env.spec, N_WORKERS, Workers(count=N_WORKERS)) as pool:
        while len(pool.idle()) < N_WORKERS:
            pool.wait()
        ready = time.perf_counter() - start
        player = HostPlayer(trainer, pool)

        def pooled() -> None:
            for worker in pool.workers:
                pool.reset(worker, 0)
            while len(pool.idle()) < N_WORKERS:
                for worker, _ in pool.wait():
                    if worker.status == "busy":
                        pool.step(worker, actions)

        def rolled_out() -> None:
            player.collect(params, jax.random.key(0), N_WORKERS, jnp.asarray(0.1))

        rolled_out()  # compiles
        ways = (plain, pooled, rolled_out)
        seconds = [[once(way) for way in ways] for _ in range(rounds)]
    loop, alone, with_policy = (
        statistics.median(taken) / limit for taken in zip(*seconds, strict=True)
    )
    return Seconds(loop, alone, with_policy, ready)
