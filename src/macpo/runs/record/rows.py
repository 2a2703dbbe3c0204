"""Rows of metrics.jsonl, made from the arrays that compiled chunks and evaluations return."""

from collections.abc import Collection, Iterator

import jax
import numpy as np
from jaxtyping import Int

from macpo.experiment import Run
from macpo.runs.record import Row
from macpo.training.trainer import TrainState
from macpo.types import Metrics


def training_rows(
    metrics: Metrics,
    update_metrics: Collection[str],
    n_iterations: Int[np.ndarray, " K"],
    seeds: Int[np.ndarray, " K"],
    updates_before: Int[np.ndarray, " K"],
) -> Iterator[Row]:
    """A row for each of the iterations a seed has made; metrics are [K, M].

    `update_metrics` are the names of those that updates give: rows of iterations without updates
    leave them out. Before the first iteration a seed had made `updates_before`.
    """
    host = jax.device_get(metrics)
    for k, seed in enumerate(seeds):
        before = int(updates_before[k])
        for i in range(int(n_iterations[k])):
            row: Row = {"kind": "train", "seed": int(seed)}
            for name in ("env_steps", "episodes", "updates"):
                row[name] = int(host[name][k, i])
            now = int(host["updates"][k, i])
            unknown, before = () if now > before else update_metrics, now
            for name in sorted(set(host) - set(row) - set(unknown)):
                row[name] = host[name][k, i].item()
            yield row


def evaluation_rows(metrics: Metrics, state: TrainState, run: Run) -> Iterator[Row]:
    """A row for the evaluation of each seed; metrics are [K]."""
    host, counters = jax.device_get(
        (metrics, (state.seed, state.env_steps, state.iteration, state.updates))
    )
    for k, (seed, env_steps, iteration, updates) in enumerate(zip(*counters, strict=True)):
        yield {
            "kind": "test",
            "seed": int(seed),
            "env_steps": int(env_steps),
            "episodes": run.episodes(int(iteration)),
            "updates": int(updates),
            **{name: value[k].item() for name, value in sorted(host.items())},
        }
