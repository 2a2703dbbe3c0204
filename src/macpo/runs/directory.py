"""A run's directory: the name of every file in it, and the files that say what the run is."""

import os
import platform
from pathlib import Path

import jax

import macpo
from macpo.errors import UsageError, require
from macpo.experiment import Experiment, digest, from_dict, needs_trust, to_dict
from macpo.field_types import Settings
from macpo.machine import available_cores
from macpo.runs.files import (
    disk_errors,
    is_file,
    read_json,
    remove_leftovers,
    write_atomically,
    write_json,
)
from macpo.terminal import command

_MAX_TITLE = 200
"""Letters of an experiment's title in the name of its directory; file systems allow 255."""
_README = """# {experiment.title}

A run of macpo {version} with JAX {jax} on {backend}, {cores} cores, {platform}.

{story}

## Its files

| file | what it holds |
|---|---|
| `{run.experiment.name}` | every setting; `{repeat}` repeats the run |
| `{run.metrics.name}` | one JSON object a line: `train` rows after each iteration, `test` rows \
from greedy episodes; the same bytes whenever the run is repeated on the same machine |
| `{run.absolute.name}` | once the run has ended: for each seed, what the parameters of its best \
evaluation earn in ten times as many episodes |
| `{run.timing.name}` | wall time and speed |
| `{run.sessions.name}` | when, where and by which commands it was trained |
| `{run.model.name}` | the networks' weights, readable by any safetensors reader |
| `{run.best.name}` | once the run has ended: those of each seed's best evaluation |
| `{run.checkpoints.name}/` | everything needed to continue: `{resume}` |
| `{run.replay.name}/` | with `--record-weights`: steps of replay and why they weigh what they \
weigh, which `macpo report` shows |
| `{run.learning_curve.name}`, `{run.episode.name}` | the result, once the run has ended |

Units: env steps, episodes and updates (gradient steps) are per seed.

{end}
"""
_END = "<!-- macpo writes what stands above again; what you write below this line stays. -->"


