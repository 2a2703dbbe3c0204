"""Run directories written by hand."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from macpo.envs.predator_prey import Config
from macpo.experiment import Experiment, to_dict

Row = dict[str, Any]
MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """make_run(rows, name="run", punishment=0.0) → the directory."""

    def make(rows: Sequence[Row], name: str = "run", punishment: float = 0.0) -> Path:
        directory = tmp_path / name
        directory.mkdir()
        experiment = Experiment(env=Config(punishment=punishment))
        (directory / "experiment.json").write_text(json.dumps(to_dict(experiment)))
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (directory / "metrics.jsonl").write_text(lines)
        return directory

    return make


@pytest.fixture
def two_seeds() -> list[Row]:
    """Four iterations and two evaluations of each of two seeds; updates begin with the third."""
    rows: list[Row] = []
    for seed in (0, 1):
        for i in range(1, 5):
            learned = {"weight_ess_fraction": 0.5, "f_mean": 1.2} if i > 2 else {}
            rows.append(
                {
                    "kind": "train",
                    "seed": seed,
                    "env_steps": 1000 * i + 100 * seed,
                    "episodes": 8 * i,
                    "updates": max(i - 2, 0),
                    "return_mean": float(i),
                    "epsilon": 1 - i / 5,
                    **learned,
                }
            )
            if i % 2 == 0:
                rows.append(
                    {
                        "kind": "test",
                        "seed": seed,
                        "env_steps": 1000 * i + 100 * seed,
                        "episodes": 8 * i,
                        "updates": max(i - 2, 0),
                        "test_return_mean": 10.0 * seed + i,
                        "test_return_std": 0.5,
                        "test_ep_length_mean": 100.0,
                    }
                )
    return rows
