"""The commands and snippets of docs/hub.md run as printed, with a hub on loopback."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from macpo.cli import main
from macpo.runs.hub.kept import kept_files
from tests.support.fake_hub import asked_instead
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "hub.md").read_text()


def commands() -> list[list[str]]:
    blocks = "".join(re.findall(r"```bash\n(.*?)```", PAGE, re.S)).splitlines()
    return [shlex.split(line, comments=True)[1:] for line in blocks]


def test_the_page_names_every_file_that_is_uploaded():
    (table,) = re.findall(r"\| uploaded.*?\n\n", PAGE, re.S)
    names = {one.name for one in kept_files()}
    assert set(re.findall(r"`([\w.]+\.[a-z]+)`", table)) == names


@pytest.mark.slow
def test_a_run_is_published_and_fetched_as_the_page_says(
    hunt: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(hunt, "runs/hunt")
    with asked_instead(tmp_path / "home") as hub:
        for words in commands():
            if words[0] == "pull" and Path("runs/hunt/sessions.json").exists():
                assert set(hub.repos) == {"me/hunt"}
                shutil.move("runs/hunt", "trained")  # as on another machine
            extra = ["--episodes", "8"] if words[0] == "evaluate" else []
            with pytest.raises(SystemExit) as stop:
                main([*words, *extra])
            said = capsys.readouterr()
            assert stop.value.code == 0, said.err
            if "--dry-run" in words:
                assert "to me/hunt; nothing has been uploaded" in said.out
                assert "bytes  model.safetensors" in said.out and hub.asked == []
        assert Path("hunt.gif").exists() and Path("runs/hunt/policy_numpy.py").exists()
        push, pull = re.findall(r"```python\n(.*?)```", PAGE, re.S)
        del hub.repos["me/hunt"]
        shutil.rmtree("runs/hunt")
        shutil.move("trained", "runs/hunt")
        names = {}
        exec(push, names)  # the page is ours
        assert names["address"] == f"{hub.address}/me/hunt" and hub.repos["me/hunt"].private
        exec(pull, names)
        assert repr(names["policy"]) == "Policy('runs/another', seed=0)"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["push", "nowhere", "me/hunt"], "nowhere is not a run directory"),
        (["pull", "hunt"], "expected OWNER/NAME"),
        (["pull", "me/hunt", "--out", "."], "exists, and is left as it is"),
        (["pull", "me/hunt"], "shows no repository me/hunt"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    with asked_instead(tmp_path / "home"), pytest.raises(SystemExit) as stop:
        main(words)
    printed = capsys.readouterr().err
    assert stop.value.code == 2 and said in printed and printed.count("\n") == 1
