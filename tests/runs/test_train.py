"""Runs as a user sees them: directories, signals, resume, damage, bad input."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from rich.console import Console

import macpo
from macpo.algorithms.qmix import Config as Qmix
from macpo.envs.predator_prey import Config as PredatorPrey
from macpo.experiment import to_dict
from macpo.runs import checkpoint

SMALL = macpo.Experiment(
    env=PredatorPrey(height=4, width=4, n_predators=2, n_prey=2, episode_limit=6),
    algorithm=Qmix(
        rnn_hidden_dim=8, mixing_embed_dim=4, hypernet_embed=8, central_mixing_embed_dim=8
    ),
    run=macpo.Run(
        steps=3000,
        batch_size=16,
        batch_size_run=2,
        buffer_size=2000,
        target_update_interval=20,
        epsilon_anneal_time=2000,
        test_interval=300,
        test_nepisode=4,
        checkpoint_interval=300,
    ),
)


def train(directory: Path, experiment: macpo.Experiment = SMALL) -> macpo.RunResult:
    return macpo.train(experiment, directory, console=Console(quiet=True))


def resume(directory: Path, **options: int) -> macpo.RunResult:
    return macpo.resume(directory, console=Console(quiet=True), **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    directory = tmp_path_factory.mktemp("runs") / "whole"
    assert train(directory).finished
    return directory


def start(directory: Path, cache: Path) -> "subprocess.Popen[bytes]":
    """The same run in a process of its own."""
    directory.parent.mkdir(exist_ok=True)
    settings = directory.with_suffix(".json")
    settings.write_text(json.dumps(to_dict(SMALL)))
    command = [sys.executable, "-m", "macpo"]
    if (directory / "experiment.json").exists():
        command += ["resume", str(directory)]
    else:
        command += ["train", "--config", str(settings), "--out", str(directory)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    with directory.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def kill_when(process: "subprocess.Popen[bytes]", ready: Callable[[], bool]) -> bool:
    """Kill as soon as `ready`; False if the process ended before."""
    while process.poll() is None:
        if ready():
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
    return False


def rows(directory: Path) -> bytes:
    return (directory / "metrics.jsonl").read_bytes()


@pytest.mark.slow
def test_a_run_killed_at_any_moment_and_resumed_writes_the_same_metrics(
    whole: Path, tmp_path: Path
):
    directory, cache = tmp_path / "runs" / "killed", tmp_path / "cache"
    rng = np.random.default_rng(0)
    writing = lambda: any((directory / "checkpoints").glob(".*.tmp"))  # noqa: E731

    def newer_checkpoint(delay: float) -> Callable[[], bool]:
        seen = {p.name for p in directory.glob("checkpoints/*.json")}

        def ready() -> bool:
            if {p.name for p in directory.glob("checkpoints/*.json")} - seen:
                time.sleep(delay)
                return True
            return False

        return ready

    kills = [
        kill_when(start(directory, cache), newer_checkpoint(rng.uniform(0, 0.05))),
        kill_when(start(directory, cache), writing),  # while a checkpoint is being written
        kill_when(start(directory, cache), newer_checkpoint(rng.uniform(0, 0.05))),
        kill_when(start(directory, cache), writing),
    ]
    assert kills[0], directory.with_suffix(".log").read_text()
    assert sum(kills) >= 2, "the machine was too fast: the run ended before it could be killed"
    process = start(directory, cache)
    assert process.wait() == 0, directory.with_suffix(".log").read_text()
    assert rows(directory) == rows(whole)
    assert (directory / "model.safetensors").read_bytes() == (
        whole / "model.safetensors"
    ).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_the_next_chunk_with_a_checkpoint_and_a_message(
    number: signal.Signals, whole: Path, tmp_path: Path
):
    directory = tmp_path / "runs" / "stopped"
    process = start(directory, tmp_path / "cache")
    while process.poll() is None and not list(directory.glob("checkpoints/*.json")):
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait() == 128 + number
    log = directory.with_suffix(".log").read_text()
    assert f"stopped by {number.name}" in log
    assert "Continue with: macpo resume" in log.replace("\n", " ")
    resume(directory)
    assert rows(directory) == rows(whole)


def test_the_same_experiment_writes_the_same_bytes(whole: Path, tmp_path: Path):
    train(tmp_path / "again")
    assert rows(tmp_path / "again") == rows(whole)


def test_extending_a_finished_run_equals_having_planned_it_longer(tmp_path: Path):
    short = replace(SMALL, run=replace(SMALL.run, steps=900))
    train(tmp_path / "short", short)
    resume(tmp_path / "short", steps=1500)
    train(tmp_path / "long", replace(SMALL, run=replace(SMALL.run, steps=1500)))
    assert rows(tmp_path / "short") == rows(tmp_path / "long")


@pytest.mark.parametrize("damage", ["truncated", "one byte flipped", "manifest missing"])
def test_a_damaged_checkpoint_is_detected_and_the_previous_one_used(
    damage: str, whole: Path, tmp_path: Path
):
    directory = tmp_path / "run"
    train(directory, replace(SMALL, run=replace(SMALL.run, steps=1500)))
    newest = max((directory / "checkpoints").glob("*.safetensors"))
    data = bytearray(newest.read_bytes())
    if damage == "truncated":
        newest.write_bytes(data[: len(data) // 2])
    elif damage == "one byte flipped":
        data[len(data) // 2] ^= 1
        newest.write_bytes(data)
    else:
        newest.with_suffix(".json").unlink()
    console = Console(record=True, file=io.StringIO(), width=200)
    macpo.resume(directory, steps=SMALL.run.steps, console=console)
    assert ("skipped a damaged checkpoint" in console.export_text()) == (
        damage != "manifest missing"
    )
    assert rows(directory) == rows(whole)


def test_only_damaged_checkpoints_are_reported_as_such(tmp_path: Path):
    train(tmp_path / "run", replace(SMALL, run=replace(SMALL.run, steps=300)))
    for file in (tmp_path / "run" / "checkpoints").glob("*.safetensors"):
        file.write_bytes(b"nothing")
    with pytest.raises(macpo.UsageError, match=r"no usable checkpoint.*do not match the checksum"):
        resume(tmp_path / "run")


def test_a_run_directory_explains_itself(whole: Path):
    text = (whole / "README.md").read_text()
    for file in ("experiment.json", "metrics.jsonl", "model.safetensors", "checkpoints"):
        assert file in text and (whole / file).exists()
    assert macpo.load(whole).experiment == SMALL


def test_metrics_carry_env_steps_episodes_and_updates_in_every_row(whole: Path):
    lines = [json.loads(line) for line in rows(whole).splitlines()]
    assert {line["kind"] for line in lines} == {"train", "test"}
    for line in lines:
        assert {"seed", "env_steps", "episodes", "updates"} <= set(line)
    tests = [line["env_steps"] for line in lines if line["kind"] == "test"]
    assert [step // 300 for step in tests] == list(range(1, 11))


def test_two_seeds_write_what_each_writes_alone(whole: Path, tmp_path: Path):
    train(tmp_path / "two", replace(SMALL, run=replace(SMALL.run, seeds=2, steps=600)))
    lines = [json.loads(line) for line in rows(tmp_path / "two").splitlines()]
    alone = [json.loads(line) for line in rows(whole).splitlines()]
    first = [line for line in lines if line["seed"] == 0]
    assert first == alone[: len(first)]
    assert {line["seed"] for line in lines} == {0, 1}


def test_a_loaded_policy_acts_greedily_with_available_actions_only(whole: Path):
    env = SMALL.env.make()
    policy = macpo.load(whole)
    _, timestep = env.reset(jax.random.key(1))
    actions = policy.act(timestep.obs, timestep.avail_actions)
    assert actions.shape == (2,)
    assert np.asarray(timestep.avail_actions)[np.arange(2), actions].all()
    policy.reset()
    again = policy.act(timestep.obs, timestep.avail_actions)
    np.testing.assert_array_equal(actions, again)


def test_a_policy_refuses_arrays_of_another_shape(whole: Path):
    policy = macpo.load(whole)
    with pytest.raises(macpo.UsageError, match=r"obs must have shape \(2, 75\)"):
        policy.act(np.zeros((2, 7)))
    with pytest.raises(macpo.UsageError, match="at least one available action"):
        policy.act(np.zeros((2, 75)), np.zeros((2, 6)))


def test_evaluation_gives_a_row_for_each_trained_seed(whole: Path):
    (row,) = macpo.evaluate(whole, episodes=8)
    assert row["seed"] == 0 and row["episodes"] == 8
    assert 0 <= row["test_return_mean"] <= 10


# --- bad input ----------------------------------------------------------------------------------


def test_a_taken_directory_is_not_overwritten(whole: Path):
    before = rows(whole)
    with pytest.raises(macpo.UsageError, match="already holds a run; continue it with"):
        train(whole)
    assert rows(whole) == before


def test_a_foreign_directory_is_no_run(tmp_path: Path):
    with pytest.raises(macpo.UsageError, match="is no run directory"):
        resume(tmp_path)
    with pytest.raises(macpo.UsageError, match="is no run directory"):
        macpo.load(tmp_path / "missing")


def test_an_unreadable_experiment_file_is_named(tmp_path: Path):
    (tmp_path / "experiment.json").write_text("{")
    with pytest.raises(macpo.UsageError, match=r"cannot read an experiment from .*experiment.json"):
        resume(tmp_path)
    (tmp_path / "experiment.json").write_text("[]")
    with pytest.raises(macpo.UsageError, match="holds no experiment, but list"):
        resume(tmp_path)


def test_resuming_with_an_edited_experiment_is_refused(tmp_path: Path):
    train(tmp_path / "run", replace(SMALL, run=replace(SMALL.run, steps=300)))
    file = tmp_path / "run" / "experiment.json"
    data = json.loads(file.read_text())
    data["algorithm"]["gamma"] = 0.5
    file.write_text(json.dumps(data))
    with pytest.raises(macpo.UsageError, match=r"algorithm.gamma: 0.99 → 0.5"):
        resume(tmp_path / "run", steps=600)


def test_lost_metrics_are_noticed(tmp_path: Path):
    train(tmp_path / "run", replace(SMALL, run=replace(SMALL.run, steps=300)))
    (tmp_path / "run" / "metrics.jsonl").write_text("")
    with pytest.raises(macpo.UsageError, match="has lost rows"):
        resume(tmp_path / "run", steps=600)


def test_a_plan_that_does_not_fit_into_memory_is_refused_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("macpo.run.available_bytes", lambda: 10_000)
    with pytest.raises(macpo.UsageError, match=r"lower --buffer-size \(now 2,000 episodes"):
        train(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_full_disk_loses_nothing(tmp_path: Path):
    directory = tmp_path / "checkpoints"
    checkpoint.save(directory, 1, {"x": np.arange(3)}, {"n": 1})
    (directory / f".000000000002.safetensors.{os.getpid()}.tmp").mkdir()  # cannot be written
    with pytest.raises(macpo.UsageError, match="Nothing that was saved before is lost"):
        checkpoint.save(directory, 2, {"x": np.arange(3)}, {"n": 2})
    found = checkpoint.load_latest(directory, {"x": np.zeros(3, np.int64)})
    assert found.info == {"n": 1}


def test_a_checkpoint_of_other_shapes_is_refused(tmp_path: Path):
    checkpoint.save(tmp_path, 1, {"x": np.arange(3)}, {})
    with pytest.raises(macpo.UsageError, match="another configuration: x is int64"):
        checkpoint.load_latest(tmp_path, {"x": np.zeros(4, np.int64)})


def test_old_checkpoints_are_removed_but_two(tmp_path: Path):
    for number in range(5):
        checkpoint.save(tmp_path, number, {"x": np.arange(3)}, {})
    assert sorted(p.name for p in tmp_path.glob("*.safetensors")) == [
        "000000000003.safetensors",
        "000000000004.safetensors",
    ]
