"""Run directories: names, contents, and what is not a run directory."""

from pathlib import Path

import pytest

import macpo
from macpo.runs.directory import RunDirectory
from tests.runs.conftest import SMALL, resume


def test_a_run_directory_explains_itself(whole: Path):
    text = (whole / "README.md").read_text()
    for file in ("experiment.json", "metrics.jsonl", "model.safetensors", "checkpoints"):
        assert file in text and (whole / file).exists()
    assert macpo.load(whole).experiment == SMALL


def test_a_foreign_directory_is_no_run(tmp_path: Path):
    with pytest.raises(macpo.UsageError, match="is not a run directory"):
        resume(tmp_path)
    with pytest.raises(macpo.UsageError, match="is not a run directory"):
        macpo.load(tmp_path / "missing")


def test_an_unreadable_experiment_file_is_named(tmp_path: Path):
    (tmp_path / "experiment.json").write_text("{")
    with pytest.raises(macpo.UsageError, match=r"cannot read an experiment from .*experiment.json"):
        resume(tmp_path)
    (tmp_path / "experiment.json").write_text("[]")
    with pytest.raises(macpo.UsageError, match="holds no experiment, but list"):
        resume(tmp_path)


def test_a_new_directory_is_named_after_the_experiment_and_numbered_where_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    first = RunDirectory.new(SMALL).path
    assert first.parent == Path("runs")
    assert first.name.startswith("predator-prey_qmix_uniform_")
    first.mkdir(parents=True)
    assert RunDirectory.new(SMALL).path == Path(f"{first}_2")


def test_films_of_another_environment_have_its_name():
    files = RunDirectory("run")
    assert files.episode == Path("run/episode.gif")
    assert files.episode_in("module:factory") == Path("run/episode-module.factory.gif")
