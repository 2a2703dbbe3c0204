"""What a run's README tells of the run."""

import json
import signal
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from rich.console import Console

from macpo.experiment import Experiment, Run
from macpo.replay.priority import Replay
from macpo.runs import train
from macpo.runs.directory import RunDirectory
from macpo.runs.sessions import Session, read_sessions
from macpo.runs.story import Result, read_results, tell
from tests.support.counting import EXPERIMENT, begin, content, counting, go_on, interrupted

TRAINED = Session(
    "2026-11-29 05:59",
    ("macpo", "train", "--out", "my run"),
    "abc",
    True,
    *("0.1.0", "0.10", "3.11", "Linux", "EPYC", 2, "1 × cpu"),
    *("2026-11-30 06:31", "finished"),
)


@pytest.fixture
def files(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path)


def lines(file: Path, *rows: dict[str, object]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def row(kind: str, env_steps: int, score: object = 0, **more: object) -> dict[str, object]:
    return {"kind": kind, "seed": 3, "env_steps": env_steps, "test_return_mean": score, **more}


# --- results --------------------------------------------------------------------------------------


def test_the_best_evaluation_is_the_latest_of_equal_ones(files: RunDirectory):
    rows = [row("test", i, score) for i, score in enumerate([1.0, 5.0, 5.0, "nan", 2.0])]
    lines(files.metrics, *rows, row("train", 9))
    assert read_results(files) == {3: Result(9, rows[4], rows[2], None)}


def test_battles_won_count_before_returns(files: RunDirectory):
    few = row("test", 1, 9.0, test_battle_won_mean=0.25)
    many = row("test", 2, 1.0, test_battle_won_mean=0.5)
    lines(files.metrics, few, many, row("test", 3, 9.5, test_battle_won_mean=0.25))
    assert read_results(files)[3].best == many
    assert "| 9.50, 25.0% won | 1.00, 50.0% won at 2 | – |" in tell(files, EXPERIMENT)


def test_lines_that_cannot_be_read_are_passed_over(files: RunDirectory):
    assert read_results(files) == {}
    lines(files.metrics, row("test", 1, 2.0))
    files.metrics.write_text(files.metrics.read_text() + "{\n[]\n")
    files.absolute.write_text("{")
    assert read_results(files)[3].done == 1


def test_a_run_that_learns_offline_tells_of_its_updates(files: RunDirectory):
    run = Run(steps=0, updates=40)
    offline = Experiment(env="two-step", replay=Replay(from_file="episodes.npz"), run=run)
    lines(files.metrics, row("test", 0, 2.0, updates=30))
    told = tell(files, offline)
    assert "at 30 of 40 updates" in told
    assert "| seed | updates |" in told and "| 3 | 30 | 2.00 | 2.00 at 30 | – |" in told


# --- the story ------------------------------------------------------------------------------------


def test_a_session_is_told_with_its_command_commit_machine_and_versions(files: RunDirectory):
    files.sessions.write_text(json.dumps([asdict(TRAINED)]))
    files.timing.write_text('{"wall_s": 60}\n{"wall_s": 7}\n')
    told = tell(files, EXPERIMENT)
    assert "Begun on 2026-11-29 05:59 UTC; 1 session, in which it was trained for 1:07." in told
    assert (
        "1. 2026-11-29 05:59 to 2026-11-30 06:31, finished: `macpo train --out 'my run'`; "
        "git commit abc with uncommitted changes\n"
        "   macpo 0.1.0, JAX 0.10, Python 3.11; 1 × cpu, 2 cores of EPYC, Linux"
    ) in told


def test_a_run_of_an_earlier_version_has_no_history(files: RunDirectory):
    assert "keeps no record of when and where" in tell(files, EXPERIMENT)


# --- of runs --------------------------------------------------------------------------------------


@pytest.fixture
def _counting() -> Iterator[None]:
    with counting():
        yield


@pytest.mark.usefixtures("_counting")
def test_a_finished_run_tells_its_results_and_how_to_extend_it(files: RunDirectory):
    begin(files.path)
    text = files.readme.read_text()
    assert "UTC: every seed has played 1,000 env steps." in text
    assert f"`macpo resume {files.path} --steps N` extends it to N." in text
    assert "| 7 | 1,000 | -3.50 | 1.50 at 500 | 1.50 |" in text
    assert "finished: called from Python" in text


@pytest.mark.usefixtures("_counting")
def test_the_command_that_asked_for_a_run_is_told(files: RunDirectory):
    console = Console(quiet=True)
    train.train(EXPERIMENT, files.path, console=console, command_line=["macpo", "train"])
    train.resume(files.path, steps=1200, console=console, command_line=["macpo", "resume", "r"])
    text = files.readme.read_text()
    assert "finished: `macpo train`" in text and "finished: `macpo resume r`" in text


def test_a_stopped_run_tells_by_what_and_the_command_that_goes_on(files: RunDirectory):
    with counting(lambda chunk: signal.raise_signal(signal.SIGTERM) if chunk == 4 else None):
        assert not begin(files.path).finished
    text = files.readme.read_text()
    assert "Not finished: stopped by SIGTERM on " in text and "400 of 1,000 env steps" in text
    assert f"`macpo resume {files.path}` goes on." in text


def test_a_run_that_broke_off_says_that_it_may_have(files: RunDirectory):
    interrupted(files.path, at_chunk=4)
    text = files.readme.read_text()
    assert "it is going on, or was broken off." in text and "with no end recorded" in text
    with counting():
        go_on(files.path)
    text = files.readme.read_text()
    assert "Finished on " in text and "2 sessions" in text and "with no end recorded" in text


def test_a_run_that_ended_by_an_error_tells_it(files: RunDirectory):
    def fail(chunk: int) -> None:
        raise ValueError("of the\ngame")

    with counting(fail), pytest.raises(ValueError, match="of the"):
        begin(files.path)
    assert read_sessions(files.sessions)[0].outcome == "ended by an error (of the game)"


@pytest.mark.usefixtures("_counting")
def test_a_readme_that_was_lost_or_is_older_than_the_end_is_written_again(files: RunDirectory):
    begin(files.path)
    written = files.readme.read_text()
    files.readme.unlink()
    go_on(files.path)
    assert files.readme.read_text() == written


@pytest.mark.usefixtures("_counting")
def test_no_other_file_depends_on_the_story(files: RunDirectory, tmp_path: Path):
    begin(tmp_path / "a")
    checkpoints = {file.name: file.read_bytes() for file in (tmp_path / "a").rglob("0*")}
    train.train(EXPERIMENT, tmp_path / "b", console=Console(quiet=True), command_line=["x"])
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert checkpoints == {file.name: file.read_bytes() for file in (tmp_path / "b").rglob("0*")}
    assert len(checkpoints) == 2
