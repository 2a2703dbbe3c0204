"""Training that is only looked at, where nothing reads the run."""

from pathlib import Path
from typing import Any

import macpo
from macpo.runs.train import train
from macpo.training.trainer import make_trainer


def train_or_check(
    experiment: macpo.Experiment, directory: str | None = None, **options: Any
) -> macpo.RunResult:
    """Train where later commands read the run; elsewhere trace an update, as `train` does first."""
    if directory is not None:
        return train(experiment, directory, **options)
    make_trainer(experiment, to_play=True).check()
    return macpo.RunResult(Path("nothing"), finished=True)
