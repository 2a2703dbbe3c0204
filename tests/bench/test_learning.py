"""When a team hunts, as the bench counts it."""

import importlib
import math
from typing import Any

import pytest

import macpo
from macpo.bench.learning import TimeToGoal, time_to
from macpo.bench.measure import Flags
from macpo.experiment import Experiment, Run
from macpo.training.trainer import Trainer, make_trainer

bench: Any = importlib.import_module("macpo.bench.learning")  # its name is that of its function


def test_the_first_evaluation_that_reaches_the_goal_counts():
    run = Run(steps=60, batch_size=4, batch_size_run=1, buffer_size=8, test_interval=20)
    trainer = make_trainer(Experiment("two-step", macpo.algorithms.VDN(rnn_hidden_dim=4), run=run))
    reached = time_to(0.0, trainer)  # any play of the two-step game returns that much
    assert reached is not None and reached.env_steps == 20 and reached.seconds > 0
    assert time_to(9.0, trainer) is None  # its best play returns 8


@pytest.mark.parametrize(
    ("found", "seconds", "env_steps", "note"),
    [
        ([TimeToGoal(30, 90), TimeToGoal(10, 70), TimeToGoal(20, 80)], 20, 80, ""),
        ([None, TimeToGoal(10, 70), TimeToGoal(20, 80)], 20, 80, "1 of the seeds did not within"),
        ([None, TimeToGoal(10, 70), None], math.inf, math.inf, "2 of the seeds did not within"),
    ],
)
def test_the_median_counts_seeds_that_never_reach_it_as_the_slowest(
    found: list[TimeToGoal | None],
    seconds: float,
    env_steps: float,
    note: str,
    monkeypatch: pytest.MonkeyPatch,
):
    def of_seed(goal: float, trainer: Trainer) -> TimeToGoal | None:
        assert goal == 30
        return found[trainer.run.seed] if trainer.run.batch_size == 32 else TimeToGoal(5, 40)

    monkeypatch.setattr(bench, "time_to", of_seed)
    time, steps, other_time, other_steps = bench.learning(Flags(rounds=3))
    assert (time.value, steps.value) == (seconds, env_steps)
    assert time.note.startswith(note) and bool(time.note) == bool(note)
    assert (other_time.value, other_steps.value, other_time.note) == (5, 40, "")
    known = seconds < math.inf
    assert other_time.ratio == (5 / seconds if known else None)
    assert other_steps.ratio == (40 / env_steps if known else None)
