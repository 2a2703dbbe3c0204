"""What the bench says of whole iterations."""

from collections.abc import Callable
from typing import Any

import pytest

import macpo
from macpo.bench import iteration as bench
from macpo.bench.measure import Flags
from macpo.experiment import Experiment, Run
from macpo.training.trainer import Trainer, make_trainer


def test_the_ratio_is_to_as_many_seeds_one_by_one(monkeypatch: pytest.MonkeyPatch):
    def timed(trainer: Trainer, iterations: int) -> Callable[[], float]:
        return lambda: {1: 0.1, 8: 0.2, 64: 0.8}[trainer.run.seeds]

    monkeypatch.setattr(bench, "timed_iteration", timed)
    one, eight, many = bench.seeds(Flags())
    assert (one.name, one.value, one.ratio) == (
        "training iteration of 1 seed, typical episodes",
        100,
        None,
    )
    assert eight.name.startswith("training iteration of 8 seeds")
    assert (eight.value, eight.ratio, eight.reference) == (200, 0.2 / 0.8, "seeds one by one")
    assert many.ratio == pytest.approx(0.8 / 6.4)


def test_prioritised_sampling_is_compared_with_uniform_from_as_many_episodes(
    monkeypatch: pytest.MonkeyPatch,
):
    def timed(trainer: Trainer, iterations: int) -> Callable[[], float]:
        seconds = trainer.run.buffer_size / 50_000
        return lambda: seconds * (1.5 if trainer.replay.sampling == "prioritized" else 1)

    monkeypatch.setattr(bench, "timed_iteration", timed)
    small, large = bench.sampling(Flags())
    assert (small.value, large.value) == (pytest.approx(150), 1500)
    assert (small.ratio, large.ratio) == (pytest.approx(1.5), 1.5)
    assert large.name == "training iteration, prioritised from 50,000 episodes"


def test_an_iteration_is_timed_with_its_update(monkeypatch: pytest.MonkeyPatch):
    run = Run(batch_size=4, batch_size_run=1, updates_per_iteration=1, buffer_size=8)
    trainer = make_trainer(Experiment("two-step", macpo.algorithms.VDN(rnn_hidden_dim=4), run=run))
    updates: list[int] = []
    chunk = trainer.chunk

    def watched(*args: Any) -> Any:
        state, metrics = chunk(*args)
        updates.append(int(state.updates[0]))
        return state, metrics

    monkeypatch.setitem(trainer.programs, "chunk", watched)
    timed = bench.timed_iteration(trainer, iterations=2)
    assert timed() > 0 and timed() > 0
    assert updates == [2, 4]
