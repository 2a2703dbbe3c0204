"""Fresh episodes with the policies of a trained run."""

import os

import jax
import numpy as np

from macpo import registry
from macpo.bounds import Fraction, NonNegativeInt, PositiveInt, checked
from macpo.envs.base import EnvConfig
from macpo.experiment import Run
from macpo.runs.directory import RunDirectory
from macpo.runs.saving import Which
from macpo.runs.trained import read_trained
from macpo.training.host.pool import Workers
from macpo.training.outcomes import EpisodeOutcomes, episode_outcomes, evaluation_metrics
from macpo.training.player import Player, open_player
from macpo.training.rewards import require_finite
from macpo.training.trainer import evaluation_key
from macpo.types import PyTree

MAX_AT_ONCE = 4096
"""Episodes played at the same time; of more, only what their metrics need is kept."""


def evaluate(
    directory: str | os.PathLike[str],
    episodes: int = 320,
    seed: int = 0,
    *,
    which: Which = "last",
    env: EnvConfig | str | None = None,
    epsilon: float | None = None,
    workers: Workers | None = None,
    trust: bool = False,
) -> list[dict[str, float]]:
    """Returns of every trained seed over `episodes` fresh episodes, one row a seed.

    Without an `epsilon` actions are greedy; with one they are chosen as in training with that
    exploration: at 0 an algorithm with policies draws from them.

    Outcomes that the environment reports (`info`) are among the columns, `test_NAME_mean` each.
    `which`, `env` (another environment than that of the training) and `trust` are as for `load`.

    >>> import macpo
    >>> small = macpo.Run(steps=64, batch_size=8, test_interval=64, test_nepisode=8)
    >>> run = macpo.train(macpo.Experiment("matrix-game", "vdn", run=small))
    memory planned: ...
    >>> (row,) = macpo.evaluate(run.directory, episodes=16)
    >>> row["seed"], row["episodes"], row["test_ep_length_mean"]
    (0, 16, 1.0)
    """
    episodes = checked(episodes, PositiveInt, "episodes")
    seed = checked(seed, NonNegativeInt, "seed")
    epsilon = checked(epsilon, Fraction | None, "epsilon")
    trained = read_trained(RunDirectory(directory), env, which, trust=trust)
    run, rows = trained.experiment.run, list[dict[str, float]]()
    with open_player(trained.experiment, trained.trainer, workers) as player:
        for k in range(run.seeds):
            played = play_in_turns(player, trained.params_of(k), run, seed, episodes, epsilon)
            metrics = {name: float(x) for name, x in evaluation_metrics(played).items()}
            require_finite(
                int(metrics["test_rewards_nonfinite"]),
                run.nonfinite_rewards,
                registry.name_of(trained.experiment.env),
                f"in {episodes:,} episodes",
            )
            metrics["test_return_sem"] = metrics["test_return_std"] / episodes**0.5
            rows.append({"seed": run.seed + k, "episodes": episodes, **metrics})
    return rows


def play_in_turns(
    player: Player, params: PyTree, run: Run, seed: int, episodes: int, epsilon: float | None
) -> EpisodeOutcomes:
    """The outcomes of one trained seed; `MAX_AT_ONCE` episodes at most are in memory."""
    key, shares = evaluation_key(seed), list[EpisodeOutcomes]()
    for begin in range(0, episodes, MAX_AT_ONCE):
        turn_key = jax.random.fold_in(key, begin) if begin else key
        n = min(episodes - begin, MAX_AT_ONCE)
        rollout = player.play(params, turn_key, n, epsilon)
        shares.append(jax.device_get(episode_outcomes(rollout, run)))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *shares)
