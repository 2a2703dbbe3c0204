"""What SECURITY.md says of the command line, against the command line."""

import re

import pytest

from macpo.cli import COMMANDS, main
from tests.support.paths import ROOT

PAGE = " ".join((ROOT / "SECURITY.md").read_text(encoding="utf-8").split())


def test_the_page_names_every_command_that_can_be_told_to_trust_a_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (told,) = re.findall(r"lifts this for one command\*\*: (.*?); `trust=True`", PAGE)
    trusting: set[str] = set()
    for name in COMMANDS:
        with pytest.raises(SystemExit):
            main([name, "--help"])
        if "--trust" in capsys.readouterr().out:
            trusting.add(name)
    named = {name.removeprefix("macpo ") for name in re.findall(r"`([a-z -]+)`", told)}
    assert named - {"--config"} == trusting
