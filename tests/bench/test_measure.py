"""How the bench measures."""

import sys
from pathlib import Path

import jax
import pytest

import macpo
from macpo.bench import measure


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the calls to come will take."""
    durations: list[float] = []
    now = [0.0]

    def clock() -> float:
        return now[0]

    def wait(result: object) -> object:
        now[0] += durations.pop(0)
        return result

    monkeypatch.setattr(measure.time, "perf_counter", clock)
    monkeypatch.setattr(jax, "block_until_ready", wait)
    return durations


def test_the_time_of_a_call_includes_waiting_for_its_result(seconds: list[float]):
    seconds[:] = [2.5]
    assert measure.once(lambda x, y: x + y, 1, 2) == 2.5


def test_the_median_of_the_rounds_counts_and_the_call_that_compiles_does_not(
    seconds: list[float],
):
    seconds[:] = [100.0, 3.0, 1.0, 2.0]
    calls: list[int] = []
    assert measure.seconds_of(calls.append, rounds=3) == 2.0
    assert calls == [0, 0, 1, 2]


def test_figures_come_with_the_machine_they_were_measured_on():
    about = measure.machine()
    assert about["macpo"] == macpo.__version__
    assert about["jax"] == jax.__version__
    assert about["devices"] == [device.device_kind for device in jax.devices()]
    assert about["cpu"] and about["load_average"] >= 0


def test_references_of_the_repository_are_imported_by_their_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "plain_reference.py").write_text("SPEED = 3\n")
    monkeypatch.setattr(measure, "repository", lambda: tmp_path)
    monkeypatch.delitem(sys.modules, "plain_reference", raising=False)
    module = measure.repository_module("benchmarks/plain_reference.py")
    assert module.SPEED == 3
    assert sys.modules.pop("plain_reference") is module


def test_outside_of_a_repository_there_are_no_references(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(measure, "repository", lambda: tmp_path)
    assert measure.repository_module("benchmarks/plain_reference.py") is None


def test_the_repository_is_the_folder_above_the_sources():
    assert measure.repository() / "src" / "macpo" == Path(macpo.__file__).parent
