"""What `macpo bench` measures: every stage's speed and memory, against plain references.

Contenders run in turn, several rounds, and the median round counts; absolute figures move between
machines and with what else they do, ratios less so. The references are plain code of this
repository: the NumPy environment of the tests, and a PyTorch learner (`benchmarks/`). Where they or
torch are missing, their rows say so and the rest is still measured.
"""

import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

import macpo
from macpo import registry, replay, shard
from macpo.algorithms.value_based import Learner
from macpo.config import Experiment, Run
from macpo.envs.base import Environment
from macpo.files import write_json
from macpo.machine import peak_bytes
from macpo.nets.agent import agent_input_size
from macpo.rollout import collect
from macpo.run import prepare_jax
from macpo.train import make_trainer
from macpo.types import Episodes

Section = Literal["env", "rollout", "update", "memory", "compile", "end-to-end"]
SECTIONS: tuple[Section, ...] = ("env", "rollout", "update", "memory", "compile", "end-to-end")
MEAN_LENGTH = 50  # env steps of a typical episode once hunters are good


@dataclass(frozen=True)
class Bench:
    """Flags of `macpo bench`."""

    sections: tuple[Section, ...] = SECTIONS
    """What to measure."""
    rounds: int = 5
    """Rounds of each comparison; the median counts."""
    steps: int = 60_000
    """Env steps of the end-to-end run."""
    json: Path | None = None
    """File for the results."""


@dataclass(frozen=True)
class Result:
    """One measured quantity."""

    name: str
    value: float
    unit: str
    ratio: float | None = None
    """Against the reference measured in the same run."""
    reference: str = ""
    note: str = ""


def run_bench(flags: Bench, console: Console) -> list[Result]:
    """Measure, print a table, write JSON."""
    prepare_jax()
    measure: dict[Section, Callable[[Bench], list[Result]]] = {
        "env": _environment,
        "rollout": _rollout,
        "update": _update,
        "memory": _memory,
        "compile": _compile,
        "end-to-end": _end_to_end,
    }
    results: list[Result] = []
    for section in flags.sections:
        with console.status(f"measuring: {section}"):
            results += measure[section](flags)
    table = Table("what", "value", "ratio", "against", "note")
    for r in results:
        ratio = "" if r.ratio is None else f"{r.ratio:,.3g}×"
        table.add_row(r.name, f"{r.value:,.4g} {r.unit}", ratio, r.reference, r.note)
    console.print(table)
    if flags.json is not None:
        write_json(flags.json, {"machine": machine(), "results": [asdict(r) for r in results]})
        console.print(f"written to {flags.json}")
    return results


