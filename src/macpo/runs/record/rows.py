"""Rows of metrics.jsonl, made from the arrays that compiled chunks and evaluations return."""

from collections.abc import Iterator

import jax
import numpy as np
from jaxtyping import Int

from macpo.runs.record import Row
from macpo.training.trainer import TrainState
from macpo.types import Metrics


def training_rows(
    metrics: Metrics, n_iterations: Int[np.ndarray, " K"], seeds: Int[np.ndarray, " K"]
) -> Iterator[Row]:
    """A row for each of the iterations a seed has made; metrics are [K, M].

    Values of updates that did not happen (NaN) are left out.
    """
    host = jax.device_get(metrics)
    for k, seed in enumerate(seeds):
        for i in range(int(n_iterations[k])):
            row: Row = {"kind": "train", "seed": int(seed)}
            for name in ("env_steps", "episodes", "updates"):
                row[name] = int(host[name][k, i])
            learned = row["updates"] != 0
            for name in sorted(set(host) - set(row)):
                value = host[name][k, i].item()
                if np.isfinite(value):
                    row[name] = value
                elif learned:
                    row[name] = str(value)  # "nan": kept visible, and valid JSON
            yield row


def evaluation_rows(metrics: Metrics, state: TrainState, batch_size_run: int) -> Iterator[Row]:
    """A row for the evaluation of each seed; metrics are [K]."""
    host, counters = jax.device_get(
        (metrics, (state.seed, state.env_steps, state.iteration, state.updates))
    )
    for k, (seed, env_steps, iteration, updates) in enumerate(zip(*counters, strict=True)):
        yield {
            "kind": "test",
            "seed": int(seed),
            "env_steps": int(env_steps),
            "episodes": int(iteration) * batch_size_run,
            "updates": int(updates),
            **{name: value[k].item() for name, value in sorted(host.items())},
        }
