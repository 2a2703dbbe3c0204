"""docs/sampling.md: its table is what its example computes, and its commands run."""

import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import macpo
from macpo.cli import main
from tests.support.paths import ROOT
from tests.support.tracing import train_or_check

PAGE = (ROOT / "docs" / "sampling.md").read_text()
EXAMPLE = ROOT / "examples" / "weights_as_sampling.py"


def mean_steps(catches: float, way: str) -> Any:
    return runpy.run_path(str(EXAMPLE))["mean_steps"](catches, way)


def test_the_table_is_what_the_example_computes() -> None:
    rows = re.findall(r"^\| ([\d.]+) \|(.*)\|$", PAGE, re.M)
    assert len(rows) == 5
    for catches, cells in rows:
        told = [float(cell.replace("−", "-")) for cell in cells.split("|")]
        ways = ("loss", "batch", "sampling")
        loss, batch, sampling = (mean_steps(float(catches), way) for way in ways)
        steps = [loss.sgd, batch.sgd, loss.clipped, batch.clipped, sampling.clipped]
        steps += [loss.rmsprop, batch.rmsprop, sampling.rmsprop]
        assert told == pytest.approx(steps, abs=5e-4)
        assert loss.sgd == pytest.approx(sampling.sgd)


@pytest.mark.parametrize("way", ["loss", "batch"])
def test_the_mean_step_is_that_of_random_batches(way: str) -> None:
    rng, share = np.random.default_rng(0), 0.3 / 32
    errors = np.where(rng.random((200_000, 32)) < share, -10.0, 0.2)
    weight = share * 10 + (1 - share) * 0.2
    if way == "batch":
        weight = abs(errors).mean(1, keepdims=True)
    step = -(abs(errors) * errors / weight).mean(1)
    exact = mean_steps(0.3, way)
    assert step.mean() == pytest.approx(exact.sgd, rel=0.02)
    assert step.clip(-1, 1).mean() == pytest.approx(exact.clipped, abs=0.005)
    assert step.mean() / np.sqrt((step**2).mean()) == pytest.approx(exact.rmsprop, rel=0.02)


@pytest.mark.slow
def test_the_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(macpo, "train", train_or_check)
    blocks = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    commands = [shlex.split(line) for line in lines]
    for _, *words in (words for words in commands if words[0] == "macpo"):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 0
    (python,) = (words for words in commands if words[0] == "python")
    monkeypatch.setattr("sys.argv", [str(EXAMPLE), "figure.png"])
    runpy.run_path(str(ROOT / python[1]), run_name="__main__")
    assert Path("figure.png").read_bytes().startswith(b"\x89PNG")
