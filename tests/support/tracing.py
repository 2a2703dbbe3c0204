"""Training that is only traced, where nothing reads the run."""

from pathlib import Path
from typing import Any

import jax

import macpo
from macpo.runs.train import train
from macpo.training.trainer import make_trainer


def train_or_trace(
    experiment: macpo.Experiment, directory: str | None, **options: Any
) -> macpo.RunResult:
    """Train where later commands read the run; elsewhere trace all that would be compiled."""
    if directory is not None:
        return train(experiment, directory, **options)
    trainer = make_trainer(experiment, to_play=True)
    jax.eval_shape(trainer.chunk, trainer.state_shapes, 0, 1)
    return macpo.RunResult(Path("nothing"), finished=True)
