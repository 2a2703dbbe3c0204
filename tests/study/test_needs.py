"""What runs need: memory, and how many at a time pay."""

import pytest

from macpo import Experiment, Run, UsageError
from macpo.study import needs
from macpo.study.needs import Needs, candidates, measure, read_needs
from macpo.study.sweep import max_parallel
from tests.study.conftest import SMALL


def test_the_cores_are_shared_among_one_run_up_to_a_run_on_each():
    assert candidates(1, max_parallel=9) == [(1, 1)]
    assert candidates(2, max_parallel=9) == [(1, 2), (2, 1)]
    assert candidates(8, max_parallel=9) == [(1, 8), (2, 4), (4, 2), (8, 1)]


def test_no_more_runs_than_there_are_or_than_memory_holds():
    assert candidates(8, max_parallel=1) == [(1, 8)]
    assert candidates(8, max_parallel=3) == [(1, 8), (2, 4), (3, 2)]


def test_runs_share_a_cpu_as_far_as_memory_lasts_and_never_an_accelerator(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("macpo.study.sweep.available_bytes", lambda: 10_000)
    assert max_parallel(Needs(n_bytes=4_000, is_on_cpu=True), n_runs=9) == 2
    assert max_parallel(Needs(n_bytes=20_000, is_on_cpu=True), n_runs=9) == 1
    assert max_parallel(Needs(n_bytes=10, is_on_cpu=True), n_runs=3) == 3
    assert max_parallel(Needs(n_bytes=10, is_on_cpu=False), n_runs=9) == 1


@pytest.mark.slow
def test_memory_is_planned_without_a_run_and_grows_with_replay():
    larger = Experiment(SMALL.env, SMALL.algorithm, run=Run(buffer_size=50_000))
    small, large = read_needs([SMALL, larger])
    assert small.is_on_cpu and 0 < small.n_bytes < large.n_bytes


def test_an_arm_that_cannot_be_trained_is_told_before_anything_begins():
    refused = Experiment(algorithm="vdac", weighting="macpo")
    with pytest.raises(UsageError, match="vdac"):
        read_needs([refused])


@pytest.mark.slow
def test_training_is_timed_once_it_learns(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(needs, "SECONDS", 0.5)
    pace = measure(SMALL, parallel=1, cores=1)
    assert pace.parallel == 1 and pace.env_steps_per_s > 1
