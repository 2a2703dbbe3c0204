"""Fresh episodes with the policies of a trained run."""

import os
from typing import Any

from macpo.errors import require
from macpo.runs.directory import RunDirectory
from macpo.runs.policy import read_trained
from macpo.training.host.pool import Workers
from macpo.training.player import open_player
from macpo.training.trainer import evaluation_key, evaluation_metrics


def evaluate(
    directory: str | os.PathLike[str],
    episodes: int = 320,
    seed: int = 0,
    *,
    env: Any = None,  # as for `Experiment`
    epsilon: float | None = None,
    workers: Workers | None = None,
    trust: bool = False,
) -> list[dict[str, float]]:
    """Returns of every trained seed over `episodes` fresh episodes, one row a seed.

    Without an `epsilon` actions are greedy; with one they are chosen as in training with that
    exploration: at 0 an algorithm with policies draws from them.

    Outcomes that the environment reports (`info`) are among the columns, `test_NAME_mean` each.
    `env` is another environment than that of the training, and `trust` is as for `load`.
    """
    require(episodes >= 1, f"episodes must be at least 1, not {episodes}.")
    require(epsilon is None or 0 <= epsilon <= 1, f"epsilon must be in [0, 1], not {epsilon}.")
    trained = read_trained(RunDirectory(directory), env, trust=trust)
    run, rows = trained.experiment.run, list[dict[str, float]]()
    with open_player(trained.experiment, trained.trainer, workers) as player:
        for k in range(run.seeds):
            rollout = player.play(trained.params_of(k), evaluation_key(seed), episodes, epsilon)
            metrics = {name: float(x) for name, x in evaluation_metrics(rollout).items()}
            metrics["test_return_sem"] = metrics["test_return_std"] / episodes**0.5
            rows.append({"seed": run.seed + k, "episodes": episodes, **metrics})
    return rows
