"""Speed of an update, against a PyTorch learner and against the machine."""

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
from macpo import registry
from macpo.bench.measure import Flags, Result, once, repository, seconds_of
from macpo.envs.base import Environment
from macpo.kernels import shard
from macpo.learners.value_based import ValueBasedLearner
from macpo.machine import available_cores, has_bf16_units
from macpo.nets.agent import agent_input_size
from macpo.nets.precision import Precision, in_precision
from macpo.training.rollout import collect
from macpo.types import Batch, Episodes, Observation, PyTree, action_dtype

MEAN_LENGTH = 50  # env steps of a typical episode once the predators hunt well


def full_lengths(batch_size: int, limit: int) -> np.ndarray:
    """Every episode at the limit."""
    return np.full(batch_size, limit, np.int32)


def typical_lengths(batch_size: int, limit: int) -> np.ndarray:
    """Exponential lengths that average 50 after clipping, with one at the limit; longest first."""
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.exponential(MEAN_LENGTH, batch_size), 1, limit)
    lengths = np.clip(np.round(lengths * MEAN_LENGTH / lengths.mean()), 1, limit).astype(np.int32)
    lengths[0] = limit
    return np.sort(lengths)[::-1].copy()


def batch_of(env: Environment, lengths: np.ndarray) -> Episodes:
    """Random play cut to the given lengths."""
    n, n_agents, dtype = len(lengths), env.spec.n_agents, action_dtype(env.spec.n_actions)

    def act(
        key: jax.Array, hidden: PyTree, observation: Observation, last: jax.Array
    ) -> tuple[PyTree, jax.Array]:
        noise = jnp.where(
            observation.avail_actions, jax.random.uniform(key, observation.avail_actions.shape), -1
        )
        return hidden, jnp.argmax(noise, -1).astype(dtype).reshape(n, n_agents)

    played = jax.jit(lambda key: collect(env, act, (), key, n).episodes)(jax.random.key(0))
    length = jnp.minimum(jnp.asarray(lengths), played.length.max())
    return played._replace(length=length, terminated=length < env.spec.episode_limit)


def useful_flops(learner: ValueBasedLearner, lengths: np.ndarray) -> float:
    """Multiplications and additions in the matrix products that an update needs.

    Each product counts once forward and, where there is a gradient, twice more, less the gradient
    with respect to inputs; what the backward pass recomputes is not counted.
    """
    spec, config = learner.spec, learner.config
    width, embed = config.rnn_hidden_dim, getattr(config, "mixing_embed_dim", 0)
    hyper, central = getattr(config, "hypernet_embed", 0), config.central_mixing_embed_dim
    n, s = spec.n_agents, spec.state_size
    agent_rows, rows = 2 * n * float((lengths + 1).sum()), 2 * float(lengths.sum())

    first = agent_input_size(spec) * width
    agent = agent_rows * (first + 6 * width * width + width * spec.n_actions)
    agent_trained = 3 * agent - agent_rows * first
    first = s * (2 * hyper + 2 * embed)
    mixer = rows * (first + hyper * (n + 1) * embed + embed + (n + 1) * embed)
    mixer_trained = 3 * mixer - rows * first
    first = 2 * s * central
    joint = rows * (first + n * central + 2 * central**2 + 2 * central)
    joint_trained = 3 * joint - rows * first

    total = agent_trained + mixer_trained
    total += (agent_trained + joint_trained) if learner.has_central_critic else 0
    return total + agent + (joint if learner.targets_central else mixer)


