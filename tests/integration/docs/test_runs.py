"""The commands of docs/runs.md run as printed, on small runs."""

import re
import shlex
from pathlib import Path

import pytest

import macpo
from macpo.cli import main
from tests.support.counting import begin, counting
from tests.support.paths import ROOT
from tests.support.synthetic_runs import write_runs

PAGE = (ROOT / "docs" / "runs.md").read_text()


def commands() -> list[list[str]]:
    blocks = "".join(re.findall(r"```bash\n(.*?)```", PAGE, re.S)).splitlines()
    return [shlex.split(line, comments=True)[1:] for line in blocks]


def test_a_run_is_resumed_and_extended_as_the_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Path, object]] = []  # tests/runs has real ones

    def resume(run: Path, **options: object) -> macpo.RunResult:
        asked.append((run, options["steps"]))
        return macpo.RunResult(run, finished=True)

    monkeypatch.setattr(macpo, "resume", resume)
    for words in (words for words in commands() if words[0] == "resume"):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 0
    assert asked == [(Path("runs/hunt"), None), (Path("runs/hunt"), 600_000)]


def test_the_list_of_runs_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("runs", "studies/weights/runs"):
        write_runs(tmp_path / folder, n_seeds=1, n_evaluations=1)
    listed = [words for words in commands() if words[0] == "runs"]
    assert len(listed) == 2
    for words in listed:
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 0, words
        assert "macpo-seed0" in capsys.readouterr().out


def test_the_checkpoints_of_a_run_are_dropped_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with counting():
        begin(Path("runs/hunt"))
    look, drop = (words for words in commands() if words[0] == "clean")
    folder = tmp_path / "runs" / "hunt" / "checkpoints"
    for words, left, told in ((look, 2, "would be freed"), (drop, 0, "MB freed;")):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 0 and told in capsys.readouterr().out
        assert len([*folder.glob("*.safetensors")]) == left


def test_checkpoints_without_replay_are_asked_for_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (words,) = (words for words in commands() if words[0] == "train")
    asked = dict[str, object]()

    def train(experiment: macpo.Experiment, out: str, **options: object) -> macpo.RunResult:
        asked.update(options, out=out)
        return macpo.RunResult(tmp_path, finished=True)

    monkeypatch.setattr(macpo, "train", train)
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 0
    assert (asked["out"], asked["save_replay"]) == ("runs/small", False)
