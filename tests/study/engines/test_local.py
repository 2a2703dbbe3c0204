"""Runs as processes of this machine; here a shell script stands in for Python."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from macpo.study.directory import Outcome, StudyDirectory
from macpo.study.engines.local import LocalEngine
from macpo.study.study import PlannedRun

RUNS = [PlannedRun("a", seed) for seed in range(3)]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def write(body: str) -> None:
        file = tmp_path / "python"
        file.write_text(f"#!/bin/sh\n{body}\n")
        file.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(file))

    return write


def all_of(engine: LocalEngine) -> list[Outcome]:
    """Every outcome, once nothing is left to do."""
    outcomes = engine.poll()
    while engine.running():
        time.sleep(0.01)
        outcomes += engine.poll()
    return outcomes


def outcome_of(engine: LocalEngine, tmp_path: Path) -> Outcome:
    engine.submit(StudyDirectory(tmp_path), RUNS[:1])
    (outcome,) = all_of(engine)
    return outcome._replace(seconds=0)


def test_a_run_is_carried_out_with_its_cores_and_logged(
    script: Callable[[str], None], tmp_path: Path
):
    script('echo "$@"')
    assert outcome_of(LocalEngine(1, 1), tmp_path) == Outcome(RUNS[0], "finished")
    words = StudyDirectory(tmp_path).log(RUNS[0]).read_text().split()
    assert words[:4] == ["-P", "-m", "macpo.study.carry_out", str(tmp_path)]
    assert words[4:8] == ["a", "0", "1", "1"] and "--trust" not in words


def test_runs_at_a_time_share_the_memory_of_an_accelerator(
    script: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE", raising=False)
    script('echo "preallocates: $XLA_PYTHON_CLIENT_PREALLOCATE"')
    for parallel, said in ((1, ""), (2, "false")):
        directory = StudyDirectory(tmp_path / str(parallel))
        engine = LocalEngine(parallel, 1)
        engine.submit(directory, RUNS[:1])
        all_of(engine)
        assert directory.log(RUNS[0]).read_text() == f"preallocates: {said}\n"


def test_code_that_is_not_registered_is_imported_only_with_trust(
    script: Callable[[str], None], tmp_path: Path
):
    script('echo "$@"')
    outcome_of(LocalEngine(1, 1, trust=True), tmp_path)
    assert "--trust" in StudyDirectory(tmp_path).log(RUNS[0]).read_text().split()


def test_the_reason_of_a_failure_is_its_last_message(script: Callable[[str], None], tmp_path: Path):
    script("echo training; echo 'macpo: the disk is full;' >&2; echo 'choose another' >&2; exit 2")
    expected = Outcome(RUNS[0], "failed", "the disk is full;\nchoose another")
    assert outcome_of(LocalEngine(1, 1), tmp_path) == expected


def test_a_bug_is_told_by_the_last_line_of_its_traceback(
    script: Callable[[str], None], tmp_path: Path
):
    script("echo 'Traceback (most recent call last):'; echo 'KeyError: 3'; exit 1")
    assert outcome_of(LocalEngine(1, 1), tmp_path).message == "KeyError: 3"


def test_a_run_without_a_word_is_told_by_its_exit_status(
    script: Callable[[str], None], tmp_path: Path
):
    script("exit 7")
    assert outcome_of(LocalEngine(1, 1), tmp_path).message == "exit status 7"


def test_a_killed_run_is_told_by_its_signal(script: Callable[[str], None], tmp_path: Path):
    script("kill -9 $$")
    assert outcome_of(LocalEngine(1, 1), tmp_path).message == "killed by signal 9"


def test_no_more_runs_than_asked_for_are_carried_out_at_a_time(
    script: Callable[[str], None], tmp_path: Path
):
    script("sleep 0.2")
    engine = LocalEngine(2, 1)
    engine.submit(StudyDirectory(tmp_path), RUNS)
    outcomes = engine.poll()
    assert outcomes == [] and engine.running() == RUNS[:2]
    assert {outcome.run for outcome in all_of(engine)} == {*RUNS}


def test_stopping_begins_nothing_more_and_lets_what_runs_be_saved(
    script: Callable[[str], None], tmp_path: Path
):
    script("trap 'exit 143' TERM; echo ready; while :; do sleep 0.01; done")
    engine = LocalEngine(1, 1)
    engine.submit(StudyDirectory(tmp_path), RUNS)
    engine.poll()
    while "ready" not in StudyDirectory(tmp_path).log(RUNS[0]).read_text():
        time.sleep(0.01)
    engine.stop()
    assert [(x.run, x.status) for x in all_of(engine)] == [(RUNS[0], "stopped")]


def test_closing_leaves_no_process_behind(script: Callable[[str], None], tmp_path: Path):
    script("trap '' TERM; echo $$; while :; do sleep 0.01; done")
    engine = LocalEngine(1, 1)
    engine.submit(StudyDirectory(tmp_path), RUNS[:1])
    engine.poll()
    log = StudyDirectory(tmp_path).log(RUNS[0])
    while not (number := log.read_text().strip()):
        time.sleep(0.01)
    engine.close()
    assert not Path(f"/proc/{number}").exists()
