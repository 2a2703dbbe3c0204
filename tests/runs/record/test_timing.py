"""timing.jsonl: wall time and speed, as a clock that is set by hand says."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from macpo.errors import UsageError
from macpo.runs.record import timing
from macpo.runs.record.timing import Timing, total_seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Its one number is what the clock shows."""
    shows = [100.0]
    monkeypatch.setattr(timing.time, "monotonic", lambda: shows[0])
    return shows


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_row_says_what_has_ended_and_how_fast_it_was(tmp_path: Path, clock: list[float]):
    file = tmp_path / "timing.jsonl"
    sink = Timing(file, env_steps=1000)
    clock[0] = 102.0
    sink.write("chunk", env_steps=1600, updates=3)
    clock[0] = 106.5
    sink.write("checkpoint", env_steps=1600, updates=3)
    sink.close()
    about = {"env_steps": 1600, "updates": 3}
    assert rows(file) == [
        {"what": "chunk", **about, "wall_s": 2.0, "env_steps_per_s": 300.0},
        {"what": "checkpoint", **about, "wall_s": 6.5, "env_steps_per_s": 0.0},
    ]


def test_a_row_is_in_the_file_as_soon_as_it_is_written(tmp_path: Path, clock: list[float]):
    file = tmp_path / "timing.jsonl"
    sink = Timing(file, env_steps=0)
    sink.write("chunk", env_steps=1, updates=0)
    assert len(rows(file)) == 1
    sink.close()


def test_a_resumed_run_appends_and_counts_from_its_own_start(tmp_path: Path, clock: list[float]):
    file = tmp_path / "timing.jsonl"
    for start, env_steps in ((100.0, 0), (500.0, 80)):
        clock[0] = start
        sink = Timing(file, env_steps)
        clock[0] = start + 2
        sink.write("chunk", env_steps + 20, updates=0)
        sink.close()
    assert [(row["wall_s"], row["env_steps_per_s"]) for row in rows(file)] == [(2, 10), (2, 10)]


def test_no_time_at_all_is_no_division_by_zero(tmp_path: Path, clock: list[float]):
    sink = Timing(tmp_path / "timing.jsonl", env_steps=0)
    sink.write("chunk", env_steps=1, updates=0)
    sink.close()
    assert rows(tmp_path / "timing.jsonl")[0]["env_steps_per_s"] == 1e9


def test_a_disk_that_refuses_is_told_with_the_files_name(tmp_path: Path, clock: list[float]):
    with pytest.raises(UsageError, match=r"cannot write .*timing\.jsonl: No such file"):
        Timing(tmp_path / "missing" / "timing.jsonl", env_steps=0)
    sink = Timing(Path("/dev/full"), env_steps=0)
    with pytest.raises(UsageError, match="cannot write /dev/full: No space left on device"):
        sink.write("chunk", env_steps=1, updates=0)
    with pytest.raises(UsageError, match="cannot write /dev/full: No space left on device"):
        sink.close()


def test_seconds_are_added_up_over_sessions(tmp_path: Path):
    file = tmp_path / "timing.jsonl"
    assert math.isnan(total_seconds(file))
    file.write_text('{"wall_s": 5}\n{"wall_s": 9}\nnothing\n{"wall_s": 2}\n{"wall_')
    assert total_seconds(file) == 11
