"""What the command line says at once: nothing that trains is imported for it."""

import importlib
import resource
import subprocess
import sys

import pytest

from macpo.cli import COMMANDS, LISTS, main
from tests.support.without_jax import run_without_jax

AT_ONCE = (["--version"], ["--help"], [], ["list", "--help"], ["list"])


def test_each_command_is_in_the_module_that_its_entry_names():
    found = {
        (module, name)
        for module in {command.module for command in COMMANDS.values()}
        for name in importlib.import_module(f"macpo.cli.{module}").RUN
    }
    assert found == {(command.module, name) for name, command in COMMANDS.items()}


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
