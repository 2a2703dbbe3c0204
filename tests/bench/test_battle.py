"""Battles as the bench measures them, next to SMAX or alone."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.bench import battle
from macpo.bench.measure import Flags, Result
from macpo.errors import UsageError


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """No battle is fought: ours run at 100 env steps a second for each in parallel, SMAX at 50."""
    monkeypatch.setattr(battle, "MAPS", ("3m",))
    monkeypatch.setattr(battle, "KINDS", ())
    monkeypatch.setattr(battle, "PARALLEL", (2, 8))
    monkeypatch.setattr(battle, "random_play", lambda env, key, n, steps: key)
    monkeypatch.setattr(
        battle, "_rate", lambda play, env, n, flags: n * (50 if env == "smax" else 100)
    )


def results(monkeypatch: pytest.MonkeyPatch, smax: Any) -> list[Result]:
    """But for the time to compile."""
    monkeypatch.setattr(battle, "smax_of", lambda name: smax)
    first, *others = battle.battles(Flags())
    assert first.name == "smac-jax 3m, compiling" and first.value > 0
    return others


@pytest.mark.usefixtures("rates")
def test_next_to_smax_the_ratio_and_both_rates_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(r.name, r.value, r.ratio, r.reference) for r in results(monkeypatch, "smax")]
    assert found == [
        ("smac-jax 3m, 2 parallel", 200, 2.0, "SMAX"),
        ("SMAX 3m, 2 parallel", 100, None, ""),
        ("smac-jax 3m, 8 parallel", 800, 2.0, "SMAX"),
        ("SMAX 3m, 8 parallel", 400, None, ""),
    ]


@pytest.mark.usefixtures("rates")
def test_without_smax_a_note_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(r.value, r.ratio, r.note) for r in results(monkeypatch, None)]
    note = "no SMAX to compare with"
    assert found == [(200, None, note), (800, None, note)]


@pytest.mark.usefixtures("rates")
def test_smacv2s_tasks_are_measured_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(battle, "MAPS", ())
    monkeypatch.setattr(battle, "KINDS", ("zerg",))
    compiling, *others = battle.battles(Flags())
    assert compiling.name == "smacv2-jax zerg_5v5, compiling"
    assert [(r.name, r.value) for r in others] == [
        ("smacv2-jax zerg_5v5, 2 parallel", 200),
        ("smacv2-jax zerg_5v5, 8 parallel", 800),
    ]


def test_a_rate_is_env_steps_of_all_battles_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(battle, "seconds_of", lambda fn, rounds: 2.0 * rounds)
    # 20,000 env steps in all, but at least 50 in each battle
    assert battle._rate(lambda *_: None, None, 8, Flags(rounds=1)) == 8 * 2500 / 2
    assert battle._rate(lambda *_: None, None, 1000, Flags(rounds=1)) == 1000 * 50 / 2


def test_without_jaxmarl_or_a_scenario_there_is_no_smax(monkeypatch: pytest.MonkeyPatch) -> None:
    def importing(module: Any) -> Any:
        def imported(name: str) -> Any:
            if module is None:
                raise ImportError(name)
            return module

        return imported

    def unknown(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(battle.importlib, "import_module", importing(None))
    assert battle.smax_of("3m") is None
    smax = SimpleNamespace(map_name_to_scenario=unknown)
    monkeypatch.setattr(battle.importlib, "import_module", importing(smax))
    assert battle.smax_of("MMM2") is None


class Standing(NamedTuple):
    """SMAX's interface: two agents, of whom each has one action; a reward of the step's number."""

    agents: tuple[str, ...] = ("first", "second")

    def reset(self, key: Any) -> Any:
        return jnp.zeros(3), jnp.array(0)

    def get_avail_actions(self, state: Any) -> Any:
        return {"first": jnp.array([0, 1, 0]), "second": jnp.array([0, 0, 1])}

    def step_env(self, key: Any, state: Any, actions: Any) -> Any:
        right = (actions["first"] == 1) & (actions["second"] == 2)
        reward = jnp.where(right, state + 1.0, jnp.nan)
        return jnp.zeros(3), state + 1, dict.fromkeys(self.agents, reward), False, {}


def test_smax_plays_available_actions_for_so_many_steps() -> None:
    state, _, total = battle._smax_play(Standing(), jax.random.key(0), n=3, steps=4)
    np.testing.assert_array_equal(state, [4, 4, 4])
    np.testing.assert_array_equal(total, [1 + 2 + 3 + 4] * 3)


@pytest.mark.usefixtures("rates")
def test_maps_that_are_named_are_the_only_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(battle, "KINDS", ("zerg",))
    monkeypatch.setattr(battle, "smax_of", lambda name: None)
    found = battle.battles(Flags(maps=("2s3z", "zerg_10v11")))
    assert {r.name.split(",")[0] for r in found} == {"smac-jax 2s3z", "smacv2-jax zerg_10v11"}


def test_a_map_that_does_not_exist_is_told_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(battle, "random_play", lambda *_: pytest.fail("it was played"))
    with pytest.raises(UsageError, match="no map '2s4z'"):
        battle.battles(Flags(maps=("2s3z", "2s4z")))


@pytest.mark.parametrize("name", ["terran_10v11", "terran_10_vs_11"])
def test_a_task_has_smacv2s_own_spelling_too(name: str) -> None:
    assert battle._made(name).spec.n_actions == 17
