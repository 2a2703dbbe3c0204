"""The commands and the snippet of docs/reports.md run as printed, on small runs."""

import re
import shlex
from pathlib import Path

import pytest

from macpo.cli import main
from macpo.report.summary import BINS, FEW_SEEDS, LEVEL
from macpo.report.table import LAST_EVALUATIONS
from tests.support.paths import ROOT
from tests.support.synthetic_runs import write_runs

PAGE = (ROOT / "docs" / "reports.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)


def test_the_commands_and_the_snippet_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = blocks("bash")
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


def test_the_numbers_are_defined_as_the_page_says() -> None:
    assert (LAST_EVALUATIONS, FEW_SEEDS, BINS, LEVEL) == (3, 5, 100, 0.95)
    for words in ("last three evaluations", "fewer than five seeds", "a hundred equal", "95 %"):
        assert words in " ".join(PAGE.split())
