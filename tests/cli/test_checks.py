"""`macpo check-env`, with environments of the current folder."""

import pytest

from tests.support.command_line import run


def test_a_sound_environment_of_the_current_folder_gets_status_0(
    own: str, capsys: pytest.CaptureFixture[str]
):
    assert run("check-env", f"{own}:make", "--env.options", '{"n_agents": 3}') == 0
    first, *checks, last = capsys.readouterr().out.splitlines()
    assert first.startswith("own_games:make (JAX): 3 agents, 3 actions, observations of 2")
    earned = [line for line in checks if line.startswith("      ")]
    assert all(line.startswith("ok    ") for line in checks if line not in earned)
    assert [line.split()[0] for line in earned] == ["3", "ends:", "actions,"]
    assert len(checks) > 10 and last == "nothing wrong"


def test_an_environment_whose_settings_no_run_could_keep_is_refused(
    own: str, capsys: pytest.CaptureFixture[str]
):
    assert run("check-env", f"{own}:Kept") == 2
    assert "which a file cannot hold" in capsys.readouterr().err


def test_a_broken_environment_gets_status_1_and_is_closed(
    own: str, capsys: pytest.CaptureFixture[str]
):
    assert run("check-env", f"{own}:Crooked", "--episodes", "2", "--seed", "5") == 1
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("WRONG Info has the same names at every step, each with one number or None")
    assert lines[at + 1] == (
        "      seed 5, step 1: expected info ['clock'] as at the first reset, found []"
    )
    assert lines[at + 4].startswith("      and ") and lines[at + 4].endswith(" more")
    assert lines[-2:] == ["closed", "1 wrong"]


def test_help_shows_the_factory_and_its_parameters(own: str, capsys: pytest.CaptureFixture[str]):
    assert run("train", "--env", f"{own}:make", "--help") == 0
    text = capsys.readouterr().out
    assert "Counts. Made by own_games:make(n_agents: int = 2)." in text
    for flag in ("--env.options JSON", "--env.team-reward {sum,mean}", "--env.episode-limit"):
        assert flag in text
