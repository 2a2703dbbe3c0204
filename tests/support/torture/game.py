"""The smallest run: networks of four units play the two-step game for eight iterations."""

import functools
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from rich.console import Console

import macpo
from macpo.algorithms.vdn import Config as Vdn
from macpo.envs.two_step import Config as TwoStep
from macpo.runs import policy, train
from macpo.training import player
from macpo.training.trainer import Trainer, make_trainer

RUN = macpo.Run(
    steps=32,
    batch_size=2,
    batch_size_run=2,
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


@contextmanager
def compiled_once() -> Generator[None]:
    """Runs of the same experiment share one trainer and its compiled programs."""
    with (
        mock.patch.object(player, "CompiledPlayer", _compiled_player),
        mock.patch.object(train, "make_trainer", _trainer),
        mock.patch.object(policy, "make_trainer", _trainer),
    ):
        yield


_trainers: dict[str, Trainer] = {}
_players: dict[int, Any] = {}


def _trainer(experiment: macpo.Experiment, *, to_play: bool = False) -> Trainer:
    text = repr(experiment)
    if text not in _trainers:
        _trainers[text] = make_trainer(experiment, to_play=to_play)
    return _trainers[text]


_CompiledPlayer: Callable[[Trainer], Any] = player.CompiledPlayer


def _compiled_player(trainer: Trainer) -> Any:
    if id(trainer) not in _players:
        made = _CompiledPlayer(trainer)
        made.compile = functools.cache(made.compile)
        _players[id(trainer)] = made
        _trainers[str(id(trainer))] = trainer  # an id is of one trainer as long as that lives
    return _players[id(trainer)]
