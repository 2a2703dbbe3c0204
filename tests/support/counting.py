"""A run that is played in no time: of a player that only counts, through `train` and `resume`."""

import io
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
from rich.console import Console

from macpo.experiment import Experiment, Run
from macpo.learners.base import LearnerState
from macpo.runs import train, trained
from macpo.runs.loop import RunResult
from macpo.training.trainer import TrainState

STEPS_PER_CHUNK = 100
BEST_CHUNKS = 5
RUN = Run(steps=1000, test_interval=250, checkpoint_interval=250)
"""Saves at 300, 500, 800 and 1000 env steps."""
EXPERIMENT = Experiment(env="two-step", run=RUN)


def fresh(env_steps: int = 0) -> TrainState:
    """A seed's state whose only parameter is the number of chunks that it has seen."""
    zero = np.zeros(1, np.int32)
    return TrainState(
        learner=LearnerState({"chunks": zero}, (), (), {}),
        replay_buffer=np.zeros((1, 16), np.float32),
        priorities=(),
        seed=zero + 7,
        env_steps=zero + env_steps,
        iteration=zero,
        updates=zero,
        last_sync=zero,
    )


class CountingPlayer:
    """Plays an iteration of 100 env steps in each chunk, after calling `before`.

    Every row tells of the whole state before it. It plays best after five chunks.
    """

    trainer = SimpleNamespace(update_metrics=frozenset({"loss"}), sharding=jax.devices("cpu")[0])

    def __init__(
        self, before: Callable[[int], None] = lambda chunk: None, value: float = 1.5
    ) -> None:
        self.before, self.value = before, value
        self.until, self.tested_at = list[int](), list[int]()
        self.nonfinite: dict[int, int] = {}
        """Chunks in which rewards were not finite → how many of them; in tests it is chunk 0."""

    def compile(self) -> None: ...

    def chunk(self, state: TrainState, until_env_steps: int) -> tuple[TrainState, dict[str, Any]]:
        self.until.append(until_env_steps)
        self.before(len(self.until))
        chunks = np.asarray(state.learner.params["chunks"]) + 1
        replay = np.roll(np.asarray(state.replay_buffer), 1) + chunks.astype(np.float32)
        state = state._replace(
            learner=state.learner._replace(params={"chunks": chunks}),
            replay_buffer=replay,
            env_steps=np.asarray(state.env_steps) + STEPS_PER_CHUNK,
            iteration=np.asarray(state.iteration) + 1,
            updates=np.asarray(state.updates) + 1,
        )
        metrics = {
            "env_steps": state.env_steps,
            "episodes": state.iteration,
            "updates": state.updates,
            "rewards_nonfinite": np.array([self.nonfinite.get(len(self.until), 0)]),
            "return_mean": np.array([self.value]),
            "chunks": chunks,
            "replayed": replay @ np.arange(16),
        }
        return state, {name: np.asarray(x)[:, None] for name, x in metrics.items()}

    def evaluate(self, state: TrainState) -> dict[str, Any]:
        self.tested_at.append(int(state.env_steps[0]))
        from_best = np.abs(np.asarray(state.learner.params["chunks"]) - BEST_CHUNKS)
        return {
            "test_return_mean": self.value - from_best,
            "test_rewards_nonfinite": np.array([self.nonfinite.get(0, 0)]),
        }


class CountingTrainer:
    """What `train` and `resume` ask of a trainer."""

    def __init__(self, experiment: Experiment, *, to_play: bool = False) -> None:
        self.sharding = jax.devices("cpu")[0]
        self.init = fresh
        self.algorithm = None

    @property
    def state_shapes(self) -> TrainState:
        return jax.eval_shape(fresh)

    def check(self) -> None: ...


@contextmanager
def counting(before: Callable[[int], None] = lambda chunk: None) -> Generator[None]:
    """Let runs be played by a `CountingPlayer`."""

    @contextmanager
    def open_player(*_: Any) -> Generator[CountingPlayer]:
        yield CountingPlayer(before)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)  # no test cuts the power
        patch.setattr(train, "make_trainer", CountingTrainer)
        patch.setattr(train, "open_player", open_player)
        patch.setattr(train, "check_memory", lambda *_: None)
        patch.setattr(trained, "make_trainer", CountingTrainer)
        yield


def begin(directory: Path | None, experiment: Experiment = EXPERIMENT) -> RunResult:
    """`train`, without a word."""
    return train.train(experiment, directory, console=Console(quiet=True))


def go_on(directory: Path, steps: int | None = None) -> str:
    """`resume` to the end, and what it says."""
    console = Console(file=io.StringIO(), width=400, record=True)
    assert train.resume(directory, steps=steps, console=console).finished
    return console.export_text()


def interrupted(directory: Path, at_chunk: int) -> None:
    """A run that broke off, as if killed, before a chunk was played."""

    class Broken(BaseException): ...

    def before(chunk: int) -> None:
        if chunk == at_chunk:
            raise Broken

    with counting(before), pytest.raises(Broken):
        begin(directory)


def content(directory: Path) -> dict[str, bytes]:
    """What must be the same however often a run was interrupted."""
    names = (
        "experiment.json",
        "metrics.jsonl",
        "absolute.jsonl",
        "model.safetensors",
        "best.safetensors",
    )
    return {name: (directory / name).read_bytes() for name in names}
