"""The game's process and its terrain, as far as they can be tested without pysc2."""

import io
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from macpo.envs.smac import game

from .conftest import alive


def raw(grid: bytes, bits_per_pixel: int) -> Any:
    """A map of 8 × 2 cells, the inner 6 × 1 of them playable."""
    corners = SimpleNamespace(x=1, y=1), SimpleNamespace(x=7, y=2)
    return SimpleNamespace(
        map_size=SimpleNamespace(x=8, y=2),
        playable_area=SimpleNamespace(p0=corners[0], p1=corners[1]),
        pathing_grid=SimpleNamespace(data=grid, bits_per_pixel=bits_per_pixel),
    )


# --- terrain --------------------------------------------------------------------------------------


def test_a_grid_of_bits_begins_with_its_lowest_row_and_the_most_significant_bit() -> None:
    terrain = game._terrain(raw(bytes([0b10000001, 0b01000000]), 1))
    assert (terrain.size, terrain.playable) == ((8, 2), (6, 1))
    assert np.argwhere(terrain.walkable).tolist() == [[0, 0], [1, 1], [7, 0]]


def test_an_older_grid_of_bytes_begins_with_its_highest_row_and_0_is_walkable() -> None:
    top, bottom = [255] * 8, [255] * 8
    top[1] = bottom[0] = 0
    terrain = game._terrain(raw(bytes(top + bottom), 8))
    assert np.argwhere(terrain.walkable).tolist() == [[0, 0], [1, 1]]


# --- the process ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        (b"", ""),
        (b"\n \n", ""),
        (b"starting\ne_fileCorruptRepairable\n\n", " (its last output: e_fileCorruptRepairable)"),
        (b"\xff" + b"x" * 300, f" (its last output: \ufffd{'x' * 199})"),
    ],
)
def test_the_last_line_that_a_game_printed_is_quoted(printed: bytes, said: str) -> None:
    assert game._last_output(io.BytesIO(printed)) == said


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_a_process_ends_with_the_one_that_started_it_even_if_that_is_killed(
    tmp_path: Path,
) -> None:
    code = f"""
import subprocess, sys, time
from macpo.envs.smac.game import _die_with_parent
child = subprocess.Popen([*_die_with_parent(), sys.executable, "-c",
    "import pathlib, time; pathlib.Path({str(tmp_path / "runs")!r}).touch(); time.sleep(100)"])
print(child.pid, flush=True)
time.sleep(100)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert soon((tmp_path / "runs").exists) and alive(child)
        parent.send_signal(signal.SIGKILL)
    assert soon(lambda: not alive(child))


def soon(what: Any, seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not what() and time.monotonic() < deadline:
        time.sleep(0.02)
    return what()
