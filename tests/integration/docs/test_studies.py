"""The commands and snippets of docs/studies.md run as printed, as far as the first run."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest

from macpo.cli import main
from macpo.report import writing
from macpo.study.study import PlannedRun
from tests.support.fake_engine import install
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "studies.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_every_command_of_the_page_carries_out_its_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fake = install(monkeypatch)
    fake.score = lambda run: float(run.seed)
    monkeypatch.setattr(writing, "draw_figures", lambda *_: [])  # tests/report has them
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(*blocks("toml"))
    (tmp_path / "my_study.py").write_text(*blocks("python"))
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    done: list[Sequence[PlannedRun]] = []
    for line in [*lines, "macpo sweep my_study:study"]:
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(line.replace("--trials 30", "--trials 6"), comments=True)[1:])
        assert stop.value.code == 0, line
        done.append([*fake.done])
        fake.done.clear()
    grid, again, longer, factors, by_chance, by_optuna, python = done
    assert len(by_chance) == 6 and len(by_optuna) == 6 * 2
    assert len(grid) == 4 * 5 and again == [] and {run.seed for run in longer} == {5, 6, 7}
    assert {run.arm for run in factors} == {
        f"{name} punishment={punishment}"
        for name in ("macpo", "no-value", "temperature-10")
        for punishment in (0, -2)
    }
    assert {run.arm for run in python} == {
        f"{weighting} at {punishment}"
        for weighting in ("macpo", "uniform")
        for punishment in (0, -2)
    }
