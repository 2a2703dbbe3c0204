"""TensorBoard files, if the extra is installed."""

import math
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from macpo.errors import UsageError
from macpo.runs.record.tensorboard import TensorBoard
from tests.runs.record.conftest import TRAIN


def test_tensorboard_writes_a_folder_for_each_seed(tmp_path: Path):
    pytest.importorskip("tensorboardX")
    sink = TensorBoard(tmp_path)
    sink.write(TRAIN)
    sink.write(TRAIN | {"seed": 1})
    sink.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["seed0", "seed1"]
    assert all(any(p.glob("events.out.*")) for p in tmp_path.iterdir())


def test_without_tensorboardx_the_flag_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UsageError, match=r"pip install 'macpo\[tensorboard\]'"):
        TensorBoard(tmp_path)


def test_metrics_become_scalars_over_env_steps_and_the_axes_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    scalars: list[tuple[str, float, int]] = []

    class Writer:
        def __init__(self, folder: str) -> None: ...

        def add_scalar(self, tag: str, value: float, global_step: int) -> None:
            scalars.append((tag, value, global_step))

    monkeypatch.setitem(sys.modules, "tensorboardX", SimpleNamespace(SummaryWriter=Writer))
    TensorBoard(tmp_path).write(TRAIN)
    assert scalars == [
        ("train/return_mean", 5.0, 1600),
        ("train/epsilon", 0.98, 1600),
        ("train/weight_raw_mean", 0.25, 1600),
    ]


def test_numbers_that_are_not_finite_are_written_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    pytest.importorskip("tensorboardX")
    sink = TensorBoard(tmp_path)
    sink.write(TRAIN | {"loss": math.nan, "grad_norm": math.inf})
    sink.close()
    assert caplog.records == []
