"""The commands and the snippet of docs/reports.md run as printed, on small runs."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import macpo
from macpo.cli import main
from macpo.report import microscope
from macpo.report.summary import BINS, FEW_SEEDS, LEVEL
from macpo.report.table import LAST_EVALUATIONS
from macpo.runs.record.moment import EXTREMES, LISTED, MAX_STEPS
from macpo.runs.record.replay import MAX_MOMENTS
from tests.support.paths import ROOT
from tests.support.synthetic_runs import write_replay, write_runs

PAGE = (ROOT / "docs" / "reports.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)


def test_the_commands_and_the_snippet_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    block, _ = blocks("bash")
    (snippet,) = blocks("python")
    commands = [shlex.split(line)[1:] for line in block.splitlines()]
    trained = [Path(words[words.index("--out") + 1]) for words in commands if words[0] == "train"]
    write_runs(tmp_path / "written", [run.name for run in trained], n_seeds=1)  # in their place
    for run in trained:
        run.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "written" / f"{run.name}-seed0").rename(run)
    reports = [words for words in commands if words[0] == "report"]
    assert len(reports) == len(commands) - len(trained) == 2
    for words in reports:
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 0, words
    exec(snippet, {})  # the page is ours
    assert {page.parent.name for page in tmp_path.glob("reports/*/index.html")} == {"hunt", "two"}


class Asked(Exception):
    """What `macpo.train` was asked for."""


def test_the_commands_of_the_microscope_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, block = blocks("bash")
    train, report = (shlex.split(line)[1:] for line in block.splitlines())

    def ask(experiment: macpo.Experiment, out: str, **options: Any) -> None:
        raise Asked(experiment.env.punishment, out, options["record_weights"])

    monkeypatch.setattr(macpo, "train", ask)
    with pytest.raises(Asked) as asked:
        main(train)
    punishment, out, moments = asked.value.args
    write_runs(tmp_path / "written", ["macpo"], n_seeds=1, punishment=punishment)
    write_replay(tmp_path / "written" / "macpo-seed0", moments)
    Path(out).parent.mkdir()
    (tmp_path / "written" / "macpo-seed0").rename(out)
    with pytest.raises(SystemExit) as stop:
        main(report)
    assert stop.value.code == 0
    (page,) = tmp_path.glob("reports/*/index.html")
    assert 'min="0" max="9"' in page.read_text()


def test_what_is_recorded_is_as_large_as_the_page_says() -> None:
    assert (MAX_STEPS, EXTREMES, LISTED) == (384, 32, 4)
    assert (MAX_MOMENTS, microscope.MAX_RUNS, microscope.MAX_MOMENTS) == (100, 6, 16)
    assert microscope.MAX_PICTURES == 1.5e6
    assert microscope.LOG_ZERO == -10_000


def test_the_numbers_are_defined_as_the_page_says() -> None:
    assert (LAST_EVALUATIONS, FEW_SEEDS, BINS, LEVEL) == (3, 5, 100, 0.95)
    for words in ("last three evaluations", "fewer than five seeds", "a hundred equal", "95 %"):
        assert words in " ".join(PAGE.split())