def machine() -> dict[str, Any]:
    """Where and with what the figures were measured."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "devices": [str(device.device_kind) for device in jax.devices()],
        "python": platform.python_version(),
        "macpo": macpo.__version__,
        "jax": jax.__version__,
        "numpy": np.__version__,
        "load_average": os.getloadavg()[0],
    }


# --- environment and rollout --------------------------------------------------------------------


def _environment(flags: Bench) -> list[Result]:
    env = macpo.make_env("predator-prey", punishment=-2.0)
    reference = _reference_steps_per_second()
    results: list[Result] = []
    for n in (8, 64, 512):
        steps = max(40_000 // n, 100)
        run = jax.jit(lambda key, n=n, steps=steps: _random_play(env, key, n, steps))
        seconds = _seconds(lambda i, run=run: run(jax.random.key(i)), flags.rounds)
        rate = n * steps / seconds
        results.append(_against(f"environment, {n} parallel", rate, reference))
    if reference is not None:
        results.append(Result("NumPy reference environment", reference, "env steps/s"))
    return results


def _random_play(env: Environment, key: jax.Array, n: int, steps: int) -> Any:
    """`steps` steps of n environments with random available actions; everything is computed."""
    state, first = jax.vmap(env.reset)(jax.random.split(key, n))

    def step(carry: Any, key: jax.Array) -> tuple[Any, None]:
        state, seen, total = carry
        act_key, env_key = jax.random.split(key)
        # the available action with the largest of a few random bits
        bits = jax.random.bits(act_key, seen.avail_actions.shape, jnp.uint8) | jnp.uint8(1)
        bits = jnp.where(seen.avail_actions, bits, 0)
        best = bits == bits.max(-1, keepdims=True)
        numbers = jnp.arange(env.spec.n_actions, dtype=jnp.int8)
        actions = jnp.where(best, numbers, env.spec.n_actions - 1).min(-1)
        state, after = jax.vmap(env.step)(jax.random.split(env_key, n), state, actions)
        return (state, after, total + after.reward), None

    carry = (state, first, jnp.zeros(n))
    return jax.lax.scan(step, carry, jax.random.split(key, steps))[0]


def _reference_steps_per_second() -> float | None:
    module = _repository_module("tests/reference/predator_prey_numpy.py")
    if module is None:
        return None
    env, rng = module.PredatorPreyNumpy(punishment=-2.0), np.random.default_rng(0)
    rates: list[float] = []
    for _ in range(3):
        env.reset(rng)
        steps, start, over = 0, time.perf_counter(), False
        avail = env.get_avail_actions()
        while time.perf_counter() - start < 1.0:
            if over:
                env.reset(rng)
            actions = np.where(avail, rng.random(avail.shape), -1.0).argmax(-1)
            _, terminated, truncated = env.step(actions, env.draw_choices(rng))
            over = terminated or truncated
            _, _, avail = env.get_obs(), env.get_state(), env.get_avail_actions()
            steps += 1
        rates.append(steps / (time.perf_counter() - start))
    return statistics.median(rates)


def _rollout(flags: Bench) -> list[Result]:
    trainer = make_trainer(Experiment())
    params = trainer.algorithm.init(jax.random.key(0)).params
    reference = _reference_steps_per_second()
    results: list[Result] = []
    for n in (8, 512):
        play = jax.jit(
            lambda key, n=n: collect(
                trainer.env,
                lambda k, h, seen, last: trainer.algorithm.act(params, k, h, seen, last, 0.1),
                trainer.algorithm.initial_hidden(n),
                key,
                n,
            )
        )
        played = int(play(jax.random.key(0)).length.sum())
        seconds = _seconds(lambda i, play=play: play(jax.random.key(0)), flags.rounds)
        results.append(_against(f"rollout with policy, {n} parallel", played / seconds, reference))
    return results


def _against(name: str, rate: float, reference: float | None) -> Result:
    if reference is None:
        return Result(name, rate, "env steps/s", note="no repository here: no NumPy reference")
    return Result(name, rate, "env steps/s", rate / reference, "NumPy reference environment")


# --- update -------------------------------------------------------------------------------------


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
    n, n_agents = len(lengths), env.spec.n_agents

    def act(key: jax.Array, hidden: Any, seen: Any, last: Any) -> tuple[Any, jax.Array]:
        chance = jnp.where(
            seen.avail_actions, jax.random.uniform(key, seen.avail_actions.shape), -1
        )
        return hidden, jnp.argmax(chance, -1).astype(jnp.int8).reshape(n, n_agents)

    played = jax.jit(lambda key: collect(env, act, (), key, n))(jax.random.key(0))
    length = jnp.minimum(jnp.asarray(lengths), played.length.max())
    return played._replace(length=length, terminated=length < env.spec.episode_limit)


def useful_flops(learner: Learner, lengths: np.ndarray) -> float:
    """Multiplications and additions of the matrix products an update cannot do without.

    Forward once and, where there is a gradient, twice more, less the gradient with respect to
    inputs; nothing that is computed again for the backward pass is counted.
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
    total += (agent_trained + joint_trained) if learner.uses_central else 0
    return total + agent + (joint if learner.targets_central else mixer)


