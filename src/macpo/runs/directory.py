"""A run's directory: the name of every file in it, and the files that say what the run is."""

import os
from pathlib import Path
from typing import Any

import jax

import macpo
from macpo.errors import UsageError, require
from macpo.experiment import Experiment, digest, from_dict, to_dict
from macpo.runs.files import read_json, write_atomically, write_json
from macpo.terminal import command

_README = """# {experiment.title}

A run of macpo {version} with JAX {jax} on {backend}.

| file | what it holds |
|---|---|
| `{run.experiment.name}` | every setting; `{repeat}` repeats the run |
| `{run.metrics.name}` | one JSON object a line: `train` rows after each iteration, `test` rows \
from greedy episodes; the same bytes whenever the run is repeated on the same machine |
| `{run.timing.name}` | wall time and speed |
| `{run.model.name}` | the networks' weights, readable by any safetensors reader |
| `{run.checkpoints.name}/` | everything needed to continue: `{resume}` |
| `{run.learning_curve.name}`, `{run.episode.name}` | the result, once the run has ended |

Units: env steps, episodes and updates (gradient steps) are per seed.
"""


class RunDirectory:
    """The files of a run; the directory need not exist yet."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.experiment = self.path / "experiment.json"
        """Every setting."""
        self.metrics = self.path / "metrics.jsonl"
        """Rows of training and evaluation."""
        self.timing = self.path / "timing.jsonl"
        """Wall time and speed."""
        self.model = self.path / "model.safetensors"
        """The networks' parameters at the last checkpoint, of all seeds."""
        self.checkpoints = self.path / "checkpoints"
        """The folder of everything needed to continue."""
        self.tensorboard = self.path / "tensorboard"
        """The folder of TensorBoard's event files."""
        self.readme = self.path / "README.md"
        """What the files are."""
        self.learning_curve = self.path / "learning_curve.png"
        """The picture of a finished run."""
        self.episode = self.path / "episode.gif"
        """The film of an episode."""

    @classmethod
    def new(cls, experiment: Experiment) -> "RunDirectory":
        """A directory under runs/, named after the experiment, that does not exist yet."""
        name = f"{experiment.title.replace(' ', '_').replace(':', '.')}_{digest(experiment)}"
        path, n = Path("runs") / name, 1
        while path.exists():
            n += 1
            path = Path("runs") / f"{name}_{n}"
        return cls(path)

    def episode_in(self, env: str) -> Path:
        """The film of an episode in another environment than that of the training."""
        return self.episode.with_stem(f"{self.episode.stem}-{env.replace(':', '.')}")

    def create(self, experiment: Experiment) -> None:
        """Make the directory, with experiment.json and a README; UsageError if that fails."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"cannot create {self.path}: {error.strerror}; choose another --out."
            ) from error
        write_json(self.experiment, to_dict(experiment))
        backend, version = jax.default_backend(), macpo.__version__
        text = _README.format(
            run=self,
            experiment=experiment,
            version=version,
            jax=jax.__version__,
            backend=backend,
            repeat=command("macpo", "train", "--config", self.experiment),
            resume=command("macpo", "resume", self.path),
        )
        write_atomically(self.readme, text.encode())

    def read_experiment(self, *, trust: bool = False) -> Experiment:
        """The experiment of the run; UsageError if this is not a run directory.

        `trust` allows names that are not registered (`macpo.experiment.from_dict`).
        """
        if not self.experiment.is_file():
            raise UsageError(
                f"{self.path} is not a run directory: it has no {self.experiment.name}. Runs are "
                "made by `macpo train`, by default under runs/."
            )
        return read_experiment(self.experiment, trust=trust)


def read_experiment(file: Path, *, trust: bool = False) -> Experiment:
    """The experiment in a file; UsageError, which names the file, for whatever is wrong with it.

    `trust` allows names that are not registered (`macpo.experiment.from_dict`).
    """
    data = read_settings(file)
    try:
        return from_dict(data, trust=trust)
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error


def read_settings(file: Path) -> dict[str, Any]:
    """The plain data of an experiment file; UsageError if it cannot be read or holds none."""
    data = read_json(file, "an experiment")
    require(isinstance(data, dict), f"{file} holds no experiment: expected a JSON object.")
    return data
