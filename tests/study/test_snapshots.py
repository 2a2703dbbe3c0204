"""A run's directory as bytes, and put down somewhere else."""

from pathlib import Path

import pytest

from macpo.runs.directory import RunDirectory
from macpo.study.snapshots import newest_checkpoint, pack, unpack


def run_in(folder: Path, *checkpoints: int, rows: str = "row\n") -> RunDirectory:
    run = RunDirectory(folder)
    run.checkpoints.mkdir(parents=True)
    for number in checkpoints:
        (run.checkpoints / f"{number:012d}.safetensors").write_bytes(b"%d" % number)
    run.experiment.write_text("{}")
    run.metrics.write_text(rows)
    return run


def contents(folder: Path) -> dict[str, bytes]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_a_snapshot_put_down_elsewhere_is_the_run(tmp_path: Path):
    run = run_in(tmp_path / "here", 1, 2)
    run.absolute.write_text("row\n")
    unpack(pack(run), RunDirectory(tmp_path / "there"))
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def test_it_replaces_what_an_earlier_one_has_left(tmp_path: Path):
    there = run_in(tmp_path / "there", 1, 2, rows="row\n")
    there.absolute.write_text("of the shorter run")
    unpack(pack(run_in(tmp_path / "here", 2, 3, rows="row\nrow\n")), there)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def test_what_a_process_is_still_writing_is_left_out(tmp_path: Path):
    run = run_in(tmp_path / "here", 1)
    (run.checkpoints / ".000000000002.safetensors.7.tmp").write_bytes(b"half")
    (run.path / ".lock").touch()
    unpack(pack(run), RunDirectory(tmp_path / "there"))
    assert {*contents(tmp_path / "there")} == {
        "checkpoints/000000000001.safetensors",
        "experiment.json",
        "metrics.jsonl",
    }


def test_rows_are_put_down_before_the_checkpoint_that_counts_on_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    order: list[str] = []
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda a, b: order.append(b.name) or replace(a, b))
    unpack(pack(run_in(tmp_path / "here", 1)), RunDirectory(tmp_path / "there"))
    assert order[-1] == "000000000001.safetensors" and "metrics.jsonl" in order[:-1]


def test_the_newest_checkpoint_is_known_by_its_name(tmp_path: Path):
    run = run_in(tmp_path / "run", 9, 10)
    assert newest_checkpoint(run) == "000000000010.safetensors"
    assert newest_checkpoint(RunDirectory(tmp_path / "none")) == ""
