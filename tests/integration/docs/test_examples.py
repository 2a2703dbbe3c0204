"""The examples run as their first lines say, and their parts train from the command line."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import macpo
from macpo.cli import main
from tests.support.paths import ROOT
from tests.support.tracing import train_or_check

EXAMPLES = ROOT / "examples"


@pytest.mark.slow
@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("custom_*.py")), ids=lambda p: p.stem)
def test_the_example_runs_and_its_training_can_begin(
    example: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(macpo, "train", train_or_check)
    monkeypatch.setattr("sys.argv", [str(example)])
    runpy.run_path(str(example), run_name="__main__")


@pytest.mark.slow
def test_parts_named_by_import_path_train_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setattr("macpo.cli.training._finish", lambda *_, **__: 0)  # tests/cli has it
    parts = ["env", "algorithm", "weighting"]
    names = ["custom_environment:Config", "custom_algorithm:Config", "custom_weighting:Root"]
    flags = [word for part, name in zip(parts, names, strict=True) for word in (f"--{part}", name)]
    small = ["--steps", "2000", "--batch-size", "14", "--epsilon-anneal-time", "1000"]
    with pytest.raises(SystemExit) as stop:
        main(["train", *flags, *small, "--out", str(tmp_path / "run")])
    assert stop.value.code == 0
    policy = macpo.load(tmp_path / "run", trust=True)
    assert policy.experiment.title == " ".join(names)
    door = np.eye(3)[[1, 1]]
    np.testing.assert_array_equal(policy.act(door), [1, 1])  # it learned to name the door it sees
