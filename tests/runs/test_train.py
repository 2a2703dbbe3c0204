"""Runs as a user sees them: the same bytes again, longer, resumed."""

import io
import json
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import macpo
from macpo.algorithms.qmix import Config as Qmix
from macpo.algorithms.vdn import Config as Vdn
from macpo.learners.value_based import ValueBasedLearner
from tests.runs.conftest import SMALL, resume, rows, train


def test_the_same_experiment_writes_the_same_bytes(whole: Path, tmp_path: Path):
    train(tmp_path / "again")
    assert rows(tmp_path / "again") == rows(whole)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of half as many steps."""
    directory = tmp_path_factory.mktemp("runs") / "short"
    train(directory, replace(SMALL, run=replace(SMALL.run, steps=1500)))
    return directory


def test_extending_a_finished_run_equals_having_planned_it_longer(
    short: Path, whole: Path, tmp_path: Path
):
    directory = shutil.copytree(short, tmp_path / "run")
    resume(directory, steps=SMALL.run.steps)
    assert rows(directory) == rows(whole)


def test_a_run_resumed_from_the_checkpoint_before_a_damaged_one_writes_the_same_bytes(
    short: Path, whole: Path, tmp_path: Path
):
    directory = shutil.copytree(short, tmp_path / "run")
    newest = max((directory / "checkpoints").glob("*.safetensors"))
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    console = Console(record=True, file=io.StringIO(), width=400)
    macpo.resume(directory, steps=SMALL.run.steps, console=console)
    assert f"passed over a checkpoint: {newest} is damaged" in console.export_text()
    assert rows(directory) == rows(whole)


def test_metrics_carry_env_steps_episodes_and_updates_in_every_row(whole: Path):
    lines = [json.loads(line) for line in rows(whole).splitlines()]
    assert {line["kind"] for line in lines} == {"train", "test"}
    for line in lines:
        assert {"seed", "env_steps", "episodes", "updates"} <= set(line)
    tests = [line["env_steps"] for line in lines if line["kind"] == "test"]
    assert [step // 300 for step in tests] == list(range(1, 11))


@pytest.mark.usefixtures("compiled_as_for_users")
def test_two_seeds_write_what_each_writes_alone(tmp_path: Path):
    run = replace(SMALL.run, steps=600)
    qmix = Qmix(rnn_hidden_dim=8, mixing_embed_dim=4, hypernet_embed=8)
    one = macpo.Experiment("tests.support.toys:Counting", qmix, run=run)
    train(tmp_path / "one", one)
    train(tmp_path / "two", replace(one, run=replace(one.run, seeds=2)))
    lines = [json.loads(line) for line in rows(tmp_path / "two").splitlines()]
    alone = [json.loads(line) for line in rows(tmp_path / "one").splitlines()]
    assert [line for line in lines if line["seed"] == 0] == alone
    assert {line["seed"] for line in lines} == {0, 1}


class MistakenLearner(ValueBasedLearner):
    """Reads what no batch has."""

    def update(self, state: Any, batch: Any, key: Any) -> Any:
        return super().update(state, batch.rewards, key)


@dataclass(frozen=True)
class Mistaken(Vdn):
    """An algorithm of one's own."""

    def make(self, env: Any, weighting: Any) -> Any:
        return MistakenLearner(**vars(super().make(env, weighting)))


def test_an_algorithm_whose_update_fails_leaves_no_run_behind(tmp_path: Path):
    experiment = replace(SMALL, algorithm=Mistaken(rnn_hidden_dim=8))
    with pytest.raises(AttributeError, match="'Batch' object has no attribute 'rewards'"):
        train(tmp_path / "run", experiment)
    assert not (tmp_path / "run").exists()


def test_a_flag_whose_package_is_missing_leaves_no_run_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(macpo.UsageError, match="--tensorboard needs the package tensorboardX"):
        macpo.train(SMALL, tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()
