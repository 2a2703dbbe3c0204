"""An engine whose runs end at once, as they are told to."""

import json
from collections.abc import Callable, Sequence

import pytest

from macpo.experiment import to_dict
from macpo.study import sweep
from macpo.study.directory import Outcome, StudyDirectory
from macpo.study.needs import Needs
from macpo.study.study import PlannedRun


class FakeEngine:
    """One run ends at each look; with `score`, its last evaluation has that return."""

    def __init__(self) -> None:
        self.failing: Sequence[PlannedRun] = ()
        self.score: Callable[[PlannedRun], float] | None = None
        self.done: list[PlannedRun] = []
        self.waiting: list[PlannedRun] = []

    def submit(self, directory: StudyDirectory, runs: Sequence[PlannedRun]) -> None:
        self.directory, self.study = directory, directory.read()
        self.waiting += runs

    def running(self) -> list[PlannedRun]:
        return self.waiting[:1]

    def poll(self) -> list[Outcome]:
        if not self.waiting:
            return []
        run = self.waiting.pop(0)
        self.done.append(run)
        files = self.directory.run(run)
        files.path.mkdir(parents=True, exist_ok=True)
        files.experiment.write_text("{}")
        if self.score is not None:
            experiment = self.study.experiment(run)
            files.experiment.write_text(json.dumps(to_dict(experiment)))
            row = {"kind": "test", "seed": run.seed, "env_steps": experiment.run.steps}
            row["test_return_mean"] = self.score(run)
            files.metrics.write_text(json.dumps(row) + "\n")
        return [Outcome(run, "failed" if run in self.failing else "finished")]

    def stop(self) -> None:
        self.waiting.clear()

    def close(self) -> None:
        pass


def install(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Have sweeps carried out by it, and nothing measured."""
    fake = FakeEngine()
    monkeypatch.setattr("macpo.study.engines.make", lambda *_, **__: fake)
    know_needs(monkeypatch)
    monkeypatch.setattr(sweep, "candidates", lambda *_: [(1, 1)])
    monkeypatch.setattr(sweep, "_PAUSE", 0.0)
    return fake


def know_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeps take runs for small and ask no other process: `tests/study/test_needs.py` has it."""
    monkeypatch.setattr(sweep, "read_needs", lambda arms, trust: [Needs(1, True) for _ in arms])
