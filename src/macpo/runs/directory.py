"""A run's directory: the name of every file in it, and the two files that say what the run is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

import macpo
from macpo.errors import UsageError, require
from macpo.experiment import Experiment, digest, from_dict, to_dict
from macpo.runs.files import read_json, write_atomically, write_json


@dataclass(frozen=True)
class RunDirectory:
    """The files of a run, each named after what it holds."""

    path: Path

    @classmethod
    def new(cls, experiment: Experiment) -> "RunDirectory":
        """A name under runs/ that is still free."""
        name = f"{experiment.title.replace(' ', '_').replace(':', '.')}_{digest(experiment)}"
        path, n = Path("runs") / name, 1
        while path.exists():
            n += 1
            path = Path("runs") / f"{name}_{n}"
        return cls(path)

    @property
    def experiment(self) -> Path:
        """Every setting."""
        return self.path / "experiment.json"

    @property
    def metrics(self) -> Path:
        """Rows of training and evaluation."""
        return self.path / "metrics.jsonl"

    @property
    def timing(self) -> Path:
        """Wall time and speed."""
        return self.path / "timing.jsonl"

    @property
    def model(self) -> Path:
        """The networks' parameters at the last checkpoint, of all seeds."""
        return self.path / "model.safetensors"

    @property
    def checkpoints(self) -> Path:
        """The folder of everything needed to continue."""
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        """The folder of TensorBoard's event files."""
        return self.path / "tensorboard"

    @property
    def readme(self) -> Path:
        """What the files are."""
        return self.path / "README.md"

    @property
    def learning_curve(self) -> Path:
        """The picture of a finished run."""
        return self.path / "learning_curve.png"

    def episode(self, env: str = "") -> Path:
        """The film of an episode, by default in the environment of the training."""
        suffix = f"-{env.replace(':', '.')}" if env else ""
        return self.path / f"episode{suffix}.gif"

    # --- what the run is --------------------------------------------------------------------------

    def create(self, experiment: Experiment) -> None:
        """Make the directory, with its experiment.json and README; UsageError if that fails."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"cannot create {self.path}: {error.strerror}; choose another --out."
            ) from error
        self.write_experiment(experiment)
        write_atomically(self.readme, self._about(experiment).encode())

    def write_experiment(self, experiment: Experiment) -> None:
        """Write experiment.json."""
        write_json(self.experiment, to_dict(experiment))

    def read_experiment(self) -> Experiment:
        """The experiment of the run; UsageError if this is no run directory."""
        if not self.experiment.is_file():
            raise UsageError(
                f"{self.path} is no run directory: it has no {self.experiment.name}. Runs are made "
                "by `macpo train`, by default under runs/."
            )
        return from_dict(read_settings(self.experiment))

    def _about(self, experiment: Experiment) -> str:
        return f"""# {experiment.title}

A run of macpo {macpo.__version__} with JAX {jax.__version__} on {jax.default_backend()}.

| file | what it holds |
|---|---|
| `{self.experiment.name}` | every setting; `macpo train --config {self.experiment}` \
repeats the run |
| `{self.metrics.name}` | one JSON object a line: `train` rows after each iteration, \
`test` rows from greedy episodes; the same bytes whenever the run is repeated on the same machine |
| `{self.timing.name}` | wall time and speed |
| `{self.model.name}` | the networks' weights, readable by any safetensors reader |
| `{self.checkpoints.name}/` | everything needed to continue: `macpo resume {self.path}` |
| `{self.learning_curve.name}`, `{self.episode().name}` | the result, once the run has ended |

Units: env steps, episodes and updates (gradient steps) are per seed.
"""


def read_settings(file: Path) -> dict[str, Any]:
    """The plain data of an experiment file; UsageError if it cannot be read or holds none."""
    data = read_json(file, "an experiment")
    require(isinstance(data, dict), f"{file} holds no experiment, but {type(data).__name__}.")
    return data
