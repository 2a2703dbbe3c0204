"""Two games small enough to know what each algorithm must end with.

Every joint action is stored equally often (epsilon stays 1), so that what is learned depends on the
representation and the weights alone. Targets are one-step: with random actions in the buffer, a
λ-return would mix them into the values.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from macpo.experiment import Experiment, Run
from macpo.registry import make_config
from macpo.training.trainer import make_trainer

pytestmark = pytest.mark.slow

SEEDS = 2
UPDATES = {"two-step": 700, "matrix-game": 400}
FOREVER = 2**30  # env steps: the number of updates decides


def greedy_returns(env: str, algorithm: str, weighting: str, **options: Any) -> list[float]:
    """The greedy return of each seed after `UPDATES`."""
    networks: dict[str, Any] = {"rnn_hidden_dim": 16, "central_mixing_embed_dim": 32}
    if algorithm == "qmix":
        networks |= {"mixing_embed_dim": 16, "hypernet_embed": 16}
    if algorithm == "fop":
        networks |= {"critic_hidden_dim": 32, "mixing_embed_dim": 16, "lr": 2e-3, "critic_lr": 5e-3}
        # a policy that contains this exploration is uniform, whatever it learns
        networks |= {"epsilon_in_policy": False, "temperature_anneal_time": 2000}
    experiment = Experiment(
        env=make_config("envs", env),
        algorithm=make_config("algorithms", algorithm, td_lambda=0.0, **networks),
        weighting=make_config("weighting", weighting, **options),
        run=Run(
            seeds=SEEDS,
            batch_size_run=8,
            batch_size=32,
            buffer_size=500,
            epsilon_start=1.0,
            epsilon_finish=1.0,
            test_nepisode=1,
        ),
    )
    trainer = make_trainer(experiment)
    state, _ = trainer.chunk(trainer.init(), jnp.asarray(FOREVER), UPDATES[env])
    return np.asarray(trainer.evaluate(state)["test_return_mean"]).tolist()


# --- QMIX's two-step game: 7 is safe, 8 needs agreement -------------------------------------------


def test_vdn_takes_the_seven_since_a_sum_undervalues_agreement() -> None:
    assert greedy_returns("two-step", "vdn", "uniform") == [7] * SEEDS


def test_qmix_takes_the_eight() -> None:
    assert greedy_returns("two-step", "qmix", "uniform") == [8] * SEEDS


def test_fop_takes_the_eight() -> None:
    # in the matrix game it gets 0, from every one of 8 seeds: like QPLEX's (see `test_values`), its
    # critics' utilities learn as in a sum
    assert greedy_returns("two-step", "fop", "uniform") == [8] * SEEDS


# --- the matrix game: 8 among punishments, 0 for those who average --------------------------------


def test_weighted_qmix_finds_the_eight() -> None:
    # with uniform weights it gets 0 (see `test_values`)
    returns = greedy_returns("matrix-game", "qmix", "owqmix", alpha=0.1)
    assert returns.count(8) > SEEDS / 2
