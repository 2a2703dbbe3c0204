"""A game small enough to know what each algorithm must end with.

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
UPDATES = 700
FOREVER = 2**30  # env steps: the number of updates decides


def greedy_returns(algorithm: str) -> list[float]:
    """The greedy return of each seed after `UPDATES` in QMIX's two-step game: 7 is safe, 8 needs
    agreement."""
    networks: dict[str, Any] = {"rnn_hidden_dim": 16, "central_mixing_embed_dim": 32}
    if algorithm == "qmix":
        networks |= {"mixing_embed_dim": 16, "hypernet_embed": 16}
    if algorithm == "fop":
        networks |= {"critic_hidden_dim": 32, "mixing_embed_dim": 16, "lr": 2e-3, "critic_lr": 5e-3}
        # a policy that contains this exploration is uniform, whatever it learns
        networks |= {"epsilon_in_policy": False, "temperature_anneal_time": 2000}
    experiment = Experiment(
        env=make_config("envs", "two-step"),
        algorithm=make_config("algorithms", algorithm, td_lambda=0.0, **networks),
        weighting=make_config("weighting", "uniform"),
        run=Run(
            seeds=SEEDS,
            batch_size_run=8,
            batch_size=32,
            updates_per_iteration=1,
            buffer_size=500,
            epsilon_start=1.0,
            epsilon_finish=1.0,
            test_nepisode=1,
        ),
    )
    trainer = make_trainer(experiment)
    state, _ = trainer.chunk(trainer.init(), jnp.asarray(FOREVER), UPDATES)
    return np.asarray(trainer.evaluate(state)["test_return_mean"]).tolist()


def test_qmix_takes_the_eight() -> None:  # and VDN the seven: `test_offline.py`
    assert greedy_returns("qmix") == [8] * SEEDS


def test_fop_takes_the_eight() -> None:
    # in the matrix game it gets 0, from every one of 8 seeds: like QPLEX's (see `test_values`), its
    # critics' utilities learn as in a sum
    assert greedy_returns("fop") == [8] * SEEDS
