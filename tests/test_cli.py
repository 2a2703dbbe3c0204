"""The command line: every mistake gets one clear sentence and status 2."""

import itertools
import json
import re
from pathlib import Path

import pytest

from macpo import registry
from macpo.cli import COMMANDS, main
from macpo.config import PARTS, Experiment, Run, to_dict


def run(*arguments: str) -> int:
    """The exit status."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return int(stop.value.code or 0)


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is said on stderr, on one line, by a command that exits with status 2."""
    assert run(*arguments) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return " ".join(said.replace("│", " ").split())


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]):
    main(["--help"])
    text = capsys.readouterr().out
    for name in ("train", "resume", "evaluate", "render", "bench", "list", "doctor"):
        assert name in COMMANDS and f"  {name} " in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]):
    assert run(command, "--help") == 0
    assert "usage: macpo " + command in capsys.readouterr().out


def test_train_help_documents_every_knob_of_the_chosen_parts(capsys: pytest.CaptureFixture[str]):
    assert run("train", "--env", "two-step", "--weighting", "owqmix", "--help") == 0
    text = capsys.readouterr().out
    assert "--weighting.alpha" in text and "--algorithm.mixing-embed-dim" in text
    assert "--steps INT" in text and "--env.punishment" not in text
    for kind in PARTS.values():
        for name in registry.discover(kind):
            assert name in text.replace("\n", " ")


def test_no_flag_of_any_plugin_lacks_its_sentence(capsys: pytest.CaptureFixture[str]):
    for part, kind in PARTS.items():
        for name in registry.discover(kind):
            assert run("train", f"--{part}", name, "--help") == 0
            lines = [line.strip("│ ") for line in capsys.readouterr().out.splitlines()]
            for line, following in itertools.pairwise(lines):
                part_of_a_matrix = re.match(r"--[\w.-]+\.\d+ ", line)
                if line.startswith("--") and not line.startswith("--preset"):
                    if part_of_a_matrix:
                        continue
                    assert following and not following.startswith("(default"), line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian"], "unknown command 'trian'; did you mean 'train'?"),
        (["train", "--env", "predator-pray"], "did you mean 'predator-prey'?"),
        (["train", "--weighting", "macpo_aprox"], "did you mean 'macpo-approx'?"),
        (["train", "--algorithm", "qmiks"], "unknown algorithm 'qmiks'; did you mean 'qmix'?"),
        (["train", "--preset", "pymarl3"], "unknown preset 'pymarl3'; did you mean"),
        (["train", "--env"], "--env needs a value"),
        (["train", "--env.punishment", "2"], "must be 0 or negative, not 2.0"),
        (["train", "--env.punishmen", "-2"], "--env.punishment FLOAT"),
        (["train", "--steps", "many"], "INT"),
        (["train", "--batch-size", "9000"], "batch_size (9000 episodes) is larger than"),
        (["train", "--seeds", "0"], "seeds must be at least 1, not 0"),
        (["train", "--env.n-prey", "99"], "need 107 cells but a 10×10 grid has 100"),
        (["train", "--algorithm.gamma", "1.5"], "gamma must be between 0 and 1"),
        (["train", "--config", "nowhere.json"], "cannot read an experiment from nowhere.json"),
        (["resume", "nowhere"], "nowhere is no run directory"),
        (["evaluate", "nowhere"], "nowhere is no run directory"),
        (["render", "nowhere"], "nowhere is no run directory"),
        (["list", "weighting"], "did you mean 'weightings'?"),
        (["doctor", "now"], "takes no arguments"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_gets_one_clear_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    assert said in complaint(capsys, *arguments)


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
    said = complaint(capsys, "train", "--out", str(tmp_path / "file" / "run"))
    assert "cannot create" in said and "--out" in said


def test_an_edited_experiment_file_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = to_dict(Experiment(run=Run(steps=10)))
    data["run"]["stepz"] = 1
    (tmp_path / "experiment.json").write_text(json.dumps(data))
    said = complaint(capsys, "train", "--config", str(tmp_path / "experiment.json"))
    assert "unknown setting run.stepz; did you mean 'steps'?" in said


def test_list_explains_every_plugin_in_a_line(capsys: pytest.CaptureFixture[str]):
    assert run("list") == 0
    text = capsys.readouterr().out
    for kind in PARTS.values():
        for name in registry.discover(kind):
            assert name in text
    assert "macpo-official" in text
