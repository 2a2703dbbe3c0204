"""Runs that are killed or asked to stop."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from macpo.experiment import to_dict
from macpo.runs.interrupts import noted_signals
from tests.runs.conftest import SMALL, resume, rows

# --- in this process ------------------------------------------------------------------------------


def test_signals_are_noted_instead_of_acted_on():
    with noted_signals() as received:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert received == [signal.SIGTERM, signal.SIGINT]


@pytest.mark.usefixtures("python_handles_sigint")
def test_a_second_signal_of_the_same_kind_acts_as_usual():
    with noted_signals() as received:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert received == [signal.SIGINT]


def test_afterwards_signals_act_as_before_even_after_an_error():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(ZeroDivisionError), noted_signals():
        assert signal.getsignal(signal.SIGTERM) != before[1]
        raise ZeroDivisionError
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_outside_of_the_main_thread_signals_are_left_to_others():
    before, seen = signal.getsignal(signal.SIGTERM), list[Any]()

    def work() -> None:
        with noted_signals() as received:
            seen.extend([received, signal.getsignal(signal.SIGTERM)])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [[], before]


# --- in processes of their own --------------------------------------------------------------------


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
        time.sleep(0.0005)  # short, for so is the time in which a checkpoint is written
    return False


@pytest.mark.slow
def test_a_run_killed_at_any_moment_and_resumed_writes_the_same_metrics(
    whole: Path, tmp_path: Path
):
    directory, cache = tmp_path / "runs" / "killed", tmp_path / "cache"
    rng = np.random.default_rng(0)
    writing = lambda: any((directory / "checkpoints").glob(".*.tmp"))  # noqa: E731

    def newer_checkpoint(delay: float) -> Callable[[], bool]:
        seen = {p.name for p in directory.glob("checkpoints/*.safetensors")}

        def ready() -> bool:
            if {p.name for p in directory.glob("checkpoints/*.safetensors")} - seen:
                time.sleep(delay)
                return True
            return False

        return ready

    kills = [
        kill_when(start(directory, cache), newer_checkpoint(rng.uniform(0, 0.05))),
        kill_when(start(directory, cache), writing),  # while a checkpoint is being written
    ]
    assert kills[0], directory.with_suffix(".log").read_text()
    assert kills[1], "the machine was too fast: the run ended before it could be killed"
    resume(directory)
    assert rows(directory) == rows(whole)
    assert (directory / "model.safetensors").read_bytes() == (
        whole / "model.safetensors"
    ).read_bytes()


@pytest.mark.slow
def test_a_signal_stops_at_the_next_chunk_with_a_checkpoint_and_a_message(
    whole: Path, tmp_path: Path
):
    directory = tmp_path / "runs" / "stopped"
    process = start(directory, tmp_path / "cache")
    while process.poll() is None and not list(directory.glob("checkpoints/*.safetensors")):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    log = directory.with_suffix(".log").read_text()
    assert "stopped by SIGTERM" in log
    assert "Continue with: macpo resume" in log.replace("\n", " ")
    resume(directory)
    assert rows(directory) == rows(whole)
