"""Runs on an environment that is not JAX, as a user sees them."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import macpo
from macpo.algorithms.vdn import Config as Vdn
from macpo.cli import main
from macpo.experiment import to_dict
from macpo.runs.film import play
from macpo.training.host.pool import Workers
from tests.support.paths import ROOT
from tests.support.sums import Config
from tests.training.host.conftest import alive, children

SMALL = macpo.Experiment(
    env=Config(),
    algorithm=Vdn(rnn_hidden_dim=8),
    run=macpo.Run(
        steps=150,
        batch_size=6,
        batch_size_run=4,
        buffer_size=40,
        target_update_interval=12,
        epsilon_anneal_time=100,
        test_interval=50,
        test_nepisode=5,
        checkpoint_interval=100,
    ),
)
ONE, TWO = Workers(count=1), Workers(count=2)


def with_run(**changes: Any) -> macpo.Experiment:
    return replace(SMALL, run=replace(SMALL.run, **changes))


def train(
    directory: Path, experiment: macpo.Experiment = SMALL, workers: Workers = ONE
) -> macpo.RunResult:
    return macpo.train(experiment, directory, console=Console(quiet=True), workers=workers)


def resume(directory: Path, **options: Any) -> macpo.RunResult:
    options = {"console": Console(quiet=True), "workers": ONE, "trust": True, **options}
    return macpo.resume(directory, **options)


def text(directory: Path) -> str:
    return (directory / "metrics.jsonl").read_text()


def rows(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text(directory).splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of two workers."""
    directory = tmp_path_factory.mktemp("runs") / "whole"
    assert train(directory, workers=TWO).finished
    return directory


def test_a_run_plays_learns_and_is_evaluated(whole: Path):
    training = [row for row in rows(whole) if row["kind"] == "train"]
    testing = [row for row in rows(whole) if row["kind"] == "test"]
    assert training[-1]["env_steps"] >= 150 and training[-1]["updates"] > 5
    assert [row["env_steps"] // 50 for row in testing] == [1, 2, 3]
    assert all(np.isfinite(row["loss"]) for row in training if row["updates"])


def test_outcomes_and_lost_episodes_are_in_the_records(whole: Path):
    for row in rows(whole):
        prefix = "" if row["kind"] == "train" else "test_"
        assert 0 <= row[f"{prefix}won_mean"] <= 1 and row[f"{prefix}total_mean"] > 0
        assert row[f"{prefix}episodes_lost"] == 0


def test_a_run_extended_with_any_number_of_workers_equals_one_planned_longer(
    whole: Path, tmp_path: Path
):
    train(tmp_path / "short", with_run(steps=50))
    resume(tmp_path / "short", steps=SMALL.run.steps, workers=Workers(count=3))
    assert text(tmp_path / "short") == text(whole)
    assert (tmp_path / "short" / "model.safetensors").read_bytes() == (
        whole / "model.safetensors"
    ).read_bytes()


@pytest.mark.usefixtures("compiled_as_for_users")
def test_each_of_two_seeds_writes_what_it_writes_alone(tmp_path: Path):
    train(tmp_path / "two", with_run(seeds=2, steps=100))
    train(tmp_path / "alone", with_run(steps=100))
    both, alone = rows(tmp_path / "two"), rows(tmp_path / "alone")
    first = [row for row in both if row["seed"] == 0]
    assert first == alone
    second = [row for row in both if row["seed"] == 1]
    assert second[-1]["env_steps"] >= 100
    assert second[0]["return_mean"] != first[0]["return_mean"]


def test_a_lost_episode_is_counted_and_the_run_goes_on(tmp_path: Path):
    env = Config("lost", once=str(tmp_path / "once"))
    train(tmp_path / "run", replace(with_run(steps=50), env=env), TWO)
    lost = [row["episodes_lost"] for row in rows(tmp_path / "run") if row["kind"] == "train"]
    assert sum(lost) == lost[0] == 1


def test_a_bug_in_the_environment_stops_the_run_saved(whole: Path, tmp_path: Path):
    env, before = Config("raises", once=str(tmp_path / "once")), children()
    with pytest.raises(macpo.UsageError) as caught:
        train(tmp_path / "run", replace(SMALL, env=env))
    assert str(caught.value).startswith("the environment raised ZeroDivisionError: a bug")
    assert str(caught.value).endswith(f"go on with: macpo resume {tmp_path / 'run'} --trust")
    assert children() == before
    resume(tmp_path / "run")  # it happens once
    assert text(tmp_path / "run") == text(whole)


def test_a_trained_run_is_evaluated_on_fresh_episodes(whole: Path):
    (row,) = macpo.evaluate(whole, episodes=3, workers=ONE, trust=True)
    assert row["episodes"] == 3 and row["test_total_mean"] > 0
    # with a worker for each, and as a value-based algorithm draws nothing else
    assert macpo.evaluate(whole, episodes=3, epsilon=0.0, trust=True) == [row]


def test_evaluation_with_an_epsilon_explores(whole: Path):
    greedy, much = (
        macpo.evaluate(whole, episodes=3, epsilon=e, workers=ONE, trust=True) for e in (0.0, 1.0)
    )
    assert much[0]["test_return_mean"] != greedy[0]["test_return_mean"]
    with pytest.raises(macpo.UsageError, match="epsilon must be between 0 and 1"):
        macpo.evaluate(whole, episodes=3, epsilon=2.0, trust=True)


def test_a_loaded_policy_plays_an_episode(whole: Path):
    policy = macpo.load(whole, trust=True)
    states, actions, rewards, _ = play(policy)
    assert len(states) == len(actions) + 1 == len(rewards) + 1
    policy.reset()
    for state, action in zip(states, actions, strict=False):
        np.testing.assert_array_equal(policy.act(state.obs, state.avail_actions), action)


def test_rendering_shows_numbers_where_nobody_draws(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit, match="0"):
        main(["render", str(whole), "--trust", "--out", str(tmp_path / "a.gif")])
    assert (tmp_path / "a.gif").read_bytes().startswith(b"GIF")
    assert "sums has no picture" in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_no_process_and_continues(
    number: signal.Signals, whole: Path, tmp_path: Path
):
    experiment = replace(SMALL, env=Config(seconds=0.05))
    directory, settings = tmp_path / "run", tmp_path / "settings.json"
    settings.write_text(json.dumps(to_dict(experiment)))
    command = [sys.executable, "-m", "macpo", "train", "--trust", "--config", str(settings)]
    with (tmp_path / "log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--out", str(directory), "--workers.count", "2"],
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    while process.poll() is None and not list(directory.glob("checkpoints/*.safetensors")):
        time.sleep(0.01)
    workers = [pid for pid in children(process.pid) if alive(pid)]
    assert len(workers) == 2
    process.send_signal(number)
    expected = -number if number == signal.SIGKILL else 128 + number
    assert process.wait() == expected, (tmp_path / "log").read_text()
    deadline = time.monotonic() + 20
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(alive, workers))
    resume(directory)
    assert text(directory) == text(whole)
