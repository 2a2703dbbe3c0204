"""What the bench makes of whole processes and runs."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import macpo
from macpo.bench import whole
from macpo.bench.measure import Flags
from macpo.experiment import Experiment


def test_memory_is_the_processs_peak_after_updates_and_the_one_before_is_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    printed = SimpleNamespace(stdout="[300000000, 900000000]\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: printed)
    replay, peak = whole.memory(Flags())
    assert replay.name == "replay, 10,000 full episodes" and replay.value > 0
    assert (peak.value, peak.unit) == (900, "MB")
    assert "300 MB before" in peak.note


def test_the_second_start_finds_the_cache_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    caches: list[str] = []

    def start(*_: Any, env: dict[str, str], **__: Any) -> SimpleNamespace:
        cache = Path(env["XDG_CACHE_HOME"])
        caches.append(env["XDG_CACHE_HOME"])
        printed = "[1.5, 0.2]\n" if (cache / "compiled").exists() else "[12.5, 0.3]\n"
        (cache / "compiled").touch()
        return SimpleNamespace(stdout=printed)

    monkeypatch.setattr(subprocess, "run", start)
    cold, warm, iteration = whole.compile_time(Flags())
    assert (cold.name, cold.value) == ("first update after start, cold cache", 12.5)
    assert (warm.name, warm.value) == ("first update after start, warm cache", 1.5)
    assert (iteration.value, iteration.ratio) == (300, pytest.approx(1.5))
    assert not Path(caches[0]).exists()


def test_a_runs_speed_while_learning_is_counted_from_its_first_row_with_updates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [
        {"env_steps": 1000, "wall_s": 10.0, "updates": 0},
        {"env_steps": 2000, "wall_s": 20.0, "updates": 1},
        {"env_steps": 6000, "wall_s": 30.0, "updates": 9},
    ]

    def train(experiment: Experiment, path: Path, **_: Any) -> None:
        assert experiment.run is not None and experiment.run.steps == 6000
        path.mkdir()
        (path / "timing.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    monkeypatch.setattr(macpo, "train", train)
    learning, all_of_it = whole.end_to_end(Flags(steps=6000))
    assert learning.value == 4000 / 10
    assert (all_of_it.name, all_of_it.value) == ("end to end, first 6,000 env steps", 200)
