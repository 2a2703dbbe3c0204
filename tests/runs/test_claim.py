"""Claims on a directory: one holder at a time, and none that is dead."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from macpo.errors import UsageError
from macpo.runs.claim import claimed, is_claimed

HOLD = """
import pathlib, sys, time
from macpo.runs.claim import claimed
with claimed(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_directory_has_one_holder_at_a_time(tmp_path: Path):
    refusal = f"another process is training in {tmp_path}; wait until it has ended"
    with claimed(tmp_path), pytest.raises(UsageError, match=refusal), claimed(tmp_path):
        pytest.fail("held twice")
    with claimed(tmp_path):
        pass


def test_a_claim_ends_with_an_error(tmp_path: Path):
    with pytest.raises(ZeroDivisionError), claimed(tmp_path):
        raise ZeroDivisionError
    with claimed(tmp_path):
        pass


def test_a_claim_ends_with_a_process_that_is_killed(tmp_path: Path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match="another process is training"), claimed(tmp_path):
            pytest.fail("held twice")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with claimed(tmp_path):
        pass


def test_what_a_process_starts_does_not_hold_its_claim(tmp_path: Path):
    with claimed(tmp_path):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        with claimed(tmp_path):
            pass
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP])
def test_file_systems_without_locks_are_used_without(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with claimed(tmp_path):
        pass


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path):
    with pytest.raises(UsageError, match=r"cannot write .*missing"), claimed(tmp_path / "missing"):
        pytest.fail("held nothing")


def test_a_claim_is_seen_while_it_is_held(tmp_path: Path):
    assert not is_claimed(tmp_path / "missing") and not is_claimed(tmp_path)
    with claimed(tmp_path):
        assert is_claimed(tmp_path)
    assert not is_claimed(tmp_path)


def test_where_the_system_has_no_such_locks_whoever_trains_takes_care_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows
    with claimed(tmp_path), claimed(tmp_path):
        assert not is_claimed(tmp_path)
