"""Workers: faults that only the user can mend, and that nothing is left of any of them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from macpo.errors import UsageError
from macpo.training.host import pool as pool_module
from macpo.training.host.pool import EpisodeLost, Pool, TimeStepReady, Worker, Workers
from tests.support.paths import ROOT
from tests.support.sums import Config
from tests.training.host.conftest import alive
from tests.training.host.test_player import SPEC, pool_of


def wait_for(what: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not what() and time.monotonic() < deadline:
        time.sleep(0.02)
    return what()


def in_the_second_step(pool: Pool) -> Worker:
    """The only worker of a pool, asked for the step in which games fail."""
    while not pool.idle():
        pool.wait()
    (worker,) = pool.workers
    pool.reset(worker, 1)
    for _ in range(2):
        pool.wait()
        pool.step(worker, worker.slot.avail_actions.argmax(-1))
    return worker


def play_blindly(pool: Pool, steps: int = 3) -> None:
    """Every worker plays the first available actions for as long."""
    while len(pool.idle()) < len(pool.workers):
        pool.wait()
    for worker in pool.workers:
        pool.reset(worker, seed=1)
    for _ in range(steps * len(pool.workers)):
        for worker, event in pool.wait():
            if event == TimeStepReady(None):
                pool.step(worker, worker.slot.avail_actions.argmax(-1))


def complaint(config: Config, **workers: Any) -> str:
    with pytest.raises(UsageError) as caught, pool_of(config, **{"count": 1, **workers}) as pool:
        play_blindly(pool)
    return str(caught.value)


# --- what stops a run -----------------------------------------------------------------------------


def test_an_exception_is_told_with_its_last_lines():
    text = complaint(Config("raises"))
    assert text.startswith("the environment raised ZeroDivisionError: a bug of the user's\n")
    assert 'raise ZeroDivisionError("a bug of the user\'s")' in text
    assert "sums.py" in text


def test_a_time_step_of_another_shape_is_told():
    assert complaint(Config("shape")) == "sums shows obs of shape (2, 7), but its spec says (2, 3)."


def test_a_worker_whose_environment_is_another_one_is_told(tmp_path: Path):
    text = complaint(Config("spec", once=str(tmp_path / "once")))
    assert "episode_limit: 6 for 5" in text and "make() must give the same" in text


def test_an_environment_that_a_worker_cannot_import_is_told():
    with (
        pytest.raises(UsageError, match="cannot import the environment 'nowhere:Config'"),
        Pool({"name": "nowhere:Config"}, SPEC, 1) as pool,
    ):
        pool.wait()


def test_an_environment_of_the_running_script_is_refused_before_a_worker_starts():
    with pytest.raises(UsageError, match=r"^__main__:make is defined in the script .* a module of"):
        Pool({"name": "__main__:make"}, SPEC, 1)


def test_a_worker_that_always_fails_stops_the_run_with_the_last_error(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(pool_module, "BACK_OFF", 0.01)
    monkeypatch.setattr(pool_module, "MAX_FAILURES", 3)
    n_lost = 0
    with pytest.raises(UsageError) as caught, pool_of(Config("dies"), count=1) as pool:
        while True:
            for worker in pool.idle():
                pool.reset(worker, 1)
            for worker, event in pool.wait():
                n_lost += isinstance(event, EpisodeLost)
                if isinstance(event, TimeStepReady):
                    pool.step(worker, worker.slot.avail_actions.argmax(-1))
    assert n_lost == 2  # the third stops it
    assert "failed 3 times in a row, at last: it ended unexpectedly" in str(caught.value)
    assert str(caught.value).endswith(
        "It printed:\nthe game crashed\nthe game crashed\nthe game crashed"
    )


def test_a_worker_that_has_answered_is_not_lost_while_this_process_thinks():
    with pool_of(count=1, timeout=10.0) as pool:
        while not pool.idle():
            pool.wait()
        (worker,) = pool.workers
        pool.reset(worker, 1)
        assert wait_for(lambda: worker.seat.link is not None and worker.seat.link.poll())
        worker.deadline = time.monotonic()  # as if the time were up by now
        assert pool.wait() == [(worker, TimeStepReady(None))]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("count", 0, "workers: count must be at least 1, not 0."),
        ("timeout", 0.0, "workers: timeout must be above 0 and at most 1,000,000, not 0.0."),
    ],
)
def test_options_out_of_bounds_are_refused(option: str, value: float, message: str):
    with pytest.raises(UsageError, match=f"^{message}$"):
        Workers(**{option: value})


# --- nothing is left ------------------------------------------------------------------------------


def test_environments_are_closed_at_the_end(tmp_path: Path):
    with pool_of(Config(once=str(tmp_path / "game")), count=1) as pool:
        play_blindly(pool, steps=2)
    assert (tmp_path / "game.closed").exists()


def test_a_worker_in_the_middle_of_nowhere_is_killed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pool_module, "GRACE", 0.1)
    with pool_of(Config("hangs"), count=1) as pool:
        (worker,) = pool.workers
        assert worker.seat.process is not None
        pid = worker.seat.process.pid
        in_the_second_step(pool)
    assert not alive(pid)


def test_what_a_killed_worker_had_started_ends_with_it(tmp_path: Path):
    once = tmp_path / "once"
    with pool_of(Config("orphans", once=str(once)), count=1) as pool:
        worker = in_the_second_step(pool)
        assert pool.wait() == [(worker, EpisodeLost())]
        child = int(once.read_text())
        assert wait_for(lambda: not alive(child))


def test_workers_end_when_the_main_process_is_killed():
    """Even in the middle of a step that never ends, and when one has been stopped (SIGSTOP)."""
    code = """
from tests.support.sums import Config
from tests.training.host.test_player import pool_of
with pool_of(Config("hangs"), count=2) as pool:
    print(*[worker.seat.process.pid for worker in pool.workers], flush=True)
    while True:
        for worker in pool.idle():
            pool.reset(worker, 1)
        for worker, _ in pool.wait():
            pool.step(worker, worker.slot.avail_actions.argmax(-1))
            print("stepping", flush=True)
"""
    main = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert main.stdout is not None
    with main.stdout:
        pids = [int(pid) for pid in main.stdout.readline().split()]
        for _ in range(4):
            assert main.stdout.readline() == "stepping\n"
        time.sleep(0.5)
        assert all(map(alive, pids)) and len(pids) == 2
        os.kill(pids[0], signal.SIGSTOP)
        main.send_signal(signal.SIGKILL)
        main.wait()
    assert wait_for(lambda: not any(map(alive, pids)))


def test_a_worker_starts_without_an_accelerator_and_with_what_old_games_need():
    with pool_of(count=1) as pool:
        (worker,) = pool.workers
        assert worker.seat.process is not None
        surroundings = Path(f"/proc/{worker.seat.process.pid}/environ")
        assert wait_for(lambda: b"JAX_PLATFORMS=cpu" in surroundings.read_bytes())
        assert b"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python" in surroundings.read_bytes()
        assert os.getsid(worker.seat.process.pid) == worker.seat.process.pid


def test_a_worker_never_initialises_jax():
    """Importing it is enough for what the package defines."""
    code = (
        "import macpo.training.host.worker, jax; "
        "print(jax._src.xla_bridge.backends_are_initialized())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