def _update(flags: Bench) -> list[Result]:
    results: list[Result] = []
    peak = matmul_peak()
    results.append(Result("matmul peak (2048²)", peak / 1e9, "GFLOP/s"))
    has_torch = importlib.util.find_spec("torch") is not None
    rounds = flags.rounds
    for weighting in ("macpo", "uniform"):
        label = "MAC-PO" if weighting == "macpo" else "QMIX"
        learner, update = _compiled_update(weighting)
        seconds: dict[str, float] = {}
        for shape, lengths_of in (("full", full_lengths), ("typical", typical_lengths)):
            lengths = lengths_of(128, learner.spec.episode_limit)
            batch = batch_of(learner.env, lengths)
            ours: list[float] = []
            torch: list[float] = []
            update(batch)
            for _ in range(rounds):
                ours.append(statistics.median(_once(update, batch) for _ in range(3)))
                if has_torch:
                    torch += _torch_seconds(weighting, lengths)
            seconds[shape] = statistics.median(ours)
            result = Result(
                f"{label} update, {shape} length ({lengths.mean():.0f} of 200)",
                1e3 * seconds[shape],
                "ms",
                seconds[shape] / statistics.median(torch) if torch else None,
                "PyTorch reference" if torch else "",
                "" if torch else "no PyTorch reference here: pip install 'macpo[bench]'",
            )
            results.append(result)
            if torch:
                reference = statistics.median(torch)
                name = f"PyTorch reference, {label}, {shape} length"
                results.append(Result(name, 1e3 * reference, "ms"))
            share = useful_flops(learner, lengths) / seconds[shape] / peak
            results.append(
                Result(f"{label} update, {shape}: share of matmul peak", 100 * share, "%")
            )
        results.append(
            Result(
                f"{label} update, typical against full length",
                seconds["typical"] / seconds["full"],
                "×",
            )
        )
    results.append(_weighting_share(rounds))
    return results


def _compiled_update(weighting: str, **algorithm: Any) -> tuple[Learner, Callable[[Episodes], Any]]:
    env = macpo.make_env("predator-prey")
    config = registry.make_config("algorithms", "qmix", **algorithm)
    learner = config.make(env, macpo.weighting.make(weighting))
    state = learner.init(jax.random.key(0))
    step = jax.jit(learner.update, compiler_options=shard.compiler_options(128))
    no = jnp.zeros((), bool)
    return learner, lambda batch: step(state, batch, jax.random.key(0), no)


def _weighting_share(rounds: int) -> Result:
    """Time of the weighting alone as a share of the update it is part of."""
    learner, update = _compiled_update("macpo")
    batch = batch_of(learner.env, full_lengths(128, 200))
    rng = np.random.default_rng(0)
    q, y, q_star = (jnp.asarray(rng.normal(size=(128, 200)), jnp.float32) for _ in range(3))
    pi = jnp.asarray(rng.uniform(size=(128, 200, 8)), jnp.float32)
    mask = jnp.ones((128, 200), bool)
    scheme = learner.scheme
    weigh = jax.jit(lambda *x: scheme.weigh(macpo.weighting.Signals(*x)))
    alone = _seconds(lambda i: weigh(mask, q, y, q_star, pi), 20 * rounds)
    whole = _seconds(lambda i: update(batch), rounds)
    return Result(
        "MAC-PO weighting, share of the update",
        100 * alone / whole,
        "%",
        note="weights and metrics",
    )


def matmul_peak() -> float:
    """FLOP/s of the best of several 2048² float32 products: what this machine can do at most."""
    a = jnp.ones((2048, 2048))
    product = jax.jit(lambda a, b: a @ b)
    return 2 * 2048**3 / min(_once(product, a, a) for _ in range(12))


