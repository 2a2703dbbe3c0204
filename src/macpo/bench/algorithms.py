"""Speed of an update of every algorithm, against QMIX."""

import statistics
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.stages import Compiled

import macpo
from macpo import registry
from macpo.bench.measure import Flags, Result, once
from macpo.bench.trace import share_outside_networks
from macpo.bench.update import batch_of, full_lengths
from macpo.envs.base import Environment
from macpo.experiment import Run
from macpo.kernels import shard
from macpo.learners.base import Algorithm
from macpo.types import Batch, Episodes, PyTree

COMMON = 128
"""Episodes in the batch at which all algorithms with replay are compared."""
REFERENCE = "qmix"


def algorithms(flags: Flags) -> list[Result]:
    """Batches of full-length episodes: one size for all with replay, and each algorithm's own."""
    env = macpo.make_env("predator-prey")
    return [
        result
        for batch_size, names in sorted(contenders().items(), reverse=True)
        for result in _compare(names, env, batch_size, flags.rounds)
    ]


def contenders() -> dict[int, list[str]]:
    """Batch size → the names of the algorithms that are measured with it."""
    sizes: dict[int, list[str]] = {}
    for name, config in registry.discover("algorithms").items():
        own = config.schedule.get("batch_size", COMMON)
        for size in {own} if config.about.on_policy else {own, COMMON}:
            sizes.setdefault(size, []).append(name)
    return sizes


def _compare(names: list[str], env: Environment, batch_size: int, rounds: int) -> list[Result]:
    """Time the updates in turn, QMIX's among them."""
    episodes = batch_of(env, full_lengths(batch_size, env.spec.episode_limit))
    names = [REFERENCE, *(name for name in names if name != REFERENCE)]
    updates = {name: _compiled(name, env, episodes) for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _, update in updates.values():
        once(update)
    for _ in range(rounds):
        for name, (_, update) in updates.items():
            seconds[name].append(once(update))
    median = {name: statistics.median(taken) for name, taken in seconds.items()}
    results: list[Result] = []
    for name, (compiled, update) in updates.items():
        label = f"{name} update, {batch_size} full episodes"
        ratio = median[name] / median[REFERENCE]
        against = f"{REFERENCE}, the same batch"
        results.append(Result(label, 1e3 * median[name], "ms", ratio, against))
        share = 100 * share_outside_networks(compiled, lambda: [update() for _ in range(rounds)])  # noqa: B023
        results.append(Result(f"{label}: not in networks", share, "%", note="of traced work"))
    return results


def _compiled(
    name: str, env: Environment, episodes: Episodes
) -> tuple[Compiled, Callable[[], PyTree]]:
    """(compiled update, a call of it with fresh networks, uniform weights and these episodes)."""
    config = registry.make_config("algorithms", name)
    algorithm: Algorithm = config.make(env, macpo.weighting.make("uniform"))
    batch_size = len(episodes.length)
    arguments = (
        algorithm.init(jax.random.key(0)),
        _batch(algorithm, episodes),
        jax.random.key(0),
    )
    step = jax.jit(algorithm.update, compiler_options=shard.compiler_options(batch_size))
    compiled = step.lower(*arguments).compile()
    return compiled, lambda: compiled(*arguments)


def _batch(algorithm: Algorithm, episodes: Episodes) -> Batch:
    """The episodes; repeated as the newest ones where the algorithm needs those."""
    n = len(episodes.length)
    recent = algorithm.recent_episodes(n, Run().buffer_size)
    batch = Batch(episodes, jnp.ones(n), env_steps=jnp.zeros((), jnp.int32), epsilon=jnp.ones(()))
    if recent is None:
        return batch
    rows = jnp.arange(recent.n_episodes) % n  # all have the same length
    return batch._replace(recent=jax.tree.map(lambda x: x[rows], episodes))
