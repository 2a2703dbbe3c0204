"""Workers as actors of a Ray cluster: the same episodes, the same rules, nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import macpo
from macpo.errors import UsageError
from macpo.training.host import pool as pool_module
from macpo.training.host.player import HostPlayer
from macpo.training.host.pool import EpisodeLost, Pool, Worker, Workers
from tests.support.paths import ROOT
from tests.support.ray_cluster import patiently
from tests.support.sums import Config
from tests.training.host.conftest import alive
from tests.training.host.test_player import (
    EPSILON,
    KEY,
    SPEC,
    N,
    assert_same,
    params,
    pool_of,
    trainer,
)
from tests.training.host.test_pool import in_the_second_step, play_blindly, wait_for
from tests.training.host.test_runs import SMALL, text

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # of Ray


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[str]:
    """The address of a cluster of one machine, which this process has joined."""
    ray = pytest.importorskip("ray")
    local = {"num_cpus": 2, "include_dashboard": False, "log_to_driver": False}
    patiently(lambda: ray.init("local", **local))
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


@pytest.fixture(autouse=True)
def nothing_left() -> None:
    """In place of the check of this process's own files and children: those here are Ray's."""


def pool_on_ray(config: Config | None = None, **workers: Any) -> Pool:
    return pool_of(config, engine="ray", **workers)


def train(directory: Path, config: Config, workers: Workers) -> macpo.RunResult:
    experiment = replace(SMALL, env=config)
    return macpo.train(experiment, directory, console=Console(quiet=True), workers=workers)


def process_of(worker: Worker) -> int:
    """The number of its actor's process, even if that waits for a game."""
    import ray

    seat: Any = worker.seat
    call = seat.actor.__ray_call__.options(concurrency_group="printed")
    return ray.get(call.remote(lambda _: os.getpid()))


def test_actors_play_the_episodes_of_local_workers():
    with pool_of() as local, pool_on_ray() as pool:
        played, expected = (
            HostPlayer(trainer(), one).collect(params(), KEY, N, EPSILON) for one in (pool, local)
        )
    assert_same(played, expected)


def test_a_run_writes_the_bytes_of_a_local_one_and_closes_its_environments(tmp_path: Path):
    config = Config(once=str(tmp_path / "game"))
    assert train(tmp_path / "ray", config, Workers(count=2, engine="ray")).finished
    assert (tmp_path / "game.closed").exists()
    train(tmp_path / "local", config, Workers(count=2))
    assert text(tmp_path / "ray") == text(tmp_path / "local")


def test_a_run_goes_on_when_an_actor_is_killed_and_counts_its_episode_as_a_local_one_does(
    tmp_path: Path,
):
    once = tmp_path / "once"
    train(tmp_path / "ray", Config("orphaned", str(once)), Workers(count=1, engine="ray"))
    train(tmp_path / "local", Config("dies", str(tmp_path / "local-once")), Workers(count=1))
    assert '"episodes_lost": 1' in text(tmp_path / "ray")
    assert text(tmp_path / "ray") == text(tmp_path / "local")
    assert not alive(int(once.read_text()))  # the game of the killed actor


def test_an_actor_whose_game_hangs_is_replaced():
    with pool_on_ray(Config("hangs"), count=1) as pool:
        worker = in_the_second_step(pool)
        pid = process_of(worker)
        worker.deadline = time.monotonic()  # as if the time were up by now
        assert pool.wait() == [(worker, EpisodeLost())]
        assert wait_for(lambda: not alive(pid))
        while not pool.idle():
            pool.wait()
        assert process_of(worker) != pid


def test_a_game_that_always_fails_stops_the_run_with_what_it_printed(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(pool_module, "BACK_OFF", 0.01)
    monkeypatch.setattr(pool_module, "MAX_FAILURES", 2)
    with pytest.raises(UsageError) as caught, pool_on_ray(Config("dies"), count=1) as pool:
        while True:
            in_the_second_step(pool)
            pool.wait()
    assert "failed 2 times in a row, at last: it ended unexpectedly; see" in str(caught.value)
    assert str(caught.value).endswith("It printed:\nthe game crashed\nthe game crashed")


def test_a_fault_of_the_environment_is_told_as_by_a_local_worker():
    with pytest.raises(UsageError) as caught, pool_on_ray(Config("raises"), count=1) as pool:
        play_blindly(pool)
    assert str(caught.value).startswith("the environment raised ZeroDivisionError: a bug of the us")


def test_more_workers_than_the_cluster_has_room_for_are_refused():
    part, workers = {"name": "tests.support.sums:Config"}, Workers(count=9, engine="ray")
    with (
        pytest.raises(UsageError, match=r"^the Ray cluster has 2 cores, and so room for 8 workers"),
        Pool(part, SPEC, 9, workers),
    ):
        pass


def test_actors_and_games_end_when_the_main_process_is_killed(cluster: str):
    code = """
from tests.support.sums import Config
from tests.training.host.engines.test_ray import pool_on_ray, process_of
import json, subprocess
with pool_on_ray(Config(seconds=0.01), count=2) as pool:
    while len(pool.idle()) < 2:
        pool.wait()
    actors = [process_of(worker) for worker in pool.workers]
    games = [int(open(f"/proc/{pid}/task/{pid}/children").read()) for pid in actors]
    print(*actors, *games, flush=True)
    while True:
        for worker in pool.idle():
            pool.reset(worker, 1)
        for worker, _ in pool.wait():
            pool.step(worker, worker.slot.avail_actions.argmax(-1))
"""
    main = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "RAY_ADDRESS": cluster},
    )
    assert main.stdout is not None
    with main.stdout:
        pids = [int(pid) for pid in main.stdout.readline().split()]
    assert len(pids) == 4 and all(map(alive, pids))
    main.send_signal(signal.SIGKILL)
    main.wait()
    assert wait_for(lambda: not any(map(alive, pids)))
