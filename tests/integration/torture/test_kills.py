"""A run that is killed at any moment goes on to the same end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from macpo.errors import UsageError
from macpo.experiment import to_dict
from tests.integration.torture.conftest import Undisturbed
from tests.support.torture import game, snapshots
from tests.support.torture.size import SEED, cases, fail_if, rng_of

pytestmark = pytest.mark.slow
SETTINGS = "settings.json"


def finish(directory: Path) -> None:
    """Resume a run to its end; train again if its settings had not been written yet."""
    if (directory / "experiment.json").exists():
        assert game.go_on(directory).finished
    else:
        assert game.begin(directory).finished


def litter(directory: Path) -> str:
    """What is no part of a finished run, in words, or nothing."""
    found = [str(path.relative_to(directory)) for path in sorted(directory.rglob("*.tmp"))]
    return f"litter: {', '.join(found)}" if found else ""


def write_settings(folder: Path) -> None:
    """The experiment as a file, for `macpo train --config`."""
    (folder / SETTINGS).write_text(json.dumps(to_dict(game.SMALLEST)))


# --- by copies of the directory -------------------------------------------------------------------


def check_end(state: snapshots.State, whole: Undisturbed, directory: Path) -> None:
    """What a kill has left ends like a run that nothing happened to."""
    snapshots.write(directory, state.files)
    try:
        finish(directory)
    except UsageError as error:
        fail_if(f"a lost run: {error}", state.name)
    except Exception as error:
        fail_if(f"a traceback: {type(error).__name__}: {error}", state.name)
    fail_if(whole.difference(directory) or litter(directory), state.name)


@cases(24, 150)
def test_a_run_killed_between_any_two_operations_ends_with_the_same_metrics(
    case: int, whole: Undisturbed, tmp_path: Path
):
    states = snapshots.states(whole.moments, np.random.default_rng(SEED))
    order = np.random.default_rng(SEED).permutation(len(states))
    check_end(states[order[case % len(states)]], whole, tmp_path / "run")


@cases(4, 50)
def test_a_resumed_run_that_is_killed_again_ends_with_the_same_metrics(
    case: int, whole: Undisturbed, tmp_path: Path
):
    rng, again = rng_of(case), tmp_path / "again"
    states = snapshots.states(whole.moments, rng)
    first = states[rng.integers(len(states))]
    snapshots.write(again, first.files)
    with snapshots.recorded(again) as moments:
        finish(again)
    second = snapshots.states(moments, rng)
    name, files = second[rng.integers(len(second))]
    check_end(snapshots.State(f"{first.name}; then {name}", files), whole, tmp_path / "run")


# --- in processes of their own --------------------------------------------------------------------


def start(folder: Path) -> "subprocess.Popen[bytes]":
    """Train, or go on with the run in `folder`."""
    command = [sys.executable, "-m", "macpo"]
    if (folder / "run" / "experiment.json").exists():
        command += ["resume", "run"]
    else:
        command += ["train", "--config", SETTINGS, "--out", "run"]
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "2"}  # as here: tests/conftest.py
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


def kill_after(process: "subprocess.Popen[bytes]", directory: Path, changes: int) -> bool:
    """Kill once a directory was seen to change so often; False if the process ended before."""
    seen = fingerprint(directory)
    while process.poll() is None:
        now = fingerprint(directory)
        changes -= now != seen
        if not changes:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
        seen = now
        time.sleep(0.0005)
    return False


def fingerprint(directory: Path) -> list[tuple[str, int]]:
    """Names and sizes of all files."""
    found = list[tuple[str, int]]()
    for folder in (directory, directory / "checkpoints"):
        try:
            with os.scandir(folder) as entries:
                found += [(entry.name, entry.stat().st_size) for entry in entries]
        except FileNotFoundError:  # not there yet, or just renamed
            continue
    return sorted(found)


@cases(1, 20)
def test_a_process_killed_again_and_again_ends_with_the_same_metrics(
    case: int, whole: Undisturbed, tmp_path: Path
):
    rng = rng_of(case)
    write_settings(tmp_path)
    kills = 0
    for _ in range(1 if case == 0 else 5):
        kills += kill_after(start(tmp_path), tmp_path / "run", int(rng.integers(1, 40)))
    process = start(tmp_path)
    status, log = process.wait(), (tmp_path / "log").read_text()
    assert status == 0, f"after {kills} kills: {log}"
    assert "Traceback" not in log, log
    problem = whole.difference(tmp_path / "run") or litter(tmp_path / "run")
    assert not problem, f"after {kills} kills: {log}"
