"""Sweeps as a user sees them: finished work is never done again, and nothing is lost."""

import io
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import macpo
from macpo import Study, UsageError
from macpo.cli import main
from macpo.report.arms import find_arms, until_decided
from macpo.study import sweep as module
from macpo.study.carry_out import carry_out
from macpo.study.directory import StudyDirectory
from macpo.study.needs import Needs
from macpo.study.study import PlannedRun
from tests.study.conftest import FLAGS, SMALL
from tests.support.fake_engine import FakeEngine, install, know_needs

STUDY = Study("weights", {"a": SMALL, "b": SMALL}, seeds=2)
QUIET = Console(quiet=True)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    return install(monkeypatch)


def test_every_run_is_carried_out_once(engine: FakeEngine, tmp_path: Path):
    result = macpo.sweep(STUDY, tmp_path, jobs=1, console=QUIET)
    assert result.finished and engine.done == STUDY.runs()
    macpo.sweep(STUDY, tmp_path, jobs=1, console=QUIET)
    assert engine.done == STUDY.runs()


def test_a_run_that_fails_stops_no_other_and_is_tried_again(engine: FakeEngine, tmp_path: Path):
    engine.failing = [PlannedRun("a", 0)]
    result = macpo.sweep(STUDY, tmp_path, jobs=1, console=QUIET)
    assert not result.finished and len(engine.done) == 4
    engine.failing, engine.done = [], []
    assert macpo.sweep(STUDY, tmp_path, jobs=1, console=QUIET).finished
    assert engine.done == [PlannedRun("a", 0)]


def test_seeds_that_are_added_are_the_only_ones_trained(engine: FakeEngine, tmp_path: Path):
    macpo.sweep(STUDY, tmp_path, jobs=1, console=QUIET)
    engine.done = []
    macpo.sweep(Study("weights", STUDY.arms, seeds=3), tmp_path, jobs=1, console=QUIET)
    assert engine.done == [PlannedRun("a", 2), PlannedRun("b", 2)]


def test_a_finished_run_whose_directory_was_removed_is_trained_again(
    engine: FakeEngine, tmp_path: Path
):
    macpo.sweep(STUDY, tmp_path, jobs=1, console=QUIET)
    engine.done = []
    (tmp_path / "runs" / "b" / "seed-1" / "experiment.json").unlink()
    macpo.sweep(STUDY, tmp_path, jobs=1, console=QUIET)
    assert engine.done == [PlannedRun("b", 1)]


def test_two_sweeps_do_not_share_a_directory(engine: FakeEngine, tmp_path: Path):
    from macpo.runs.claim import claimed

    with claimed(tmp_path), pytest.raises(UsageError, match="another process"):
        macpo.sweep(STUDY, tmp_path, jobs=1, console=QUIET)
    assert engine.done == []


def test_the_plan_says_what_is_coming(engine: FakeEngine, tmp_path: Path):
    console = Console(record=True, file=io.StringIO(), width=200)
    macpo.sweep(STUDY, tmp_path, jobs=1, console=console)
    lines = console.export_text().splitlines()
    assert lines[0] == "weights: 4 of 4 runs left, 480 env steps; up to 0 MB each"
    assert lines[1].startswith("1 at a time, ")


def test_more_runs_at_a_time_than_memory_holds_are_refused(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "read_needs", lambda arms, trust: [Needs(10**18, True)] * 2)
    with pytest.raises(UsageError, match="4 runs at a time need more memory than is free"):
        macpo.sweep(STUDY, tmp_path, jobs=4, console=QUIET)
    assert not (tmp_path / "study.json").exists()


@pytest.mark.parametrize("jobs", [None, 4])
def test_fewer_runs_than_cores_are_left_and_go_on(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int | None
):
    monkeypatch.setattr(module, "available_cores", lambda: 4)
    engine.failing = [PlannedRun("a", 0)]
    macpo.sweep(STUDY, tmp_path, jobs=4, console=QUIET)
    engine.failing = []
    assert macpo.sweep(STUDY, tmp_path, jobs=jobs, console=QUIET).finished
    assert StudyDirectory(tmp_path).read_cores() == 1


