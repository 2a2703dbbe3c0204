"""What the bench says of several seeds in one program."""

from typing import Any

import pytest

import macpo
from macpo.bench import several_seeds as bench
from macpo.bench.measure import Flags
from macpo.experiment import Experiment, Run
from macpo.training.trainer import Trainer, make_trainer


def test_the_ratio_is_to_as_many_seeds_one_by_one(monkeypatch: pytest.MonkeyPatch):
    def seconds(trainer: Trainer, iterations: int, rounds: int) -> float:
        return {1: 0.1, 8: 0.2, 64: 0.8}[trainer.run.seeds]

    monkeypatch.setattr(bench, "_seconds_of_iteration", seconds)
    one, eight, many = bench.seeds(Flags())
    assert (one.name, one.value, one.ratio) == (
        "training iteration of 1 seed, typical episodes",
        100,
        None,
    )
    assert eight.name.startswith("training iteration of 8 seeds")
    assert (eight.value, eight.ratio, eight.reference) == (200, 0.2 / 0.8, "seeds one by one")
    assert many.ratio == pytest.approx(0.8 / 6.4)


def test_an_iteration_is_timed_with_its_update(monkeypatch: pytest.MonkeyPatch):
    run = Run(batch_size=4, batch_size_run=1, buffer_size=8)
    trainer = make_trainer(Experiment("two-step", macpo.algorithms.VDN(rnn_hidden_dim=4), run=run))
    before = int(trainer.init().updates[0])
    updates: list[int] = []
    chunk = trainer.chunk

    def watched(*args: Any) -> Any:
        state, metrics = chunk(*args)
        updates.append(int(state.updates[0]))
        return state, metrics

    monkeypatch.setitem(trainer.programs, "chunk", watched)
    assert bench._seconds_of_iteration(trainer, iterations=2, rounds=3) > 0
    assert (before, updates) == (0, [2, 4, 6, 8])  # the first chunk compiles
