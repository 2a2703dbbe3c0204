"""Cost of weights: within an update, against the authors' way to compute f, and on torch."""

import importlib.util
import json
import statistics
import subprocess
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import macpo
from macpo.bench.measure import Flags, Result, once, repository, seconds_of
from macpo.bench.update import batch_of, compiled_update, full_lengths
from macpo.weighting.factors import joint_probability
from macpo.weighting.signals import Signals

B, T = 128, 200
LARGE_TEAM = 64


def weighting(flags: Flags) -> list[Result]:
    """Teams of 8 and of 64."""
    results: list[Result] = []
    for n in (8, LARGE_TEAM):
        results += [_share_of_update(n, flags.rounds), *_division(n, flags.rounds)]
        results += _torch(n, flags.rounds)
    return results


def _signals(batch_size: int, n_agents: int) -> dict[str, jax.Array]:
    rng = np.random.default_rng(0)
    q, y, q_star = (jnp.asarray(rng.normal(size=(batch_size, T)), jnp.float32) for _ in range(3))
    pi = jnp.asarray(rng.uniform(0.01, 1, size=(batch_size, T, n_agents)), jnp.float32)
    mask = jnp.ones((batch_size, T), bool)
    return {"mask": mask, "q": q, "target": y, "q_star": q_star, "pi_taken": pi}


def _share_of_update(n: int, rounds: int) -> Result:
    """Time of weights and metrics alone, as a share of the whole update."""
    team = {} if n == 8 else {"n_predators": n, "n_prey": n, "height": 20, "width": 20}
    env, batch_size = macpo.make_env("predator-prey", **team), B * 8 // n
    learner, update = compiled_update("macpo", env, batch_size)
    batch = batch_of(env, full_lengths(batch_size, T))
    signals = _signals(batch_size, n)
    weigh = jax.jit(lambda signals: learner.weighting.apply({}, Signals(**signals))[::2])
    alone = seconds_of(lambda _: weigh(signals), 20 * rounds)
    whole = seconds_of(lambda _: update(batch), rounds)
    return Result(
        f"MAC-PO weighting of {n} agents, share of an update of {batch_size} episodes",
        100 * alone / whole,
        "%",
        note="weights and metrics",
    )


def _division(n: int, rounds: int) -> list[Result]:
    """f by merging groups, against the released code's way: the product over each π_i in turn."""

    def divided(pi: jax.Array) -> jax.Array:
        everyone = pi.prod(-1)
        total = jnp.zeros_like(everyone)
        for i in range(n):
            total += everyone / pi[..., i]
        return 1 + total - n * everyone

    pi = _signals(B, n)["pi_taken"]
    merged = jax.jit(lambda pi: joint_probability(pi, jnp))
    by_division = jax.jit(divided)
    ours, theirs = _in_turn(lambda: merged(pi), lambda: by_division(pi), rounds)
    name = f"f of {n} agents, JAX"
    return [Result(name, 1e6 * ours, "µs", ours / theirs, "division by each π_i in a loop")]


def _in_turn(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int
) -> tuple[float, float]:
    """Median seconds of both, measured alternately."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(10 * rounds):
        for fn, taken in zip((ours, theirs), seconds, strict=True):
            taken.append(once(fn))
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def _torch(n: int, rounds: int) -> list[Result]:
    """Our weighting on torch tensors against the formula by hand, in its own process."""
    name = f"MAC-PO weights of {n} agents on torch"
    file = repository() / "benchmarks" / "reference_torch.py"
    if importlib.util.find_spec("torch") is None or not file.is_file():
        return [Result(name, float("nan"), "ms", note="no torch or no repository here")]
    code = (
        "import sys, json\n"
        f"sys.path.insert(0, {str(file.parent)!r})\n"
        "from reference_torch import time_weights\n"
        "print(json.dumps(time_weights(int(sys.argv[1]), int(sys.argv[2]))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(n), str(rounds)],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds: dict[str, float] = json.loads(done.stdout)
    ours = seconds["ours"]
    return [
        Result(name, 1e3 * ours, "ms", ours / seconds[key], against)
        for key, against in (
            ("cumulative", "by hand, cumulative products"),
            ("loop", "by hand, a loop over agents"),
            ("division", "the released code's way, which fails at π = 0"),
        )
    ]
