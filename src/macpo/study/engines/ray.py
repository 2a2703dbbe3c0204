"""Runs as tasks of a Ray cluster, each on a machine that has cores free.

The cluster is the one at RAY_ADDRESS; without that, Ray starts one on this machine. No file system
is shared: each checkpoint of a run travels to this machine as a snapshot of the run's directory. A
run whose machine dies is begun again elsewhere from its newest snapshot.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from macpo.cluster import connect
from macpo.runs.files import disk_errors
from macpo.study.directory import Outcome, StudyDirectory
from macpo.study.engines.local import LocalEngine
from macpo.study.snapshots import newest_checkpoint, pack, unpack
from macpo.study.study import PlannedRun
from macpo.types import Untyped

PAUSE = 0.5
"""Seconds between two looks of a task at its run."""
RETRIES = 100
"""How often a run may lose its machine."""


class _News(NamedTuple):
    """What has come in since the last look."""

    running: tuple[PlannedRun, ...]
    snapshots: Mapping[PlannedRun, bytes]
    ended: tuple[Outcome, ...]
    logs: Mapping[PlannedRun, bytes]


class _Store:
    """On the machine that carries out the study: the newest snapshot of every run."""

    def __init__(self) -> None:
        self._running = dict[PlannedRun, None]()
        self._snapshots = dict[PlannedRun, bytes]()
        self._new = set[PlannedRun]()
        self._ended: list[Outcome] = []
        self._logs = dict[PlannedRun, bytes]()
        self._stopping = False

    def begin(self, run: PlannedRun) -> bytes | None:
        """Note that a run goes on; the snapshot it goes on from."""
        self._running[run] = None
        return self._snapshots.get(run)

    def restore(self, run: PlannedRun, snapshot: bytes) -> None:
        """Keep what a run of an earlier sweep goes on from."""
        self._snapshots[run] = snapshot

    def keep(self, run: PlannedRun, snapshot: bytes) -> None:
        """Keep a run's newest snapshot."""
        self._snapshots[run] = snapshot
        self._new.add(run)

    def end(self, outcome: Outcome, snapshot: bytes, log: bytes) -> None:
        """Keep what a run has ended with."""
        self.keep(outcome.run, snapshot)
        self._running.pop(outcome.run, None)
        self._ended.append(outcome)
        self._logs[outcome.run] = log

    def stop(self) -> None:
        """Have every run saved and ended, and none begun."""
        self._stopping = True

    def is_stopping(self) -> bool:
        """Whether runs should end."""
        return self._stopping

    def news(self) -> _News:
        """What has come in since the last call."""
        snapshots = {run: self._snapshots[run] for run in self._new}
        ended, self._ended = tuple(self._ended), []
        logs, self._logs = self._logs, {}
        self._new.clear()
        for outcome in ended:
            del self._snapshots[outcome.run]
        return _News(tuple(self._running), snapshots, ended, logs)


class RayEngine:
    """As many runs at a time as the cluster has cores for; each takes `cores` of one machine."""

    def __init__(self, cores: int, *, trust: bool = False) -> None:
        self.cores, self.trust = cores, trust
        self._tasks = dict[Untyped, PlannedRun]()  # by references
        self._running: list[PlannedRun] = []
        self._directory: StudyDirectory | None = None
        self._joined = connect()
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        store = ray.remote(_Store).options(num_cpus=0, scheduling_strategy=here)
        self._store: Untyped = store.remote()  # Ray adds the methods of an actor's class

    def submit(self, directory: StudyDirectory, runs: Sequence[PlannedRun]) -> None:
        """Take on runs, to be begun in this order."""
        self._directory = directory
        plan = directory.plan.read_bytes()
        task = ray.remote(_carry_out).options(num_cpus=self.cores, max_retries=RETRIES)
        for run in runs:
            if directory.run(run).experiment.exists():
                ray.get(self._store.restore.remote(run, pack(directory.run(run))))
            self._tasks[task.remote(plan, run, self.cores, self.trust, self._store)] = run

    def running(self) -> list[PlannedRun]:
        """The runs that are being carried out now."""
        return [*self._running]

    def poll(self) -> list[Outcome]:
        """Put down what has come in; the runs that have ended since the last call."""
        assert self._directory is not None
        done, _ = ray.wait([*self._tasks], num_returns=len(self._tasks), timeout=0)
        news: _News = ray.get(self._store.news.remote())
        for run, snapshot in news.snapshots.items():
            unpack(snapshot, self._directory.run(run))
        for run, log in news.logs.items():
            with disk_errors(self._directory.log(run)):
                self._directory.log(run).write_bytes(log)
        lost = [outcome for ref in done if (outcome := _lost(self._tasks.pop(ref), ref))]
        ended = [*news.ended, *lost]
        over = {outcome.run for outcome in ended}
        self._running = [run for run in news.running if run not in over]
        return ended

    def stop(self) -> None:
        """Begin nothing more, and have what is running saved and ended; `poll` tells when."""
        ray.get(self._store.stop.remote())

    def close(self) -> None:
        """Leave the cluster; what is still running there is killed."""
        for ref in self._tasks:
            ray.cancel(ref, force=True)
        ray.kill(self._store)
        if self._joined:
            ray.shutdown()


def _carry_out(plan: bytes, run: PlannedRun, cores: int, trust: bool, store: Untyped) -> None:
    """One run on a machine of the cluster, from its newest snapshot on."""
    if ray.get(store.is_stopping.remote()):
        return
    snapshot: bytes | None = ray.get(store.begin.remote(run))
    with tempfile.TemporaryDirectory(prefix="macpo-") as folder:
        directory = StudyDirectory(folder)
        directory.plan.write_bytes(plan)
        files = directory.run(run)
        if snapshot is not None:
            unpack(snapshot, files)
        engine = LocalEngine(1, cores, trust=trust, pinned=False)
        engine.submit(directory, [run])
        sent, ended = newest_checkpoint(files), engine.poll()
        try:
            while not ended:
                time.sleep(PAUSE)
                if ray.get(store.is_stopping.remote()):
                    engine.stop()
                if (newest := newest_checkpoint(files)) != sent:
                    ray.get(store.keep.remote(run, pack(files)))
                    sent = newest
                ended = engine.poll()
        finally:
            engine.close()
        log = directory.log(run).read_bytes()
        ray.get(store.end.remote(ended[0], pack(files), log))


def _lost(run: PlannedRun, ref: Untyped) -> Outcome | None:
    """What became of a run whose task has failed; None if it has told that itself."""
    try:
        ray.get(ref)
    except Exception as error:  # of any kind: a task has raised it on another machine
        return Outcome(run, "failed", f"its task failed: {error}")
    return None
