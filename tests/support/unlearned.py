"""Run directories whose parameters nobody has learned, for tests of what is done with a policy."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np

import macpo
from macpo.runs.directory import RunDirectory
from macpo.runs.policy import Policy
from macpo.runs.saving import save_model
from macpo.training.trainer import make_trainer


def unlearned(experiment: macpo.Experiment, directory: Path) -> Policy:
    """The policy of such a directory, with noise on every parameter, so that no bias is zero."""
    files = RunDirectory(directory)
    files.make()
    files.write_experiment(experiment)
    params = jax.device_get(make_trainer(experiment).algorithm.init(jax.random.key(0)).params)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: np.float32(x + rng.normal(0, 0.1, x.shape))[None], params)
    state: Any = SimpleNamespace(learner=SimpleNamespace(params=params))
    save_model(files, experiment, state)
    return macpo.load(directory)
