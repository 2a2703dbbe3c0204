"""Where runs are found, and whether anything about them has changed."""

import os
from pathlib import Path

import pytest

from macpo.report.places import arm_of, places, signature
from tests.support.synthetic_runs import write_runs


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """macpo and uniform with two seeds each, a directory for each."""
    write_runs(tmp_path / "runs", n_seeds=2, n_evaluations=2)
    return tmp_path / "runs"


def found(path: Path) -> list[str]:
    notes = list[str]()
    names = [place.name for place in places(path, notes)]
    assert notes == []
    return names


def test_runs_are_found_at_any_depth_in_order(runs: Path, tmp_path: Path) -> None:
    (runs / "deeper" / "still").mkdir(parents=True)
    (runs / "uniform-seed1").rename(runs / "deeper" / "still" / "last-of-all")
    names = ["last-of-all", "macpo-seed0", "macpo-seed1", "uniform-seed0"]
    assert sorted(found(tmp_path)) == names
    assert found(runs / "macpo-seed1") == ["macpo-seed1"]


def test_what_a_run_contains_is_no_run_of_its_own(runs: Path) -> None:
    (runs / "macpo-seed0" / "copy").mkdir()
    (runs / "macpo-seed0" / "copy" / "metrics.jsonl").touch()
    assert found(runs / "macpo-seed0") == ["macpo-seed0"]


def test_a_run_belongs_to_an_arm_only_in_a_study(runs: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "best" / "seed-0"
    run.parent.mkdir()
    (runs / "macpo-seed0").rename(run)
    assert arm_of(run) == ""
    (tmp_path / "study.json").write_text("{}")
    assert arm_of(run) == "best"


def test_the_signature_changes_with_the_records_and_with_nothing_else(runs: Path) -> None:
    before = signature([runs])
    (runs / "macpo-seed0" / "notes.txt").write_text("mine")
    assert signature([runs]) == before
    with (runs / "macpo-seed0" / "metrics.jsonl").open("a") as file:
        file.write("\n")
    assert signature([runs]) != before


def test_the_signature_changes_with_a_file_of_the_same_size(runs: Path) -> None:
    before = signature([runs])
    os.utime(runs / "macpo-seed0" / "metrics.jsonl", ns=(1, 1))
    assert signature([runs]) != before