class RunDirectory:
    """The files of a run; the directory need not exist yet."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        require(os.fspath(path) != "", "the name of the run's directory is empty; give it one.")
        self.path = Path(path)
        self.experiment = self.path / "experiment.json"
        """Every setting."""
        self.metrics = self.path / "metrics.jsonl"
        """Rows of training and evaluation."""
        self.absolute = self.path / "absolute.jsonl"
        """The absolute metric of each seed, once the run has ended (`macpo.runs.best`)."""
        self.timing = self.path / "timing.jsonl"
        """Wall time and speed."""
        self.sessions = self.path / "sessions.json"
        """When, where and by which commands the run was trained."""
        self.model = self.path / "model.safetensors"
        """The networks' parameters at the last checkpoint, of all seeds."""
        self.best = self.path / "best.safetensors"
        """Those of each seed's best evaluation, once the run has ended."""
        self.checkpoints = self.path / "checkpoints"
        """The folder of everything needed to continue."""
        self.replay = self.path / "replay"
        """The folder of what has been recorded of replay and its weights."""
        self.tensorboard = self.path / "tensorboard"
        """The folder of TensorBoard's event files."""
        self.wandb = self.path / "wandb"
        """The folder of what Weights & Biases keeps."""
        self.tracker_id = self.path / "tracker_id"
        """By which trackers know the run again."""
        self.readme = self.path / "README.md"
        """What the run has come to, how, and what the files are."""
        self.learning_curve = self.path / "learning_curve.png"
        """The picture of a finished run."""
        self.episode = self.path / "episode.gif"
        """The film of an episode."""

    @classmethod
    def new(cls, experiment: Experiment) -> "RunDirectory":
        """A directory under runs/, named after the experiment; made at once, so that it is ours."""
        title = experiment.title.replace(" ", "_").replace(":", ".")[:_MAX_TITLE]
        name = f"{title}_{digest(experiment)}"
        runs, n = Path("runs"), 1
        with disk_errors(runs, "create"):
            runs.mkdir(exist_ok=True)
            while True:
                path = runs / (name if n == 1 else f"{name}_{n}")
                try:
                    path.mkdir()
                except FileExistsError:
                    n += 1
                else:
                    return cls(path)

    def episode_of(self, which: str, env: str | None, *asked: str) -> Path:
        """The film of an episode with the `last` or `best` parameters.

        `env` is another environment than that of the training, if there is one; `asked` is what
        else tells it from the run's own.
        """
        others = [which] if which != "last" else []
        others += [*([env.replace(":", ".")] if env else []), *asked]
        return self.episode.with_stem("-".join([self.episode.stem, *others]))

    def files(self) -> list[Path]:
        """Everything that a run writes, whether it is there or not."""
        return [file for file in vars(self).values() if file != self.path]

    def require_unused(self) -> None:
        """UsageError if there is anything that a new run would overwrite."""
        require(
            not os.path.lexists(self.experiment),
            f"{self.path} already holds a run; continue it with "
            f"`{command('macpo', 'resume', self.path)}` or choose another --out.",
        )
        taken = [file.name for file in self.files() if os.path.lexists(file)]
        require(
            not taken,
            f"{self.path} already holds {', '.join(taken)}, which a run would overwrite; choose "
            "another --out.",
        )

    def make(self) -> None:
        """Make the directory, unless there is one."""
        with disk_errors(self.path, "create"):
            self.path.mkdir(parents=True, exist_ok=True)

    def write_experiment(self, experiment: Experiment) -> None:
        """Write experiment.json."""
        write_json(self.experiment, to_dict(experiment))

    def write_readme(self, experiment: Experiment, story: str) -> None:
        """Write the README, with what there is to tell of the run; the user's notes in it stay.

        One in which the line above the notes is gone is the user's own, and is left as it is.
        """
        notes = self._notes()
        if notes is None:
            return
        text = _README.format(
            run=self,
            experiment=experiment,
            version=macpo.__version__,
            jax=jax.__version__,
            backend=jax.default_backend(),
            cores=available_cores(),
            platform=platform.platform(),
            story=story,
            repeat=command("macpo", "train", "--config", self.experiment),
            resume=self.resume_command(experiment),
            end=_END,
        )
        write_atomically(self.readme, text.rstrip("\n").encode() + notes)

    def _notes(self) -> bytes | None:
        """What stands below the README's own part; None if the file is not to be touched."""
        if not os.path.lexists(self.readme):
            return b"\n"
        try:
            _, end, notes = self.readme.read_bytes().partition(_END.encode())
        except OSError:
            return None
        return notes if end else None

    def resume_command(self, experiment: Experiment) -> str:
        """The command that continues the run."""
        trust = ["--trust"] if needs_trust(experiment) else []
        return command("macpo", "resume", self.path, *trust)

    def remove_leftovers(self) -> None:
        """Remove what a process that was killed has left half-written."""
        remove_leftovers(self.path, {file.name for file in self.files()})
        remove_leftovers(self.checkpoints)
        remove_leftovers(self.replay)

    def has_experiment(self) -> bool:
        """Whether this is a run directory; not if the system cannot tell."""
        return is_file(self.experiment)

    def require_run(self) -> None:
        """UsageError if this is not a run directory."""
        with disk_errors(self.experiment, "read"):
            is_run = self.experiment.is_file()
        require(
            is_run,
            f"{self.path} is not a run directory: it has no {self.experiment.name}. Runs are made "
            "by `macpo train`, by default under runs/.",
        )

    def read_experiment(self, *, trust: bool = False) -> Experiment:
        """The experiment of the run; UsageError if this is not a run directory.

        `trust` allows names that are not registered (`macpo.experiment.from_dict`).
        """
        self.require_run()
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


def read_settings(file: Path) -> Settings:
    """The plain data of an experiment file; UsageError if it cannot be read or holds none."""
    data = read_json(file, "an experiment")
    require(isinstance(data, dict), f"{file} holds no experiment: expected a JSON object.")
    return data
