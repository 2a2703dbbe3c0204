"""The commands and the snippet of docs/comparing.md run as printed."""

import json
import re
import shlex
from pathlib import Path

import pytest
from rich.console import Console

import macpo
from macpo import Study
from macpo.cli import main
from macpo.experiment import Experiment
from macpo.study.study import PlannedRun
from tests.report.formats import test_marl_eval, test_sacred, test_wandb
from tests.support.fake_engine import install
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "comparing.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_every_command_of_the_page_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    fake = install(monkeypatch)
    fake.score = lambda run: 10.0 * (run.arm == "macpo") + run.seed
    monkeypatch.chdir(tmp_path)
    arms = {name: Experiment(weighting=name) for name in ("macpo", "uniform")}
    macpo.sweep(Study("mine", arms), "studies/mine", jobs=1, console=Console(quiet=True))
    fake.done.clear()
    test_sacred.write(tmp_path / "pymarl" / "results" / "sacred" / "1", info=test_sacred.INFO)
    test_marl_eval.write(tmp_path, {"e": {"t": {"a": {"seed_0": test_marl_eval.RUN}}}})
    test_wandb.write(tmp_path)
    said: list[str] = []
    for line in (line for block in blocks("bash") for line in block.splitlines()):
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(line)[1:])
        assert stop.value.code == 0, line
        said.append(" ".join(capsys.readouterr().out.split()))
    compared, decided, reported, _ = said
    assert "Undecided (p = 0.062, sign-flip test of 5 pairs" in compared
    assert "macpo scores higher than uniform: decided after 7 pairs" in decided
    assert {*fake.done} == {PlannedRun(arm, seed) for arm in arms for seed in (5, 6)}
    assert all(name in reported for name in ("sacred", "wandb", "marl-eval"))
    runs = json.loads((tmp_path / "results.json").read_text())["predator-prey"]["default"]["macpo"]
    assert len(runs) == 5 + 2  # the further seeds too
    (snippet,) = blocks("python")
    names: dict[str, object] = {}
    exec(snippet, names)
    assert names["columns"]
