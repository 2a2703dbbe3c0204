"""What the command line says at once: nothing that trains is imported for it."""

import importlib
import io
import resource
import subprocess
import sys

import pytest

from macpo.cli import COMMANDS, LISTS, lists, main
from tests.support.command_line import complaint, run
from tests.support.without_jax import run_without_jax

AT_ONCE = (["--version"], ["--help"], [], ["list", "--help"], ["list"])


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_the_function_that_its_entry_names(name: str):
    module, function = COMMANDS[name].run.split(".")
    said = getattr(importlib.import_module(f"macpo.cli.{module}"), function).__doc__
    assert said.startswith(f"`macpo {name}`")


@pytest.mark.parametrize("title", LISTS)
def test_what_the_help_of_list_names_is_listed(title: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(["list", title])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(title)


@pytest.mark.parametrize("arguments", AT_ONCE, ids=" ".join)
def test_neither_jax_nor_the_reader_of_flags_is_imported_for(arguments: list[str]):
    done = run_without_jax(f"from macpo.cli import main; main({arguments})")
    assert (done.returncode, done.stderr) == (0, "") and done.stdout


def test_the_commands_are_explained_in_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("COLUMNS", "80")
    main(["--help"])
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert all(command.summary in " ".join(text.split()) for command in COMMANDS.values())


def test_an_unknown_command_is_refused_without_them():
    done = run_without_jax("from macpo.cli import main; main(['trian'])")
    assert done.returncode == 2 and "did you mean 'train'?" in done.stderr


def test_the_version_takes_less_than_300_ms_of_a_core_beyond_python_itself():
    def seconds(*words: str) -> float:
        """The least of three calls."""
        took = list[float]()
        for _ in range(3):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, *words], check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        return min(took)

    assert seconds("-m", "macpo", "--version") - seconds("-c", "pass") < 0.3


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]):
    main(["--help"])
    text = capsys.readouterr().out
    names = (
        "train",
        "resume",
        "evaluate",
        "render",
        "runs",
        "clean",
        "report",
        "check-env",
        "bench",
        "list",
        "doctor",
    )
    for name in names:
        assert name in COMMANDS and f"  {name} " in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]):
    assert run(command, "--help") == 0
    assert "usage: macpo " + command in capsys.readouterr().out


@pytest.mark.parametrize("pipe", ["--help | true", "list | head -1", "train --help | head -1"])
def test_a_reader_who_has_seen_enough_gets_no_complaint(pipe: str):
    shell = f"{sys.executable} -m macpo {pipe}; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", shell], capture_output=True)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize("arguments", [["list"], ["train", "--help"], ["no-such-command"]])
def test_a_terminal_without_unicode_is_shown_similar_characters(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    assert run(*arguments) in (0, 2)
    assert len(raw.getvalue()) > 50 and raw.getvalue().isascii()


@pytest.mark.parametrize("error", [MemoryError("no room"), RuntimeError("RESOURCE_EXHAUSTED: 8")])
def test_memory_that_runs_out_is_told_in_a_sentence(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fail(_: list[str]) -> int:
        raise error

    monkeypatch.setattr(lists, "show", fail)
    said = complaint(capsys, "list")
    assert said.startswith("macpo: memory ran out: ")
    assert said.rstrip().endswith("Choose a smaller environment or batch.")
