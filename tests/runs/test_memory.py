"""Plans that do not fit into memory."""

from dataclasses import replace
from pathlib import Path

import pytest

import macpo
from macpo.runs.memory import planned_bytes
from macpo.training.trainer import make_trainer
from tests.runs.conftest import SMALL, train


def test_a_plan_that_does_not_fit_into_memory_is_refused_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("macpo.runs.memory.available_bytes", lambda: 10_000)
    with pytest.raises(macpo.UsageError, match=r"lower --buffer-size \(now 2,000 episodes"):
        train(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_plan_has_the_episodes_that_are_played_at_once():
    def playing(**run: int) -> int:
        changed = replace(SMALL.run, buffer_size=10**6, **run)
        return planned_bytes(make_trainer(replace(SMALL, run=changed))).playing

    assert playing(test_nepisode=2 * 10**6) == 2 * playing(test_nepisode=10**6)
    assert playing(test_nepisode=10**6) > 10**6 * 6 * (2 + 4)  # actions and rewards of 6 env steps
    assert playing(batch_size_run=2 * 10**5) == 2 * playing(batch_size_run=10**5)


def test_an_evaluation_beyond_the_memory_is_refused_before_anything_is_made(tmp_path: Path):
    many = replace(SMALL, run=replace(SMALL.run, test_nepisode=2**31 - 1))
    with pytest.raises(macpo.UsageError, match=r"--test-nepisode \(now 2,147,483,647\)"):
        train(tmp_path / "run", many)
    assert not (tmp_path / "run").exists()


def test_replay_is_planned_in_proportion_to_its_size():
    run = SMALL.run
    small, large = (
        planned_bytes(make_trainer(replace(SMALL, run=replace(run, buffer_size=n))))
        for n in (100, 1000)
    )
    assert large.replay == pytest.approx(10 * small.replay, rel=0.02)
    assert large.networks == small.networks
