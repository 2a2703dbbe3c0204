"""Commands called as a user calls them, in this process."""

import pytest

from macpo.cli import main


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
