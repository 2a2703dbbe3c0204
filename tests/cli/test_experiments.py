"""The experiment that flags describe, and environments in place of a run's own."""

import json
from pathlib import Path

import pytest

import macpo
from macpo import registry
from macpo.experiment import PARTS, Experiment, Run, to_dict
from macpo.runs.directory import RunDirectory
from tests.support.command_line import complaint, run


def test_train_help_documents_every_knob_of_the_chosen_parts(capsys: pytest.CaptureFixture[str]):
    assert run("train", "--env", "two-step", "--weighting", "owqmix", "--help") == 0
    text = capsys.readouterr().out
    assert "--weighting.alpha" in text and "--algorithm.mixing-embed-dim" in text
    assert "--steps INT" in text and "--env.punishment" not in text
    for kind in PARTS.values():
        for name in registry.discover(kind):
            assert name in text.replace("\n", " ")


def test_an_edited_experiment_file_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = to_dict(Experiment(run=Run(steps=10)))
    data["run"]["stepz"] = 1
    (tmp_path / "experiment.json").write_text(json.dumps(data))
    said = complaint(capsys, "train", "--config", str(tmp_path / "experiment.json"))
    assert "unknown setting run.stepz; did you mean 'steps'?" in said


def test_chosen_parts_are_explained_with_their_flags(capsys: pytest.CaptureFixture[str]):
    assert run("train", "--algorithm", "vdn", "--help") == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for flag, default in {"--env": "predator-prey", "--algorithm": "vdn"}.items():
        _, described = text.split(f" {flag} NAME ", 1)
        assert described.split(" --")[0].strip().endswith(f"(default: {default})")


@pytest.mark.parametrize("command", ["evaluate", "render"])
def test_the_other_environment_brings_its_flags(command: str, capsys: pytest.CaptureFixture[str]):
    assert run(command, "--env", "two-step", "--help") == 0
    assert "--env.reward-scale" in capsys.readouterr().out
    assert run(command, "--help") == 0
    text = capsys.readouterr().out
    assert "--env NAME" in text and "--env.reward-scale" not in text


@pytest.mark.parametrize("command", ["evaluate", "render"])
def test_flags_of_an_environment_that_is_not_named_change_that_of_the_run(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    env = macpo.envs.PredatorPrey(n_prey=5)
    RunDirectory(tmp_path).write_experiment(macpo.Experiment(env=env))
    assert run(command, str(tmp_path), "--env.n-predators", "6", "--help") == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "they move at random. (default: 5;" in text
    said = complaint(capsys, command, str(tmp_path), "--env.punishment", "3")
    assert "did you mean -3" in said or "punishment must be 0 or negative" in said


def test_flags_of_an_environment_without_a_run_are_refused(capsys: pytest.CaptureFixture[str]):
    said = complaint(capsys, "evaluate", "nowhere", "--env.n-predators", "6")
    assert "there is no run directory among the arguments" in said
