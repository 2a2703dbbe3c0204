"""When a team hunts, by schedule: env steps and CPU seconds to a greedy return of 30.

    taskset -c 0 .venv/bin/python benchmarks/schedules.py FILE SEED...

MAC-PO on Predator-Prey without punishment, evaluated every 5,000 env steps. Each seed of each
schedule is a line of FILE, which is added to; run it on several cores with other seeds.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from macpo import Experiment, Run
from macpo.bench.learning import GOAL, MAX_STEPS, time_to
from macpo.machine import prepare_jax
from macpo.training.trainer import make_trainer

SCHEDULES: dict[str, dict[str, int]] = {
    "one update of 128": {"batch_size": 128, "updates_per_iteration": 1},
    "two of 64": {"batch_size": 64, "updates_per_iteration": 2},
    "four of 32": {"batch_size": 32, "updates_per_iteration": 4},
    "two of 32": {"batch_size": 32, "updates_per_iteration": 2},
}
"""After each eight episodes."""


def measured(seed: int, schedule: dict[str, int]) -> dict[str, Any]:
    """Of one run; nothing is compiled in its CPU seconds."""
    run = Run(seed=seed, steps=MAX_STEPS, test_interval=5_000, **schedule)
    trainer = make_trainer(Experiment(run=run))
    _ = trainer.compiled_chunk, trainer.compiled_evaluate
    start = time.process_time()
    reached = time_to(GOAL, trainer)
    return {
        "cpu_seconds": round(time.process_time() - start),
        "env_steps": reached and reached.env_steps,
    }


def main(file: str, *seeds: str) -> None:
    """Measure these seeds of every schedule."""
    prepare_jax()
    for name, schedule in SCHEDULES.items():
        for seed in map(int, seeds):
            row = {"schedule": name, "seed": seed, **measured(seed, schedule)}
            with Path(file).open("a") as handle:
                handle.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
