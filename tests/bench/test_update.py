"""The work of an update, as the bench counts it, and the batches it is measured on."""

import importlib
import subprocess
from typing import Any

import numpy as np
import pytest

import macpo
from macpo.algorithms.qmix import Config as Qmix
from macpo.bench.measure import Flags
from macpo.bench.update import batch_of, full_lengths, typical_lengths, useful_flops

bench: Any = importlib.import_module("macpo.bench.update")  # its name is that of its function


@pytest.mark.parametrize(("weighting", "gigaflops"), [("macpo", 142.4), ("uniform", 60.1)])
def test_the_useful_arithmetic_of_a_full_update_is_what_the_shapes_say(
    weighting: str, gigaflops: float
):
    env = macpo.make_env("predator-prey")
    learner = Qmix().make(env, macpo.weighting.make(weighting))
    flops = useful_flops(learner, full_lengths(128, 200))
    assert flops / 1e9 == pytest.approx(gigaflops, rel=0.003)


def test_typical_lengths_average_fifty_with_one_episode_at_the_limit():
    lengths = typical_lengths(128, 200)
    assert lengths.mean() == pytest.approx(50, abs=3)
    assert lengths[0] == lengths.max() == 200 and lengths.min() >= 1
    assert (np.diff(lengths) <= 0).all()


def test_a_batch_is_cut_to_the_lengths_asked_for():
    env = macpo.make_env("predator-prey", episode_limit=20)
    batch = batch_of(env, np.array([20, 7, 3], np.int32))
    np.testing.assert_array_equal(batch.length, [20, 7, 3])
    np.testing.assert_array_equal(batch.terminated, [False, True, True])


def compared(monkeypatch: pytest.MonkeyPatch, torch: Any) -> float | str:
    """The reference's side of a comparison in two rounds, each of which calls `torch`."""
    monkeypatch.setattr(bench, "_why_no_torch", str)
    monkeypatch.setattr(bench, "_torch_seconds", lambda *_: torch())
    return bench._compare(lambda: None, "macpo", np.array([2, 1]), rounds=2)[1]


def test_the_reference_takes_its_median(monkeypatch: pytest.MonkeyPatch):
    taken = iter([3.0, 1.0])
    assert compared(monkeypatch, lambda: next(taken)) == 2.0


def test_a_reference_that_fails_is_tried_once_and_says_why(monkeypatch: pytest.MonkeyPatch):
    calls: list[None] = []

    def failing() -> float:
        calls.append(None)
        said = "Traceback …\n  File …\nRuntimeError: two devices\n"
        raise subprocess.CalledProcessError(1, ["python"], stderr=said)

    assert compared(monkeypatch, failing) == (
        "the PyTorch reference failed: RuntimeError: two devices"
    )
    assert len(calls) == 1


@pytest.mark.parametrize("has_units", [True, False])
def test_bf16_is_measured_against_float32_where_the_machine_has_units_for_it(
    has_units: bool, monkeypatch: pytest.MonkeyPatch
):
    run: list[str] = []
    learner = Qmix().make(macpo.make_env("predator-prey"), macpo.weighting.make("macpo"))

    def compiled_update(weighting: str, batch_size: int, precision: str = "float32") -> Any:
        return learner, lambda _: run.append(f"{weighting} {precision}")

    monkeypatch.setattr(bench, "has_bf16_units", lambda: has_units)
    monkeypatch.setattr(bench, "compiled_update", compiled_update)
    monkeypatch.setattr(bench, "matmul_peak", lambda: 1e9)
    monkeypatch.setattr(bench, "batch_of", lambda *_: None)
    monkeypatch.setattr(bench, "_compare", lambda *_: (0.5, "no reference"))
    monkeypatch.setattr(bench, "seconds_of", lambda update, _: update(0) or 0.25)
    short = [result for result in bench.update(Flags(trial=True)) if "bf16" in result.name]
    if not has_units:
        assert short == run == []
        return
    assert [result.name.partition(",")[0] for result in short] == 2 * ["MAC-PO update"] + 2 * [
        "QMIX update"
    ]
    assert {(x.value, x.unit, x.ratio, x.reference) for x in short} == {
        (250.0, "ms", 0.5, "the same with --precision float32")
    }
    assert run == 2 * ["macpo bf16"] + 2 * ["uniform bf16"]
