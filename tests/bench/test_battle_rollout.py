"""Battles played by a policy, as the bench measures them next to JaxMARL's or alone."""

from typing import Any

import jax
import numpy as np
import pytest

from macpo.bench import battle_rollout
from macpo.bench.battle import smax_of
from macpo.bench.measure import Flags, Result

FLAGS = Flags(maps=("3m",), rounds=1)


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """No battle is fought: of ours the longest takes 30 env steps, 100 a second for each in
    parallel; JaxMARL's rounds take a second."""
    monkeypatch.setattr(battle_rollout, "PARALLEL", (2, 8))
    monkeypatch.setattr(battle_rollout, "make_trainer", lambda experiment: experiment)
    monkeypatch.setattr(battle_rollout, "_our_rate", lambda trainer, n, flags: (100 * n, 30))
    monkeypatch.setattr(battle_rollout, "seconds_of", lambda fn, rounds: 1.0)


def results(monkeypatch: pytest.MonkeyPatch, manager: Any) -> list[Result]:
    monkeypatch.setattr(battle_rollout, "_jaxmarl_manager", lambda name: manager)
    return battle_rollout.battle_rollouts(FLAGS)


@pytest.mark.usefixtures("rates")
def test_next_to_jaxmarl_as_many_env_steps_are_played_in_each_battle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [(r.name, r.value, r.ratio) for r in results(monkeypatch, lambda n: n)]
    title = "rollout of smac-jax 3m with policy"
    assert found == [
        (f"{title}, 2 parallel", 200, pytest.approx(200 / 60)),
        ("JaxMARL's of SMAX 3m, 2 parallel", 60, None),
        (f"{title}, 8 parallel", 800, pytest.approx(800 / 240)),
        ("JaxMARL's of SMAX 3m, 8 parallel", 240, None),
    ]


@pytest.mark.usefixtures("rates")
def test_without_jaxmarl_a_note_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(r.value, r.ratio, r.note) for r in results(monkeypatch, None)]
    note = "no JaxMARL to compare with"
    assert found == [(200, None, note), (800, None, note)]


@pytest.mark.slow
def test_jaxmarls_battles_are_played_with_available_actions_and_recorded() -> None:
    if smax_of("3m") is None:
        pytest.skip("needs another project: pip install jaxmarl==0.2.0")
    manager = battle_rollout._jaxmarl_manager("3m")
    assert manager is not None
    play = jax.jit(lambda key: battle_rollout._jaxmarl_rollout(manager(2), key, n=2, steps=5))
    obs, actions, reward, over, available = play(jax.random.key(0))
    assert {name: x.shape[:2] for name, x in obs.items()} == dict.fromkeys(
        ("ally_0", "ally_1", "ally_2", "__all__"), (5, 2)
    )
    assert (reward.shape, over.shape, available.shape) == ((5, 2), (5, 2), (5, 2, 3, 8))
    assert np.take_along_axis(np.asarray(available), np.asarray(actions)[..., None], -1).all()