def test_an_accelerator_has_one_run_at_a_time_unless_jobs_says_otherwise(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "available_cores", lambda: 16)
    monkeypatch.setattr(module, "read_needs", lambda arms, trust: [Needs(10, False)] * 2)
    for jobs, told in ((None, "1 at a time"), (None, "1 at a time"), (3, "3 at a time")):
        console = Console(record=True, file=io.StringIO(), width=200)
        engine.failing = STUDY.runs()  # all are left to the next sweep
        macpo.sweep(STUDY, tmp_path, jobs=jobs, console=console)
        assert console.export_text().splitlines()[1].startswith(told)


def test_an_unknown_engine_is_refused_with_the_known_ones(tmp_path: Path):
    from macpo.study import engines

    with pytest.raises(UsageError, match=r"unknown engine 'locl'; did you mean 'local'\?"):
        engines.make("locl", 1, 1)


def test_an_unknown_engine_is_refused_before_anything_is_made(tmp_path: Path):
    with pytest.raises(UsageError, match="unknown engine 'locl'"):
        macpo.sweep(STUDY, tmp_path / "study", "locl", jobs=1, console=QUIET)
    assert not (tmp_path / "study").exists()


def test_a_run_keeps_the_cores_that_its_study_was_begun_with(engine: FakeEngine, tmp_path: Path):
    macpo.sweep(STUDY, tmp_path, cores=1, console=QUIET)
    assert StudyDirectory(tmp_path).read_cores() == 1
    with pytest.raises(UsageError, match="was begun with 1 cores for each run"):
        macpo.sweep(STUDY, tmp_path, cores=2, console=QUIET)


def test_the_number_of_runs_at_a_time_is_for_this_machine_alone(engine: FakeEngine, tmp_path: Path):
    with pytest.raises(UsageError, match="a cluster decides by itself"):
        macpo.sweep(STUDY, tmp_path, "ray", jobs=2, console=QUIET)


# --- for real -----------------------------------------------------------------------------------


def begin(*arguments: str) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-m", "macpo", "sweep", *arguments]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL)


def metrics(directory: Path) -> bytes:
    return (directory / "metrics.jsonl").read_bytes()


LONG = ["--steps", "2000"]  # long enough to be stopped half-way
TOGETHER = ["--seeds", "2", "--seeds-together", "2"]


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("hand") / "run"
    run = replace(SMALL.run, steps=2_000, seeds=2)
    macpo.train(replace(SMALL, run=run), directory, console=QUIET)
    return directory


@pytest.mark.slow
def test_a_sweep_that_is_stopped_goes_on_bit_for_bit_and_equals_a_run_by_hand(
    by_hand: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    study = tmp_path / "study"
    process = begin("--out", str(study), "--jobs", "1", *TOGETHER, *FLAGS, *LONG)
    run = study / "runs" / "run" / "seeds-0-1"
    while not (run / "metrics.jsonl").exists() and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    assert len(metrics(run)) < len(metrics(by_hand))
    know_needs(monkeypatch)
    with pytest.raises(SystemExit) as stop:
        main(["sweep", str(study)])
    assert not stop.value.code
    assert metrics(run) == metrics(by_hand)


@pytest.mark.slow
def test_a_failing_run_is_told_with_its_error_and_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    know_needs(monkeypatch)
    directory = StudyDirectory(tmp_path)
    directory.begin(Study("weights", {"a": SMALL}, seeds=1), cores=1)
    taken = directory.run(PlannedRun("a", 0)).metrics
    taken.parent.mkdir(parents=True)
    taken.touch()
    with pytest.raises(SystemExit) as stop:
        main(["sweep", str(tmp_path), "--jobs", "1"])
    assert stop.value.code == 1
    message = f"a, seed 0 failed: {taken.parent} already holds metrics.jsonl, which a run would"
    assert message in capfd.readouterr().out


@pytest.mark.slow
def test_seeds_that_are_trained_together_are_compared_like_those_of_several_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    study = Study("weights", {"a": SMALL, "b": SMALL}, seeds=2, seeds_together=2)
    directory = StudyDirectory(tmp_path)
    directory.begin(study, cores=1)
    for run in study.runs():
        carry_out(directory, run, console=QUIET)
    assert [run.name for run in sorted(tmp_path.glob("runs/*/*/"))] == ["seeds-0-1"] * 2
    with pytest.raises(SystemExit) as stop:
        main(["compare", str(tmp_path / "runs" / "a"), str(tmp_path / "runs" / "b")])
    assert stop.value.code in (None, 0)
    assert "2 pairs" in capfd.readouterr().out
    with pytest.raises(UsageError, match="trains 2 seeds together, and this test decides"):
        until_decided(find_arms(tmp_path, "a", "b"))
