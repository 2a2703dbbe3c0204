"""The list of runs in a folder."""

import io
import json
import os
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from macpo.errors import UsageError
from macpo.report import listing
from macpo.report.listing import list_runs, runs_table
from macpo.report.tables import print_table
from macpo.runs.claim import claimed
from macpo.runs.directory import RunDirectory
from macpo.runs.sessions import FINISHED
from tests.support.synthetic_runs import write_runs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs, of an earlier version: 20 evaluations in 200,000 env steps."""
    write_runs(tmp_path, n_seeds=1)
    return tmp_path


def files_of(folder: Path, name: str = "macpo-seed0") -> RunDirectory:
    return RunDirectory(folder / name)


def append(file: Path, *rows: dict[str, object]) -> None:
    file.write_text(file.read_text() + "".join(json.dumps(row) + "\n" for row in rows))


def sessions(files: RunDirectory, ended: str, outcome: str) -> None:
    session = {"begun": "2026-11-01 00:00", "ended": ended, "outcome": outcome}
    files.sessions.write_text(json.dumps([session]))


def test_a_run_is_listed_with_its_parts_progress_and_last_evaluation(folder: Path):
    files = files_of(folder)
    last = {"kind": "test", "seed": 0, "env_steps": 150_000, "test_return_mean": 7.25}
    append(files.metrics, last)
    sessions(files, "2026-11-02 10:11", "stopped by SIGINT")
    runs, notes = list_runs(folder)
    (run,) = [run for run in runs if run.name == "macpo-seed0"]
    assert run[1:6] == (("predator-prey", "qmix", "macpo"), 1, 150_000, 200_000, 7.25)
    assert (run.state, run.when, notes) == ("stopped", "2026-11-02 10:11", [])


def test_a_run_that_learns_offline_is_listed_with_its_updates(folder: Path):
    files = files_of(folder)
    data = json.loads(files.experiment.read_text())
    data["run"] |= {"steps": 0, "updates": 2_000}
    files.experiment.write_text(json.dumps(data))
    files.metrics.write_text("")
    append(files.metrics, {"kind": "test", "seed": 0, "env_steps": 0, "updates": 1_000})
    (run,) = [run for run in list_runs(folder)[0] if run.name == "macpo-seed0"]
    assert (run.played, run.planned) == (1_000, 2_000)
    assert runs_table([run], "Runs").rows[0][2] == "1k of 2k updates"


def test_the_return_is_the_mean_over_seeds(folder: Path):
    files = files_of(folder)
    data = json.loads(files.experiment.read_text())
    data["run"]["seeds"] = 2
    files.experiment.write_text(json.dumps(data))
    rows = [
        {"kind": "test", "seed": seed, "env_steps": 10, "test_return_mean": value}
        for seed, value in ((0, 1.0), (1, 4.0))
    ]
    files.metrics.write_text("")
    append(files.metrics, *rows)
    (run,) = [run for run in list_runs(folder)[0] if run.seeds == 2]
    assert run.last_return == 2.5


def test_the_newest_run_is_first_and_the_date_is_the_files_where_no_session_tells(folder: Path):
    sessions(files_of(folder), "2026-11-02 10:11", FINISHED)
    os.utime(files_of(folder, "uniform-seed0").metrics, (86_400, 86_400))
    assert [(run.name, run.when) for run in list_runs(folder)[0]] == [
        ("macpo-seed0", "2026-11-02 10:11"),
        ("uniform-seed0", "1970-01-02 00:00"),
    ]


def test_finished_is_what_its_files_say_or_an_earlier_version_has_played(folder: Path):
    """Of a run that keeps record of its sessions, the absolute metric is the end."""
    files = files_of(folder)

    def state() -> str:
        return next(run.state for run in list_runs(folder)[0] if run.name == files.path.name)

    assert state() == "finished"
    sessions(files, "", "")
    assert state() == "stopped"
    with claimed(files.path):
        assert state() == "going on"
    files.absolute.write_text("{}\n")
    assert state() == "finished"


def test_a_run_that_has_just_begun_is_listed_without_a_result(folder: Path):
    files_of(folder).metrics.unlink()
    (run,) = [run for run in list_runs(folder)[0] if run.name == "macpo-seed0"]
    assert run.played == 0 and run.state == "stopped" and run.last_return != run.last_return


def test_a_damaged_run_is_told_and_left_out(folder: Path):
    append(files_of(folder).metrics, {"kind": 3})
    files_of(folder, "uniform-seed0").experiment.write_text("{")
    with pytest.raises(UsageError, match=r"no runs to list: Left out: .*Left out: "):
        list_runs(folder)
    files_of(folder, "uniform-seed0").experiment.unlink()
    shutil.copy(files_of(folder).experiment, files_of(folder, "uniform-seed0").experiment)
    runs, (note,) = list_runs(folder)
    assert [run.name for run in runs] == ["uniform-seed0"]
    assert note.startswith("Left out: a line near the end of ") and "metrics.jsonl" in note


@pytest.mark.parametrize("given", ["missing", "empty"])
def test_a_folder_without_runs_is_told(given: str, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=rf"^there are no runs to list: .*{given}"):
        list_runs(tmp_path / given)


def test_runs_are_found_at_any_depth_and_a_run_itself_is_listed(folder: Path):
    deep = folder / "study" / "runs" / "arm" / "seed-0"
    deep.parent.mkdir(parents=True)
    files_of(folder).path.rename(deep)
    assert "study/runs/arm/seed-0" in [run.name for run in list_runs(folder)[0]]
    assert [run.name for run in list_runs(deep)[0]] == ["seed-0"]


def test_only_the_end_of_metrics_is_read_and_no_parameters(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = list_runs(folder)
    files = files_of(folder)
    files.model.mkdir()  # reading it would fail
    files.checkpoints.write_text("")
    lines = files.metrics.read_text().splitlines(keepends=True)
    files.metrics.write_text("nothing\n" + "".join(lines[1:]))
    monkeypatch.setattr(listing, "END", 3000)
    assert list_runs(folder)[0] == whole[0]
    monkeypatch.setattr(listing, "END", 100)  # no whole row: more is read, until there is one
    assert list_runs(folder)[0] == whole[0]


def test_the_table_fits_80_columns_and_tells_battles_only_where_there_are_some(folder: Path):
    runs, _ = list_runs(folder)
    console = Console(width=80, record=True, file=io.StringIO())
    print_table(console, runs_table(runs, "Runs"))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    line = next(line for line in lines if "macpo-seed0" in line)
    assert line.split()[1:5] == ["finished", "200k", "of", "200k"]
    assert "won" not in runs_table(runs, "Runs").head
    fought = runs_table([runs[0]._replace(last_won=0.25), runs[1]], "Runs")
    assert [row[4] for row in fought.rows] == ["25%", "–"]
