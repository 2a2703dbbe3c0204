"""Run directories: names, contents, and what is not a run directory."""

import json
from pathlib import Path
from typing import Any

import pytest

import macpo
from macpo.experiment import to_dict
from macpo.runs.directory import RunDirectory, read_experiment
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
    with pytest.raises(macpo.UsageError, match="holds no experiment: expected a JSON object"):
        resume(tmp_path)


DAMAGE: list[tuple[str, str]] = [
    ("[" * 100_000, "it is nested too deep"),
    ("[]", "holds no experiment: expected a JSON object"),
    ('{"env": 3}', "no section 'env'"),
    ("9" * 5000, "cannot read an experiment"),
]


@pytest.mark.parametrize(("text", "said"), DAMAGE, ids=range(len(DAMAGE)))
def test_a_file_that_holds_no_experiment_is_named(tmp_path: Path, text: str, said: str):
    file = tmp_path / "experiment.json"
    file.write_text(text)
    with pytest.raises(macpo.UsageError) as refused:
        read_experiment(file)
    assert str(file) in str(refused.value) and said in str(refused.value)


@pytest.mark.parametrize(
    ("section", "setting", "value", "said"),
    [
        ("run", "steps", 10**400, "steps must be at most 2,147,483,647, not 1000"),
        ("run", "epsilon_start", 10**400, "run.epsilon_start must be a number, not 1000"),
        ("run", "seed", "x" * 10_000, "run.seed must be a whole number, not 'xxx"),
        ("run", "y" * 10_000, 1, "unknown setting run.yyy"),
        ("env", "name", "z" * 10_000, "unknown environment 'zzz"),
        ("env", "height", json.loads("[" * 900 + "]" * 900), "env.height must be a whole number"),
    ],
    ids=range(6),
)
def test_a_setting_that_cannot_be_is_told_in_one_short_sentence(
    tmp_path: Path, section: str, setting: str, value: Any, said: str
):
    data = to_dict(SMALL)
    data[section][setting] = value
    (tmp_path / "experiment.json").write_text(json.dumps(data))
    with pytest.raises(macpo.UsageError) as refused:
        read_experiment(tmp_path / "experiment.json")
    assert said in str(refused.value)
    assert len(str(refused.value)) < 600


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
