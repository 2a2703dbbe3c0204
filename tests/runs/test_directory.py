"""Run directories: names, contents, and what is not a run directory."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import macpo
from macpo.experiment import to_dict
from macpo.runs.claim import LOCK
from macpo.runs.directory import RunDirectory, read_experiment
from tests.runs.conftest import SMALL, resume


def test_a_run_directory_explains_itself(whole: Path):
    files = {file.name for file in whole.iterdir() if not file.name.startswith(".")}
    text = (whole / "README.md").read_text()
    assert not [file for file in files - {"README.md"} if f"`{file}" not in text]
    assert macpo.load(whole).experiment == SMALL


def test_a_foreign_directory_is_no_run(tmp_path: Path):
    with pytest.raises(macpo.UsageError, match="is not a run directory"):
        resume(tmp_path)
    with pytest.raises(macpo.UsageError, match="is not a run directory"):
        macpo.load(tmp_path / "missing")


def test_an_unreadable_experiment_file_is_named(tmp_path: Path):
    file = tmp_path / "experiment.json"
    file.write_text("{")
    with pytest.raises(macpo.UsageError, match=r"cannot read an experiment from .*experiment.json"):
        resume(tmp_path)
    file.write_text("[]")
    with pytest.raises(macpo.UsageError, match="holds no experiment: expected a JSON object"):
        resume(tmp_path)
    file.write_text("{}")
    with pytest.raises(macpo.UsageError, match=r"experiment\.json: .* has no section 'env'"):
        resume(tmp_path)


# --- the directory of a new run -------------------------------------------------------------------


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
    assert first.name.startswith("predator-prey_vdn_uniform_")
    assert RunDirectory.new(SMALL).path == Path(f"{first}_2")
    assert RunDirectory.new(SMALL).path == Path(f"{first}_3")


def test_processes_that_start_at_once_get_directories_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: RunDirectory.new(SMALL).path, range(32)))
    assert len(set(paths)) == 32


@pytest.mark.parametrize("kind", ["a file", "a link to nowhere"])
def test_runs_that_is_no_folder_is_told(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    if kind == "a file":
        Path("runs").touch()
    else:
        Path("runs").symlink_to("nowhere")
    with pytest.raises(macpo.UsageError, match=r"^cannot create runs: File exists; choose another"):
        RunDirectory.new(SMALL)


@pytest.mark.parametrize("name", [file.name for file in RunDirectory(".").files()])
@pytest.mark.parametrize("kind", ["file", "link to nowhere"])
def test_nothing_that_a_run_would_write_over_may_be_there(name: str, kind: str, tmp_path: Path):
    if kind == "file":
        (tmp_path / name).write_text("of the user")
    else:
        (tmp_path / name).symlink_to("nowhere")
    with pytest.raises(macpo.UsageError, match=rf"already holds (a run|{name}).*another --out"):
        RunDirectory(tmp_path).require_unused()


def test_other_files_and_the_claim_of_a_dead_process_may_be_there(tmp_path: Path):
    (tmp_path / "notes.txt").touch()
    (tmp_path / LOCK).touch()
    RunDirectory(tmp_path).require_unused()
    RunDirectory(tmp_path / "missing").require_unused()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("file/run", "Not a directory; choose another place"),
        ("a" * 256, "File name too long; choose a shorter name"),
    ],
)
def test_a_directory_that_cannot_be_made_is_named(name: str, message: str, tmp_path: Path):
    (tmp_path / "file").touch()
    files = RunDirectory(tmp_path / name)
    files.require_unused()
    with pytest.raises(macpo.UsageError, match=f"^cannot create {tmp_path / name}: {message}"):
        files.make()
    with pytest.raises(macpo.UsageError, match=r"cannot read|is not a run directory"):
        files.read_experiment()


def test_a_name_without_a_letter_is_refused():
    with pytest.raises(macpo.UsageError, match="name of the run's directory is empty"):
        RunDirectory("")


def test_a_readme_is_written_again_above_the_notes_of_the_user(tmp_path: Path):
    files = RunDirectory(tmp_path)
    files.write_readme(SMALL, "It has begun.")
    first = files.readme.read_text()
    assert first.startswith("# predator-prey vdn uniform\n") and "It has begun." in first
    files.readme.write_text(first + "\nMy notes: It has begun.\n")
    files.write_readme(SMALL, "It has ended.")
    second = files.readme.read_text()
    assert second == first.replace("begun", "ended") + "\nMy notes: It has begun.\n"


def test_a_readme_of_the_users_own_is_left_as_it_is(tmp_path: Path):
    files = RunDirectory(tmp_path)
    files.readme.write_text("with notes")
    files.write_readme(SMALL, "It has begun.")
    assert files.readme.read_text() == "with notes"
    files.readme.unlink()
    files.readme.symlink_to("nowhere")
    files.write_readme(SMALL, "It has begun.")
    assert files.readme.is_symlink()


def test_settings_are_written_whenever_they_change(tmp_path: Path):
    files = RunDirectory(tmp_path)
    files.write_experiment(SMALL)
    longer = replace(SMALL, run=replace(SMALL.run, steps=4000))
    files.write_experiment(longer)
    assert files.read_experiment() == longer


def test_what_a_killed_process_has_left_of_a_runs_files_is_removed(tmp_path: Path):
    files = RunDirectory(tmp_path)
    files.checkpoints.mkdir()
    for left in (".model.safetensors.1.tmp", "checkpoints/.000000000002.safetensors.1.tmp"):
        (tmp_path / left).touch()
    (tmp_path / ".notes.txt.1.tmp").touch()  # of another program
    files.remove_leftovers()
    assert [file.name for file in tmp_path.rglob("*.tmp")] == [".notes.txt.1.tmp"]


# --- films ----------------------------------------------------------------------------------------


def test_films_of_another_environment_or_the_best_parameters_have_their_name():
    files = RunDirectory("run")
    assert files.episode == Path("run/episode.gif")
    assert files.episode_of("last", "module:factory") == Path("run/episode-module.factory.gif")
    assert files.episode_of("best", None) == Path("run/episode-best.gif")
    assert files.episode_of("best", "smac") == Path("run/episode-best-smac.gif")


def test_the_command_to_resume_asks_for_trust_where_the_experiment_names_code_of_its_own(
    tmp_path: Path,
):
    own = macpo.Experiment(env="tests.support.sums:Config", run=SMALL.run)
    files = RunDirectory(tmp_path / "my run")
    assert files.resume_command(SMALL) == f"macpo resume '{files.path}'"
    assert files.resume_command(own) == f"macpo resume '{files.path}' --trust"
