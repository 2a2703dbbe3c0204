"""Searches as a user sees them, on runs that end at once."""

import re
from pathlib import Path

import pytest

from macpo.cli import main
from macpo.report import writing
from macpo.study.directory import StudyDirectory
from macpo.study.study import PlannedRun
from tests.support.fake_engine import FakeEngine, install

RANGE = ["--env", "predator-prey", "--algorithm", "vdn", "--algorithm.lr", "1e-4..1e-1"]


def learning_rate(engine: FakeEngine, run: PlannedRun) -> float:
    return engine.study.experiment(run).algorithm.lr


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """A run's return is larger, the nearer its learning rate is to 0.01."""
    fake = install(monkeypatch)
    fake.score = lambda run: -abs(learning_rate(fake, run) - 0.01)
    monkeypatch.setattr(writing, "draw_figures", lambda *_: [])  # tests/report has them
    return fake


def search(kind: str, out: Path, trials: int, *more: str) -> int:
    words = ["sweep", "--search", kind, "--trials", str(trials), "--out", str(out), "--jobs", "1"]
    with pytest.raises(SystemExit) as stop:
        main([*words, *RANGE, *more])
    return int(stop.value.code or 0)


@pytest.mark.parametrize("kind", ["random", "optuna"])
def test_a_search_tries_what_it_was_told_to_and_shows_the_best_first(
    kind: str, engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    pytest.importorskip("optuna")
    assert search(kind, tmp_path / "found", 8, "--seeds", "2") == 0
    assert len(engine.done) == 8 * 2
    rates = {run.arm: learning_rate(engine, run) for run in engine.done}
    best = min(rates, key=lambda arm: abs(rates[arm] - 0.01))
    table = capsys.readouterr().out.split("Best trials")[1]
    (first, *_) = re.findall(r"trial \d+", table)
    assert first == best


@pytest.mark.parametrize("kind", ["random", "optuna"])
def test_a_search_goes_on_and_trains_nothing_twice(kind: str, engine: FakeEngine, tmp_path: Path):
    pytest.importorskip("optuna")
    search(kind, tmp_path / "found", 3)
    search(kind, tmp_path / "found", 5)
    assert [run.arm for run in engine.done] == [f"trial {i}" for i in range(5)]
    assert len({learning_rate(engine, run) for run in engine.done}) == 5


def test_optuna_learns_from_what_it_has_tried(engine: FakeEngine, tmp_path: Path):
    pytest.importorskip("optuna")
    search("optuna", tmp_path / "found", 36, "--jobs", "4")
    misses = [-engine.score(run) for run in engine.done]
    assert sorted(misses[18:])[9] < sorted(misses[:18])[9]


def test_a_trial_that_fails_is_told_and_the_search_goes_on(
    engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    pytest.importorskip("optuna")
    engine.failing = [PlannedRun("trial 1", 0)]
    assert search("optuna", tmp_path / "found", 3) == 1
    assert "trial 1, seed 0 failed" in capsys.readouterr().out
    assert {run.arm for run in engine.done} == {"trial 0", "trial 1", "trial 2"}


def test_a_search_in_a_directory_of_another_search_is_refused(
    engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    pytest.importorskip("optuna")
    search("optuna", tmp_path / "found", 1)
    words = ["sweep", "--search", "optuna", "--out", str(tmp_path / "found"), "--seed", "1", "2"]
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "holds a search of other flags or ranges" in capsys.readouterr().err


def test_trials_are_runs_of_an_ordinary_study(engine: FakeEngine, tmp_path: Path):
    search("random", tmp_path / "found", 2)
    assert [*StudyDirectory(tmp_path / "found").read().arms] == ["trial 0", "trial 1"]