def update(flags: Flags) -> list[Result]:
    """MAC-PO and QMIX, batches of full-length and of typical episodes."""
    peak, batch_size = matmul_peak(), flags.size(128, 4)
    results = [Result("matmul peak (2048²)", peak / 1e9, "GFLOP/s")]
    for weighting, label in (("macpo", "MAC-PO"), ("uniform", "QMIX")):
        learner, run_update = compiled_update(weighting, batch_size=batch_size)
        _, in_bf16 = compiled_update(weighting, batch_size=batch_size, precision="bf16")
        seconds: dict[str, float] = {}
        for shape, lengths_of in (("full", full_lengths), ("typical", typical_lengths)):
            lengths = lengths_of(batch_size, learner.spec.episode_limit)
            batch = batch_of(learner.env, lengths)
            ours, theirs = _compare(lambda: run_update(batch), weighting, lengths, flags.rounds)  # noqa: B023
            title = f"{label} update, {shape} length ({lengths.mean():.0f} of 200)"
            if isinstance(theirs, str):
                results.append(Result(title, 1e3 * ours, "ms", note=theirs))
            else:
                name = f"PyTorch reference, {label}, {shape} length"
                results += [
                    Result(title, 1e3 * ours, "ms", ours / theirs, "PyTorch reference"),
                    Result(name, 1e3 * theirs, "ms"),
                ]
            share = 100 * useful_flops(learner, lengths) / ours / peak
            results.append(Result(f"{label} update, {shape}: share of matmul peak", share, "%"))
            seconds[shape] = ours
            if has_bf16_units():
                fast = seconds_of(lambda _: in_bf16(batch), flags.rounds)  # noqa: B023
                same = "the same with --precision float32"
                results.append(Result(f"{title}, bf16", 1e3 * fast, "ms", fast / ours, same))
        ratio = seconds["typical"] / seconds["full"]
        results.append(Result(f"{label} update, typical against full length", ratio, "×"))
    return results


def _compare(
    run_update: Callable[[], object], weighting: str, lengths: np.ndarray, rounds: int
) -> tuple[float, float | str]:
    """(median seconds of our update, those of the PyTorch reference or why there are none)."""
    ours: list[float] = []
    theirs: list[float] = []
    why_none = _why_no_torch()
    run_update()
    for _ in range(rounds):
        ours.append(statistics.median(once(run_update) for _ in range(3)))
        if not why_none:
            try:
                theirs.append(_torch_seconds(weighting, lengths))
            except subprocess.CalledProcessError as error:
                last_line = error.stderr.strip().rpartition("\n")[2]
                why_none = f"the PyTorch reference failed: {last_line}"
    return statistics.median(ours), why_none or statistics.median(theirs)


def compiled_update(
    weighting: str,
    env: Environment | None = None,
    batch_size: int = 128,
    precision: Precision = "float32",
) -> tuple[ValueBasedLearner, Callable[[Episodes], PyTree]]:
    """(QMIX with this weighting, its update of fresh networks as a function of the episodes)."""
    env = env or macpo.make_env("predator-prey")
    config = registry.make_config("algorithms", "qmix")
    learner = config.make(env, macpo.weighting.make(weighting))
    state = learner.init(jax.random.key(0))
    update = in_precision(precision, learner.update)
    step = jax.jit(update, compiler_options=shard.compiler_options(batch_size))
    key = jax.random.key(0)
    return learner, lambda episodes: step(state, Batch(episodes, jnp.ones(batch_size)), key)


def matmul_peak() -> float:
    """FLOP/s of the fastest of several 2048² float32 products: the machine's peak."""
    a = jnp.ones((2048, 2048))
    product = jax.jit(lambda a, b: a @ b)
    return 2 * 2048**3 / min(once(product, a, a) for _ in range(12))


def _why_no_torch() -> str:
    """Why the PyTorch reference cannot run; empty if it can."""
    if importlib.util.find_spec("torch") is None:
        return "no PyTorch reference here: pip install 'macpo[bench]'"
    if not (repository() / "benchmarks").is_dir():
        return "no repository here: no PyTorch reference"
    return ""


def _torch_seconds(weighting: str, lengths: np.ndarray) -> float:
    """Seconds per update of the PyTorch reference, in its own process, on a GPU if it sees one.

    Raises CalledProcessError.
    """
    folder = repository() / "benchmarks"
    code = (
        "import json, sys, numpy as np, torch\n"
        f"sys.path.insert(0, {str(folder)!r})\n"
        "from reference_torch import time_updates\n"
        "lengths = np.array(json.loads(sys.argv[2]))\n"
        "torch.set_num_threads(int(sys.argv[3]))\n"
        "print(json.dumps(time_updates(sys.argv[1], lengths, rounds=3)))\n"
    )
    arguments = [weighting, json.dumps(lengths.tolist()), str(available_cores())]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return float(json.loads(done.stdout))
