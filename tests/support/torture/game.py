"""The smallest run: networks of four units play the two-step game for eight iterations."""

from dataclasses import replace
from pathlib import Path

from rich.console import Console

import macpo
from macpo.algorithms.vdn import Config as Vdn
from macpo.envs.two_step import Config as TwoStep

RUN = macpo.Run(
    steps=32,
    batch_size=2,
    batch_size_run=2,
    updates_per_iteration=1,
    buffer_size=8,
    test_interval=8,
    test_nepisode=2,
    checkpoint_interval=8,
)
SMALLEST = macpo.Experiment(env=TwoStep(), algorithm=Vdn(rnn_hidden_dim=4), run=RUN)
"""Sixteen episodes, eight iterations, four checkpoints."""
OF_ANOTHER_SEED = replace(SMALLEST, run=replace(RUN, seed=1))


def begin(directory: Path, experiment: macpo.Experiment = SMALLEST) -> macpo.RunResult:
    """`macpo train`, without its output."""
    return macpo.train(experiment, directory, console=Console(quiet=True))


def go_on(directory: Path) -> macpo.RunResult:
    """`macpo resume`, without its output."""
    return macpo.resume(directory, console=Console(quiet=True))
