"""Reports as files, once and again."""

import itertools
import json
from pathlib import Path

import pytest
from PIL import Image

from macpo.errors import UsageError
from macpo.report import writing
from macpo.report.directory import ReportDirectory
from macpo.report.writing import Written, watch, write_report
from tests.support.synthetic_runs import write_runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folder") / "runs"
    write_runs(folder, n_seeds=2, n_evaluations=4)
    Image.new("P", (4, 4)).save(folder / "macpo-seed0" / "episode.gif")
    return folder


@pytest.fixture
def own_runs(tmp_path: Path) -> Path:
    write_runs(tmp_path / "runs", ["macpo"], n_seeds=1, n_evaluations=2)
    return tmp_path / "runs"


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which take longest."""
    monkeypatch.setattr(writing, "draw_figures", lambda *_: [])


def test_a_report_has_a_page_data_figures_and_tables(runs: Path, tmp_path: Path) -> None:
    files, report = write_report([runs], tmp_path / "report")
    assert files.page.read_text().startswith("<!DOCTYPE html>")
    assert json.loads(files.data.read_text())["notes"] == list(report.notes) == []
    stems = ("curves", "improvement", "profile")
    assert sorted(file.name for file in files.figures.iterdir()) == [
        f"{stem}-predator-prey.{ending}" for stem in stems for ending in ("png", "svg")
    ]
    stems = ("differences", "improvement-predator-prey", "runs", "scores-predator-prey", "seeds")
    assert sorted(file.name for file in files.tables.iterdir()) == [
        f"{stem}.{ending}" for stem in stems for ending in ("csv", "md", "tex")
    ]
    for file in files.figures.glob("*.png"):
        with Image.open(file) as image:
            assert image.width > 500


@pytest.mark.usefixtures("without_figures")
def test_every_score_of_the_tables_is_in_the_data(runs: Path, tmp_path: Path) -> None:
    files, _ = write_report([runs], tmp_path / "report")
    (task,) = json.loads(files.data.read_text())["tasks"]
    lines = (files.tables / "scores-predator-prey.csv").read_text().splitlines()[1:]
    assert [line.split(",")[2] for line in lines] == [
        f"{scores['final']['value']:.1f}" for scores in task["scores"]
    ]


@pytest.mark.usefixtures("without_figures")
def test_films_are_of_as_many_runs_as_wanted(runs: Path, tmp_path: Path) -> None:
    pages = [write_report([runs], tmp_path / str(n), films=n)[0].page.read_text() for n in (0, 1)]
    assert [page.count("data:image/gif;base64,R") for page in pages] == [0, 1]


def test_a_report_is_replaced_with_nothing_left_of_the_former(runs: Path, tmp_path: Path) -> None:
    files, _ = write_report([runs], tmp_path / "report")
    (files.figures / "mine.png").touch()
    write_report([runs / "macpo-seed0"], files.path)
    assert sorted(file.name for file in files.figures.iterdir()) == [
        *("curves-predator-prey.png", "curves-predator-prey.svg", "mine.png")
    ]


@pytest.mark.parametrize("name", ["thesis.txt", "data.json", "index.html"])
def test_a_directory_of_something_else_is_refused(runs: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"mine": 1}')
    with pytest.raises(UsageError, match=f"holds {name}, but no report of macpo"):
        write_report([runs], tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_file_in_the_place_of_the_directory_is_refused(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file; choose another --out"):
        write_report([runs], tmp_path / "file")


@pytest.mark.usefixtures("without_figures")
def test_a_report_that_was_interrupted_is_written_again(runs: Path, tmp_path: Path) -> None:
    files, _ = write_report([runs], tmp_path / "report")
    files.page.unlink()
    assert write_report([runs], files.path)[0].page.exists()


def test_nothing_is_made_for_a_report_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to report on"):
        write_report([tmp_path / "absent"], tmp_path / "report")
    with pytest.raises(UsageError, match="at least one directory"):
        write_report([], tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_the_default_place_is_in_a_study_or_under_reports(tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    (study / "study.json").write_text("{}")
    runs = tmp_path / "runs"
    assert ReportDirectory.default([study]).path == study / "report"
    assert ReportDirectory.default([runs]).path == Path("reports/runs")
    assert ReportDirectory.default([runs, study]).path == Path("reports/runs_and_1_more")


def test_tasks_of_the_same_title_have_files_of_their_own(runs: Path, tmp_path: Path) -> None:
    for name, env in {"a": "x/y", "b": "x:y"}.items():
        write_runs(tmp_path / name, ["macpo"], n_seeds=1, n_evaluations=1)
        file = tmp_path / name / "macpo-seed0" / "experiment.json"
        experiment = json.loads(file.read_text())
        experiment["env"] = {"name": env}
        file.write_text(json.dumps(experiment))
    files, _ = write_report([tmp_path / "a", tmp_path / "b"], tmp_path / "report")
    assert [file.name for file in sorted(files.figures.glob("*.svg"))] == [
        *("curves-x-y-2.svg", "curves-x-y.svg")
    ]


def test_seeds_that_were_evaluated_once_have_figures(own_runs: Path, tmp_path: Path) -> None:
    file = own_runs / "macpo-seed0" / "metrics.jsonl"
    rows = [
        {"kind": "test", "seed": i, "env_steps": 10_000 + i, "test_return_mean": 1.0}
        for i in range(2)  # with no env step in common
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    files, _ = write_report([own_runs], tmp_path / "report")
    assert (files.figures / "curves-predator-prey.png").exists()
    assert 'data-kind="curves"' in files.page.read_text()


# --- watching -------------------------------------------------------------------------------------


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was slept; nobody sleeps."""
    slept: list[float] = []
    monkeypatch.setattr(writing.time, "sleep", slept.append)
    return slept


def append(run: Path, text: str) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write(text)


@pytest.mark.usefixtures("without_figures")
def test_a_watched_report_is_written_when_records_change(
    own_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"kind": "test", "seed": 0, "env_steps": 90_000, "test_return_mean": 1.0}
    naps = itertools.count(1)

    def nap(seconds: float) -> None:
        if next(naps) == 3:
            append(own_runs / "macpo-seed0", json.dumps(row) + "\n")

    monkeypatch.setattr(writing.time, "sleep", nap)
    events = watch([own_runs], tmp_path / "report", interval=3)
    first, second = next(events), next(events)
    assert isinstance(first, Written) and isinstance(second, Written)
    assert next(naps) == 4  # two looks found nothing new
    ends = [each.report.tasks[0].scores[0].seeds[0].env_steps for each in (first, second)]
    assert ends == [20_000, 90_000]
    assert '<meta http-equiv="refresh" content="3">' in first.files.page.read_text()


@pytest.mark.usefixtures("without_figures")
def test_watching_goes_on_when_a_report_cannot_be_written(
    own_runs: Path, tmp_path: Path, naps: list[float]
) -> None:
    events = watch([own_runs], tmp_path / "report", interval=3)
    next(events)
    (own_runs / "macpo-seed0" / "experiment.json").write_text("damage")
    error = next(events)
    assert isinstance(error, UsageError) and "cannot read an experiment" in str(error)
    assert naps == [3]


def test_what_cannot_be_reported_at_first_is_not_watched(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to report on"):
        next(watch([tmp_path / "absent"], tmp_path / "report"))
