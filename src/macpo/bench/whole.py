"""Memory, time to the first update, and a whole run."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
from rich.console import Console

import macpo
from macpo import presets
from macpo.bench.measure import Flags, Result
from macpo.bench.update import batch_of, compiled_update, full_lengths
from macpo.experiment import Experiment, Run
from macpo.machine import peak_bytes, prepare_jax
from macpo.replay import buffer
from macpo.runs.directory import RunDirectory
from macpo.training.trainer import make_trainer


def memory(flags: Flags) -> list[Result]:
    """Size of a replay buffer, and peak memory of a process that makes an update."""
    env = macpo.make_env("predator-prey")
    code = "from macpo.bench.whole import _peak_of_update as f; f()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = json.loads(done.stdout)
    return [
        Result("replay, 10,000 full episodes", buffer.planned_bytes(env, 10_000) / 1e6, "MB"),
        Result(
            "peak memory of a MAC-PO update, full length",
            after / 1e6,
            "MB",
            note=f"whole process; {before / 1e6:,.0f} MB before the update was compiled",
        ),
    ]


def _peak_of_update() -> None:  # pyright: ignore[reportUnusedFunction]
    prepare_jax()
    learner, update = compiled_update("macpo")
    batch = batch_of(learner.env, full_lengths(128, 200))
    before = peak_bytes()
    jax.block_until_ready(update(batch))
    print(json.dumps([before, peak_bytes()]))


def compile_time(flags: Flags) -> list[Result]:
    """From process start to the end of the first training chunk with an update, without a cache
    and with the cache of the first start; and how fast each of the two processes trains then."""
    code = f"from macpo.bench.whole import _first_updates as f; f({flags.rounds})"
    starts: list[float] = []
    iterations: list[float] = []
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        for _ in ("cold", "warm"):
            done = subprocess.run(
                [sys.executable, "-c", code],
                capture_output=True,
                text=True,
                check=True,
                env=environment,
            )
            start, iteration = json.loads(done.stdout)
            starts.append(start)
            iterations.append(iteration)
    note = "import, trace, compile, play a full batch, one update"
    cold, warm = iterations
    return [
        Result("first update after start, cold cache", starts[0], "s", note=note),
        Result("first update after start, warm cache", starts[1], "s", note=note),
        Result(
            "training iteration in the process that compiled its program",
            1e3 * cold,
            "ms",
            cold / warm,
            "in the process that loaded it",
        ),
    ]


def _first_updates(rounds: int) -> None:  # pyright: ignore[reportUnusedFunction]
    start = time.perf_counter()
    prepare_jax()
    trainer = make_trainer(presets.pymarl2(Experiment()))
    state = trainer.init()
    forever = jnp.asarray(2**30, jnp.int32)
    while int(state.updates[0]) == 0:
        state, _ = trainer.chunk(state, forever, 1)
    first = time.perf_counter() - start
    taken: list[float] = []
    for _ in range(2 * rounds):
        before = time.perf_counter()
        state, _ = jax.block_until_ready(trainer.chunk(state, forever, 1))
        taken.append(time.perf_counter() - before)
    print(json.dumps([first, statistics.median(taken)]))


def end_to_end(flags: Flags) -> list[Result]:
    """A whole run of `macpo train --preset pymarl2`."""
    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory(Path(folder) / "run")
        experiment = presets.pymarl2(Experiment(run=Run(steps=flags.steps)))
        macpo.train(experiment, directory.path, console=Console(quiet=True))
        rows = [json.loads(line) for line in directory.timing.read_text().splitlines()]
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
