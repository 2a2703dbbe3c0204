"""Runs as an array job of SLURM, through submitit; the file system is shared.

Partition, account, time limit and the like are those of SLURM's own variables (SBATCH_PARTITION,
SBATCH_ACCOUNT, SBATCH_TIMELIMIT). A run that SLURM interrupts is put into the queue again and goes
on from its last checkpoint.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import submitit
from submitit.helpers import DelayedSubmission

from macpo.errors import UsageError
from macpo.study.directory import Outcome, StudyDirectory
from macpo.study.engines.local import LocalEngine
from macpo.study.study import PlannedRun

PAUSE = 0.5
"""Seconds between two looks of a job at its run."""
MINUTES = 7 * 24 * 60
"""Time limit of a run, unless SBATCH_TIMELIMIT says otherwise."""


class SlurmEngine:
    """As many runs at a time as SLURM starts; each takes `cores` of one machine."""

    def __init__(self, cores: int, *, trust: bool = False, cluster: str = "slurm") -> None:
        self.cores, self.trust, self.cluster = cores, trust, cluster
        self._jobs: list[tuple[PlannedRun, submitit.Job[Outcome]]] = []

    def submit(self, directory: StudyDirectory, runs: Sequence[PlannedRun]) -> None:
        """Take on runs, to be begun in this order."""
        try:
            executor = submitit.AutoExecutor(directory.path / "slurm", cluster=self.cluster)
        except RuntimeError as error:
            raise UsageError(
                f"cannot submit to SLURM: {error}; run the command where sbatch is installed."
            ) from error
        executor.update_parameters(
            name="macpo", cpus_per_task=self.cores, timeout_min=MINUTES, slurm_use_srun=False
        )
        tasks = [_Run(directory.path.absolute(), run, self.cores, self.trust) for run in runs]
        self._jobs = list(zip(runs, executor.submit_array(tasks), strict=True))

    def running(self) -> list[PlannedRun]:
        """The runs that are being carried out now."""
        return [run for run, job in self._jobs if job.state.upper() == "RUNNING"]

    def poll(self) -> list[Outcome]:
        """The runs that have ended since the last call."""
        done = [(run, job) for run, job in self._jobs if job.done()]
        self._jobs = [(run, job) for run, job in self._jobs if (run, job) not in done]
        return [_outcome(run, job) for run, job in done]

    def stop(self) -> None:
        """Take what waits out of the queue and end what runs; checkpoints are what is saved."""
        for _, job in self._jobs:
            job.cancel()
        self._jobs = []

    def close(self) -> None:
        """Leave nothing in the queue."""
        self.stop()


@dataclass(frozen=True)
class _Run:
    """What a job does, pickled by submitit into the study's own directory."""

    directory: Path
    run: PlannedRun
    cores: int
    trust: bool

    def __call__(self) -> Outcome:
        engine = LocalEngine(1, self.cores, trust=self.trust, pinned=False)
        engine.submit(StudyDirectory(self.directory), [self.run])
        try:
            while not (ended := engine.poll()):
                time.sleep(PAUSE)
        finally:
            engine.close()
        return ended[0]

    def checkpoint(self, *_: object) -> DelayedSubmission:
        """Called by submitit before SLURM ends the job: it begins again as it is."""
        return DelayedSubmission(self)


def _outcome(run: PlannedRun, job: "submitit.Job[Outcome]") -> Outcome:
    error = job.exception()
    return job.result() if error is None else Outcome(run, "failed", f"its job failed: {error}")
