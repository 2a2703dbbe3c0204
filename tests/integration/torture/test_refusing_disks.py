"""A disk that is full, or refuses, stops a run in a sentence; later it goes on to the same end."""

import errno
import os
import resource
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest

from macpo.errors import UsageError
from tests.integration.torture.conftest import Undisturbed
from tests.integration.torture.test_kills import SETTINGS, finish, litter, write_settings
from tests.support.torture import game
from tests.support.torture.size import LONG, cases, fail_if, rng_of
from tests.support.torture.snapshots import Operation, watched

pytestmark = pytest.mark.slow
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EMFILE)


class Stop(NamedTuple):
    """Why a run stopped before its end."""

    said: str
    fault: str
    """What should have been a sentence."""


def stopped(directory: Path) -> Stop | None:
    """Train; None if it does not stop."""
    try:
        game.begin(directory)
    except UsageError as error:
        return Stop(str(error), "")
    except Exception as error:
        return Stop(str(error), f"a traceback: {type(error).__name__}: {error}")
    return None


@cases(10, 120)
def test_a_run_whose_disk_refuses_an_operation_ends_with_the_same_metrics(
    case: int, whole: Undisturbed, tmp_path: Path
):
    rng, directory = rng_of(case), tmp_path / "run"
    first, number = int(rng.integers(len(whole.moments))), int(rng.choice(ERRORS))
    for_good = bool(rng.integers(2))
    refused = list[Operation]()

    def refuse(operation: Operation) -> None:
        nonlocal first
        first -= operation.writes
        if operation.writes and first < 0 and (for_good or not refused):
            refused.append(operation)
            raise OSError(number, os.strerror(number))

    with watched(directory, refuse):
        stop = stopped(directory)
    what = f"{os.strerror(number)} at {refused[:1]}{' and after' if for_good else ''}"
    fail_if(stop.fault if stop else whole.difference(directory), what)
    finish(directory)
    fail_if(whole.difference(directory) or litter(directory), what)


@cases(3, 60)
def test_a_run_whose_disk_ends_in_the_middle_of_a_file_ends_with_the_same_metrics(
    case: int, whole: Undisturbed, tmp_path: Path
):
    rng, directory = rng_of(case), tmp_path / "run"
    largest = max(path.stat().st_size for path in whole.directory.rglob("*") if path.is_file())
    size, before = int(rng.integers(largest)), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        stop = stopped(directory)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    what = f"no file may exceed {size} bytes"
    fail_if(stop.fault if stop else whole.difference(directory), what)
    finish(directory)
    fail_if(whole.difference(directory) or litter(directory), what)


def test_a_file_system_that_does_not_synchronise_folders_is_good_enough(
    whole: Undisturbed, tmp_path: Path
):
    fsync = os.fsync

    def refuse_folders(file: Any) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(file)

    with mock.patch.object(os, "fsync", refuse_folders):
        assert not stopped(tmp_path / "run")
    assert not whole.difference(tmp_path / "run")


MOUNT = ["unshare", "--user", "--map-root-user", "--mount"]


@pytest.mark.skipif(not LONG, reason="two processes a case: `make torture` has it")
@cases(1, 10)
def test_a_run_on_a_small_disk_stops_in_a_sentence_and_goes_on_when_there_is_space(
    case: int, whole: Undisturbed, tmp_path: Path
):
    if shutil.which("unshare") is None or subprocess.run([*MOUNT, "true"]).returncode:
        pytest.skip("a small disk needs Linux and its user namespaces")
    rng = rng_of(case)
    kilobytes = int(rng.integers(4, 160)) // 4 * 4
    write_settings(tmp_path)
    script = f"""
        mount -t tmpfs -o size={kilobytes}k none disk || exit 3
        {sys.executable} -m macpo train --config {SETTINGS} --out disk/run; echo status $?
        mount -o remount,size=10M disk
        again="resume disk/run"
        test -e disk/run/experiment.json || again="train --config {SETTINGS} --out disk/run"
        {sys.executable} -m macpo $again; echo status $?
        cp -r disk/run run
    """
    (tmp_path / "disk").mkdir()
    ended = subprocess.run(
        [*MOUNT, "sh", "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    if ended.returncode == 3:
        pytest.skip("no file system may be mounted here")
    said = f"{kilobytes} kB: {ended.stdout}\n{ended.stderr}"
    assert "Traceback" not in said, said
    first, second = [line for line in ended.stdout.splitlines() if line.startswith("status ")]
    assert first in ("status 2", "status 0") and second == "status 0", said
    assert not whole.difference(tmp_path / "run"), said
