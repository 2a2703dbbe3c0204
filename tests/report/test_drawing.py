"""Figures drawn by two processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from macpo.errors import UsageError
from macpo.report import drawing
from macpo.report.collection import collect
from macpo.report.contents import Report
from macpo.report.drawing import MIN_RUNS, SecondProcess, draw_figures, second_process
from macpo.report.summary import summarise
from tests.support.synthetic_runs import write_runs


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("runs")
    write_runs(folder, n_seeds=1, n_evaluations=3)
    return summarise(collect([folder]))


@pytest.fixture
def second() -> Iterator[SecondProcess]:
    process = SecondProcess()
    yield process
    process.end()


def test_two_processes_draw_what_one_draws(
    report: Report, second: SecondProcess, tmp_path: Path
) -> None:
    folders = tmp_path / "alone", tmp_path / "together"
    for folder in folders:
        folder.mkdir()
    alone, together = (
        draw_figures(report, folder, process)
        for folder, process in zip(folders, (None, second), strict=True)
    )
    assert second._process.returncode == 0  # else all were drawn here
    assert {file.name for file in together} == {file.name for file in alone}
    assert {file.name for file in folders[1].iterdir()} == {file.name for file in alone}
    pictures = [file for file in alone if file.suffix == ".png"]
    assert len(pictures) == 3
    for file in pictures:  # SVG has the time in it
        assert (folders[1] / file.name).read_bytes() == file.read_bytes()


def test_what_a_killed_process_leaves_is_drawn_here(
    report: Report, second: SecondProcess, tmp_path: Path
) -> None:
    os.kill(second._process.pid, signal.SIGKILL)
    files = draw_figures(report, tmp_path, second)
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in files}
    assert len(files) == 6


def test_what_the_second_process_cannot_write_is_told(
    report: Report, second: SecondProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    curves, *others = drawing._drawings(report)
    monkeypatch.setattr(drawing, "_drawings", lambda _: [curves, others[0]._replace(stem="a/b")])
    with pytest.raises(UsageError, match=r"cannot write .*a/b\.png: No such file"):
        draw_figures(report, tmp_path, second)


def test_few_runs_are_drawn_by_one_process() -> None:
    with second_process(MIN_RUNS - 1) as process:
        assert process is None


def test_a_single_core_draws_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "available_cores", lambda: 1)
    with second_process(MIN_RUNS) as process:
        assert process is None


def test_no_process_is_left_when_reading_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "available_cores", lambda: 2)
    with pytest.raises(UsageError), second_process(MIN_RUNS) as process:
        assert process is not None and process._process.poll() is None
        raise UsageError("no runs.")
    assert process._process.poll() is not None


def test_the_second_process_does_not_wait_for_jax() -> None:
    code = "import sys, macpo.report.drawing; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
