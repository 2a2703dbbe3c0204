"""What the commands say that train, and that play what was trained."""

import json
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest

import macpo
from macpo import registry
from macpo.cli import training
from macpo.render import frames
from macpo.report import curves, table
from macpo.runs import film
from macpo.runs.directory import RunDirectory
from tests.support.command_line import complaint, run


def test_a_buffer_beyond_the_memory_is_refused_with_advice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = str(tmp_path / "run")
    said = complaint(capsys, "train", "--buffer-size", "900000000", "--out", out)
    assert "lower --buffer-size (now 900,000,000 episodes" in said
    assert not (tmp_path / "run").exists()


def test_a_directory_that_cannot_be_made_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "file").write_text("")
    small = ("train", "--env", "two-step", "--algorithm", "vdn", "--algorithm.rnn-hidden-dim", "8")
    said = complaint(capsys, *small, "--out", str(tmp_path / "file" / "run"))
    assert "cannot create" in said and "choose another place" in said


@pytest.mark.parametrize("command", [["train"], ["check-env", "two-step"], ["bench", "env"]])
def test_the_64_bit_mode_of_jax_is_refused_in_a_sentence(
    command: list[str], capsys: pytest.CaptureFixture[str]
):
    with jax.enable_x64(True):
        assert "unset JAX_ENABLE_X64" in complaint(capsys, *command)


@pytest.mark.parametrize("name", ["a[seed1]b", "a[/x]b", "a:smile:b"])
def test_a_finished_run_is_told_and_drawn_with_the_largest_return(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    env = registry.make_env("predator-prey")
    drawn = []
    monkeypatch.setattr(
        macpo, "load", lambda run, trust: SimpleNamespace(trainer=SimpleNamespace(env=env))
    )
    monkeypatch.setattr(film, "play", lambda policy: ([], [], []))
    monkeypatch.setattr(frames, "animate", lambda *args: None)
    monkeypatch.setattr(table, "print_summary", lambda *args: None)
    monkeypatch.setattr(curves, "draw_learning_curve", lambda *args: drawn.append(args))
    run = RunDirectory(tmp_path / name)
    run.path.mkdir(parents=True)
    run.metrics.touch()
    assert training._finish(macpo.RunResult(run.path, finished=True), trust=False) is None
    assert drawn == [(run.path, run.learning_curve, env.spec.return_bounds)]
    assert env.spec.return_bounds is not None and env.spec.return_bounds[1] == 40
    assert capsys.readouterr().out.splitlines() == [
        f"curve: {run.learning_curve}",
        f"episode: {run.episode}",
        f"everything else: {run.readme}",
    ]


@pytest.mark.parametrize("words", [["train", "--steps", "10"], ["resume", "my run"]])
def test_a_run_is_told_the_command_that_asks_for_it(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    told = list[list[str]]()

    def act(*args: object, command_line: list[str], **options: object) -> macpo.RunResult:
        told.append(command_line)
        return macpo.RunResult(tmp_path, finished=True)

    monkeypatch.setattr(macpo, words[0], act)
    assert run(*words) == 0
    assert told == [["macpo", *words]]


@pytest.mark.slow
def test_a_run_on_an_environment_of_ones_own_is_resumed(own: str, tmp_path: Path):
    small = ["--batch-size", "8", "--buffer-size", "16", "--test-nepisode", "4"]
    small += ["--algorithm", "vdn", "--algorithm.rnn-hidden-dim", "8"]
    name = ["--env", f"{own}:make", "--env.options", '{"n_agents": 3}']
    out = str(tmp_path / "run")
    assert run("train", *name, *small, "--steps", "100", "--out", out) == 0
    data = json.loads((tmp_path / "run" / "experiment.json").read_text())
    assert data["env"]["name"] == f"{own}:make" and data["env"]["options"] == {"n_agents": 3}
    assert run("resume", out, "--steps", "200", "--trust") == 0
    assert run("evaluate", out, "--episodes", "8", "--trust") == 0


def test_a_run_that_learns_offline_needs_a_file_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    two_step = ("train", "--env", "two-step", "--steps", "0", "--updates", "4")
    assert "need episodes to learn from: name their file" in complaint(capsys, *two_step)
    said = complaint(capsys, *two_step, "--replay.from", "nowhere.npz")
    assert "cannot read" in said and "nowhere.npz: No such file or directory" in said
    assert not [*tmp_path.iterdir()]


def test_outcomes_of_battles_stand_whole_in_80_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    outcomes = {"battle_won": 0.25, "dead_allies": 4.0, "dead_enemies": 2.5}
    means = {f"test_{name}_mean": value for name, value in outcomes.items()}
    row = {"seed": 0, "episodes": 320, "test_return_mean": 19.5, "test_return_sem": 0.25}
    monkeypatch.setattr(
        "macpo.evaluate", lambda *_, **__: [{**row, "test_ep_length_mean": 25.5, **means}]
    )
    monkeypatch.setenv("COLUMNS", "80")
    assert run("evaluate", str(tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    words = " ".join(lines).split()
    assert {*outcomes, "320", "25.5", "0.25", "4", "2.5"} <= {*words}
    assert [line for line in lines if "19.50 ± 0.25" in line]
