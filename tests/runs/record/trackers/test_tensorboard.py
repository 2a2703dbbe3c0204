"""TensorBoard files, if the extra is installed."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from macpo.runs.record.trackers.tensorboard import open_seed
from tests.runs.record.conftest import TRAIN, tracked, tracked_seed


def test_tensorboard_writes_a_folder_for_each_seed(tmp_path: Path):
    pytest.importorskip("tensorboardX")
    sink = tracked("tensorboard", tmp_path)
    sink.write(TRAIN)
    sink.write(TRAIN | {"seed": 1})
    sink.close()
    folder = tmp_path / "tensorboard"
    assert sorted(p.name for p in folder.iterdir()) == ["seed0", "seed1"]
    assert all(any(p.glob("events.out.*")) for p in folder.iterdir())


def test_metrics_become_scalars(tmp_path: Path):
    scalars: list[tuple[str, float, int]] = []

    class Writer:
        def __init__(self, folder: str) -> None:
            assert folder == str(tmp_path / "tensorboard" / "seed3")

        def add_scalar(self, tag: str, value: float, global_step: int) -> None:
            scalars.append((tag, value, global_step))

    package = SimpleNamespace(SummaryWriter=Writer)
    open_seed(package, tracked_seed(tmp_path, 3)).log({"train/return_mean": 5.0}, 1600)
    assert scalars == [("train/return_mean", 5.0, 1600)]


def test_numbers_that_are_not_finite_are_written_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    pytest.importorskip("tensorboardX")
    sink = tracked("tensorboard", tmp_path)
    sink.write(TRAIN | {"loss": math.nan, "grad_norm": math.inf})
    sink.close()
    assert caplog.records == []
