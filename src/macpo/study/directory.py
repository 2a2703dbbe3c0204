"""A study's directory: the plan, a run directory for every arm and seed, and how each run ended."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from macpo.errors import UsageError, require, shown
from macpo.experiment import PARTS
from macpo.field_types import Settings
from macpo.runs.directory import RunDirectory
from macpo.runs.files import disk_errors, read_json, remove_leftovers, write_atomically, write_json
from macpo.study.study import PlannedRun, Study, from_data, require_extension, to_data
from macpo.terminal import command

PLAN = "study.json"
"""By this file a directory is known as a study's."""
Status: TypeAlias = Literal["finished", "failed", "stopped"]
_README = """# {name}

A study of macpo: {arms} with {seeds} each.

| file | what it holds |
|---|---|
| `{files.plan.name}` | the plan: every arm's settings, the seeds, and how many cores a run has |
| `{files.runs.name}/ARM/{run}/` | the run of {a_run} of one arm, as `macpo train` would make it |
| `{files.runs.name}/ARM/{run}.log` | what that run printed |
| `{files.outcomes.name}` | how each run has ended |

`{resume}` goes on where it was stopped; `{report}` shows what is there.
"""


class Outcome(NamedTuple):
    """How a run ended."""

    run: PlannedRun
    status: Status
    message: str = ""
    """Of a run that failed: what went wrong."""
    seconds: float = 0.0
    """Wall time of its last process."""


class StudyDirectory:
    """The files of a study; the directory need not exist yet."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        require(os.fspath(path) != "", "the name of the study's directory is empty; give it one.")
        self.path = Path(path)
        self.plan = self.path / PLAN
        """Arms, seeds, and the cores of a run."""
        self.runs = self.path / "runs"
        """A folder for each arm."""
        self.outcomes = self.path / "outcomes.json"
        """How the runs ended that have ended."""
        self.readme = self.path / "README.md"
        """What the files are."""

    def run(self, run: PlannedRun) -> RunDirectory:
        """The directory of one run."""
        return RunDirectory(self.runs / run.arm / _name(run))

    def log(self, run: PlannedRun) -> Path:
        """What one run prints."""
        return self.runs / run.arm / f"{_name(run)}.log"

    def require_fit(self, study: Study) -> None:
        """UsageError if the directory holds something else than the beginning of this study."""
        if os.path.lexists(self.plan):
            try:
                known = _names(to_data(study)) >= _names(self._read_plan())
                require_extension(study, self.read(trust=known))
            except UsageError as error:
                raise UsageError(f"{self.path} already holds a study: {error}") from error
        else:
            taken = [file.name for file in self._files() if os.path.lexists(file)]
            require(
                not taken,
                f"{self.path} already holds {', '.join(taken)}, which a study would overwrite; "
                "choose another --out.",
            )

    def begin(self, study: Study, cores: int) -> None:
        """Write the plan, and what the directory is."""
        write_json(self.plan, {**to_data(study), "cores_per_run": cores})
        trusted = ["--trust"] if study.needs_trust else []
        text = _README.format(
            name=study.name,
            files=self,
            arms=_counted(len(study.arms), "arm"),
            seeds=_counted(len(study.seeds), "seed"),
            run="seed-K" if study.seeds_together == 1 else "seeds-K-L",
            a_run="one seed" if study.seeds_together == 1 else "the seeds K to L",
            resume=command("macpo", "sweep", self.path, *trusted),
            report=command("macpo", "report", self.path),
        )
        write_atomically(self.readme, text.encode())

    def make(self) -> None:
        """Make the directory, unless there is one."""
        with disk_errors(self.path, "create"):
            self.path.mkdir(parents=True, exist_ok=True)

    def remove_leftovers(self) -> None:
        """Remove what a process that was killed has left half-written."""
        remove_leftovers(self.path, {file.name for file in self._files()})

    def read(self, *, trust: bool = False) -> Study:
        """The study; UsageError if there is none. `trust` as in `macpo.experiment.from_dict`."""
        data = self._read_plan()
        try:
            return from_data(data, trust=trust)
        except UsageError as error:
            raise UsageError(f"{self.plan}: {error}") from error

    def read_cores(self) -> int | None:
        """Cores of each run, which its numbers depend on in the last bits; None without a plan."""
        if not os.path.lexists(self.plan):
            return None
        cores = self._read_plan().get("cores_per_run")
        if not isinstance(cores, int) or isinstance(cores, bool) or cores < 1:
            raise UsageError(f"{self.plan}: cores_per_run must be 1 or more, not {shown(cores)}.")
        return cores

    def read_outcomes(self) -> dict[PlannedRun, Outcome]:
        """How the runs ended that have ended; a file that cannot be read is as good as none.

        What it says of a run saves time alone: a run that has ended is not trained again.
        """
        try:
            rows = read_json(self.outcomes, "the runs' outcomes")
            outcomes = [Outcome(PlannedRun(*row["run"]), *map(row.get, _FIELDS)) for row in rows]
            return {outcome.run: outcome for outcome in outcomes}
        except (UsageError, TypeError, KeyError, AttributeError):
            return {}

    def write_outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """Replace the file of outcomes."""
        write_json(self.outcomes, [outcome._asdict() for outcome in outcomes])

    def _files(self) -> list[Path]:
        return [file for file in vars(self).values() if file != self.path]

    def _read_plan(self) -> Settings:
        with disk_errors(self.plan, "read"):
            is_study = self.plan.is_file()
        require(
            is_study,
            f"{self.path} is not a study's directory: it has no {self.plan.name}. `macpo sweep` "
            "makes them.",
        )
        data = read_json(self.plan, "a study")
        require(isinstance(data, dict), f"{self.plan} holds no study: expected a JSON object.")
        return data


_FIELDS = Outcome._fields[1:]


def _names(study: Settings) -> set[str]:
    """All names of plug-ins in a study as plain data, which may hold anything."""
    arms = study.get("arms")
    experiments = arms.values() if isinstance(arms, Mapping) else ()
    sections = [
        experiment.get(part)
        for experiment in experiments
        if isinstance(experiment, Mapping)
        for part in PARTS
    ]
    return {str(section.get("name")) for section in sections if isinstance(section, Mapping)}


def _name(run: PlannedRun) -> str:
    if run.n_seeds == 1:
        return f"seed-{run.seed}"
    return f"seeds-{run.seed}-{run.last_seed}"


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n > 1)}"