def _torch_seconds(weighting: str, lengths: np.ndarray) -> list[float]:
    """Seconds per update of the PyTorch reference, in a process of its own."""
    folder = _repository() / "benchmarks"
    code = (
        "import json, sys, numpy as np, torch\n"
        f"sys.path.insert(0, {str(folder)!r})\n"
        "from reference_torch import time_updates\n"
        "lengths = np.array(json.loads(sys.argv[2]))\n"
        "torch.set_num_threads(int(sys.argv[3]))\n"
        "print(json.dumps(time_updates(sys.argv[1], lengths, rounds=3)))\n"
    )
    arguments = [weighting, json.dumps(lengths.tolist()), str(os.cpu_count() or 1)]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return [float(json.loads(done.stdout))]


# --- memory, compilation, end to end ------------------------------------------------------------


def _memory(flags: Bench) -> list[Result]:
    env = macpo.make_env("predator-prey")
    code = "from macpo.bench import _peak_of_update as f; f()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = json.loads(done.stdout)
    return [
        Result("replay, 10,000 full episodes", replay.planned_bytes(env, 10_000) / 1e6, "MB"),
        Result(
            "peak memory of a MAC-PO update, full length",
            after / 1e6,
            "MB",
            note=f"whole process; {before / 1e6:,.0f} MB before the update was compiled",
        ),
    ]


def _peak_of_update() -> None:  # pyright: ignore[reportUnusedFunction]
    prepare_jax()
    learner, update = _compiled_update("macpo")
    batch = batch_of(learner.env, full_lengths(128, 200))
    before = peak_bytes()
    jax.block_until_ready(update(batch))
    jax.block_until_ready(update(batch))
    print(json.dumps([before, peak_bytes()]))


def _compile(flags: Bench) -> list[Result]:
    """From process start to the end of the first training chunk with an update, without a cache
    and with the one it left."""
    code = "from macpo.bench import _first_update as f; f()"
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        for name in ("cold", "warm"):
            done = subprocess.run(
                [sys.executable, "-c", code],
                capture_output=True,
                text=True,
                check=True,
                env=environment,
            )
            results.append(
                Result(
                    f"first update after start, {name} cache",
                    float(done.stdout),
                    "s",
                    note="import, trace, compile, play a full batch, one update",
                )
            )
    return results


def _first_update() -> None:  # pyright: ignore[reportUnusedFunction]
    start = time.perf_counter()
    prepare_jax()
    trainer = make_trainer(Experiment())
    state = trainer.init()
    while int(state.updates[0]) == 0:
        state, _ = trainer.chunk(state, jnp.asarray(10**6, jnp.int32), 1)
    print(time.perf_counter() - start)


def _end_to_end(flags: Bench) -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "run"
        experiment = Experiment(run=Run(steps=flags.steps))
        macpo.train(experiment, directory, console=Console(quiet=True))
        rows = [json.loads(line) for line in (directory / "timing.jsonl").read_text().splitlines()]
    learning = [row for row in rows if row["updates"] > 0]
    first, last = learning[0], rows[-1]
    steps = last["env_steps"] - first["env_steps"]
    return [
        Result(
            "end to end, MAC-PO, authors' schedule, while learning",
            steps / (last["wall_s"] - first["wall_s"]),
            "env steps/s",
            note="evaluations and checkpoint included, compilation not",
        ),
        Result(
            f"end to end, first {flags.steps:,} env steps",
            last["env_steps"] / last["wall_s"],
            "env steps/s",
            note="the first 128 episodes fill the replay without updates",
        ),
    ]


# --- measuring ----------------------------------------------------------------------------------


def _once(fn: Callable[..., Any], *args: Any) -> float:
    start = time.perf_counter()
    jax.block_until_ready(fn(*args))
    return time.perf_counter() - start


def _seconds(fn: Callable[[int], Any], rounds: int) -> float:
    """Median seconds of a call, after one that compiles."""
    _once(fn, 0)
    return statistics.median(_once(fn, i) for i in range(rounds))


def _repository() -> Path:
    return Path(__file__).resolve().parents[2]


def _repository_module(path: str) -> Any:
    """A module of the repository this package was installed from in place; None elsewhere."""
    file = _repository() / path
    if not file.is_file():
        return None
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module
