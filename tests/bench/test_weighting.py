"""How the cost of weights is measured."""

import importlib.util
import math
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

# the package's own `weighting` is the function
weighting = importlib.import_module("macpo.bench.weighting")


def test_contenders_take_turns_and_the_median_of_each_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(weighting, "once", lambda fn: fn())
    turns: list[str] = []

    def contender(name: str, seconds: list[float]) -> Any:
        def run() -> float:
            turns.append(name)
            return seconds[turns.count(name) % len(seconds)]

        return run

    ours, theirs = contender("ours", [1.0, 2.0, 9.0, 2.0]), contender("theirs", [4.0])
    assert weighting._in_turn(ours, theirs, rounds=2) == (2.0, 4.0)
    assert turns == ["ours", "theirs"] * 20


def test_on_torch_ours_is_compared_with_each_way_by_hand(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "reference_torch.py").touch()
    monkeypatch.setattr(weighting, "repository", lambda: tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: SimpleNamespace(name=name))
    printed = '{"ours": 0.002, "cumulative": 0.004, "loop": 0.001, "division": 0.002}'
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=printed))
    found = weighting._torch(8, rounds=1)
    assert [(r.value, r.ratio) for r in found] == [(2.0, 0.5), (2.0, 2.0), (2.0, 1.0)]


def test_without_torch_a_note_stands_in_place_of_the_figure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (result,) = weighting._torch(8, rounds=1)
    assert math.isnan(result.value)
    assert result.note == "no torch or no repository here"
