"""What the commands say that list, report and clean."""

from pathlib import Path

import pytest

from macpo.report import writing
from tests.support.command_line import complaint, run
from tests.support.counting import begin, counting, interrupted
from tests.support.synthetic_runs import write_runs


def test_a_report_ends_with_its_scores_and_the_place_of_its_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_runs(tmp_path / "runs", n_seeds=2, n_evaluations=2)
    out = tmp_path / "report"
    assert run("report", str(tmp_path / "runs"), str(tmp_path / "absent"), "--out", str(out)) == 0
    said = capsys.readouterr().out
    assert "qmix · macpo" in said and "95% interval" in said
    assert f"There is no directory {tmp_path / 'absent'}." in said
    assert said.splitlines()[-1] == f"report: {out / 'index.html'}" and out.is_dir()


def test_a_report_on_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    said = complaint(capsys, "report", str(tmp_path), "--out", str(tmp_path / "report"))
    assert "there is nothing to report on" in said
    assert "at least one directory" in complaint(capsys, "report")


def test_ctrl_c_ends_a_watched_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    write_runs(tmp_path / "runs", ["macpo"], n_seeds=1, n_evaluations=2)
    monkeypatch.setattr(writing.time, "sleep", interrupt)
    out = tmp_path / "report"
    assert run("report", "--watch", str(tmp_path / "runs"), "--out", str(out)) == 130
    assert (out / "index.html").exists()


def test_the_names_of_runs_can_be_copied_from_80_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    write_runs(tmp_path, ["macpo"], n_seeds=1, n_evaluations=2)
    name = "predator-prey_qmix_macpo_216981e2c845"
    (tmp_path / "macpo-seed0").rename(tmp_path / name)
    monkeypatch.setenv("COLUMNS", "80")
    assert run("runs", str(tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith(f" {name} ")]
    assert max(map(len, lines)) <= 80


def test_a_run_that_is_refused_leaves_the_checkpoints_of_all_that_are_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with counting():
        begin(tmp_path / "first")
    interrupted(tmp_path / "second", at_chunk=4)
    both = [str(tmp_path / name) for name in ("first", "second")]
    assert "second is not finished" in complaint(capsys, "clean", *both)
    assert len([*tmp_path.glob("*/checkpoints/*.safetensors")]) == 3
    assert run("clean", *both, "--force") == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.rsplit(":", 1)[1].split(",")[0] for line in said[:2]] == [
        " 2 checkpoints",
        " 1 checkpoint",
    ]
    assert said[2].endswith(" MB freed; the runs can not be extended any more")
    assert not [*tmp_path.glob("*/checkpoints/*.safetensors")]


def test_a_run_that_is_given_twice_is_counted_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with counting():
        begin(tmp_path / "first")
    capsys.readouterr()
    same = str(tmp_path / "first"), str(tmp_path / "first" / ".." / "first")
    assert run("clean", *same, "--dry-run") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
