"""Every recorded situation, as the real SMAC code shows and pays it (specs: smac d6aab33)."""

import functools
import gzip
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.envs.smac_jax import features
from macpo.envs.smac_jax.features import Rewards, Units
from macpo.envs.smac_jax.maps import BattleMap, battle_map
from tests.support.paths import DATA

GOLDEN: dict[str, Any] = {
    **json.loads((DATA / "smac_golden_features.json").read_text()),
    **json.loads(gzip.decompress((DATA / "smac_golden_features_new.json.gz").read_bytes())),
}
del GOLDEN["about"]  # how the second file was made
CASES = [(name, i) for name, record in GOLDEN.items() for i in range(len(record["cases"]))]

every_case = pytest.mark.parametrize(("name", "case"), CASES)
numpy_and_jax = pytest.mark.parametrize("xp", [np, jnp], ids=["numpy", "jax"])


def recorded(name: str, case: int) -> tuple[BattleMap, dict[str, Any]]:
    return battle_map(name), GOLDEN[name]["cases"][case]


def units_of(case: dict[str, Any]) -> Units:
    rows = case["allies"] + case["enemies"]
    names = ("x", "y", "health", "shield", "energy", "weapon_cooldown_loops")
    return Units(*(np.array([row[name] for row in rows], np.float32) for name in names))


@functools.cache
def program(function: Callable[..., Any], name: str, xp: ModuleType) -> Callable[..., Any]:
    """The function for a map, compiled if it is JAX's."""
    of_map = functools.partial(function, battle_map(name))
    return jax.jit(of_map) if xp is jnp else of_map


@numpy_and_jax
@every_case
def test_available_actions_are_smacs(name: str, case: int, xp: ModuleType) -> None:
    here, record = recorded(name, case)
    available_actions = program(features.available_actions, name, xp)
    available = available_actions(features.columns_of(here), units_of(record))
    np.testing.assert_array_equal(available, np.array(record["avail"], bool))


@numpy_and_jax
@every_case
def test_observations_are_smacs(name: str, case: int, xp: ModuleType) -> None:
    here, record = recorded(name, case)
    columns, units = features.columns_of(here), units_of(record)
    available = program(features.available_actions, name, xp)(columns, units)
    obs = program(features.observe, name, xp)(columns, units, available)
    assert obs.dtype == np.float32
    np.testing.assert_allclose(obs, record["obs"], rtol=0, atol=1e-6)


@numpy_and_jax
@every_case
def test_the_global_state_is_smacs(name: str, case: int, xp: ModuleType) -> None:
    here, record = recorded(name, case)
    last = record["last_actions"] or [-1] * here.n_agents
    global_state = program(features.global_state, name, xp)
    state = global_state(features.columns_of(here), units_of(record), np.array(last))
    assert state.dtype == np.float32
    np.testing.assert_allclose(state, record["state"], rtol=0, atol=1e-6)


@every_case
def test_agents_see_whom_smacs_agents_see(name: str, case: int) -> None:
    here, record = recorded(name, case)
    visible = features.visibility(here, units_of(record))
    np.testing.assert_array_equal(visible, np.array(record["visibility"], bool))


@numpy_and_jax
@every_case
def test_the_shaped_reward_is_smacs(name: str, case: int, xp: ModuleType) -> None:
    here, record = recorded(name, case)
    after = units_of(record)
    n = here.n_agents
    health, shield = after.health.copy(), after.shield.copy()
    health[n:], shield[n:] = record["prev_enemy_health"], record["prev_enemy_shield"]
    before = after._replace(health=health, shield=shield)
    reward = program(features.reward, name, xp)(before, after)
    # what was recorded pays no victory
    victory = 200 / here.reward_divisor * bool(program(features.outcome, name, xp)(after).won)
    np.testing.assert_allclose(reward - victory, record["reward_scaled_shaped"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", list(GOLDEN))
def test_sizes_and_the_largest_reward_are_smacs(name: str) -> None:
    here, record = battle_map(name), GOLDEN[name]
    assert here.n_actions == record["n_actions"]
    assert here.obs_size == record["obs_size"]
    assert here.state_size == record["state_size"]
    assert here.max_reward == record["max_reward"]


# --- rewards and ends, by hand ------------------------------------------------------------------


def five_against_six(health: list[float], shield: list[float] | None = None) -> Units:
    zeros = np.zeros(11, np.float32)
    hp = np.array(health, np.float32)
    return Units(zeros, zeros, hp, np.array(shield or zeros, np.float32), zeros, zeros)


FULL = [45.0] * 11


def test_damage_a_kill_and_the_victory_are_paid() -> None:
    here = battle_map("5m_vs_6m")
    before = five_against_six([45.0] * 5 + [0.0] * 5 + [6.0])
    after = five_against_six([45.0] * 5 + [0.0] * 6)
    assert features.reward(here, before, after) == pytest.approx((6 + 10 + 200) / 26.5)


def test_damage_to_allies_costs_half_where_it_counts() -> None:
    here = battle_map("5m_vs_6m")
    after = five_against_six([0.0] + [45.0] * 10)
    reward = features.reward(here, five_against_six(FULL), after, Rewards(only_positive=False))
    assert reward == pytest.approx(-0.5 * (45 + 10) / 26.5)
    assert features.reward(here, five_against_six(FULL), after) == 0


def test_what_enemies_regain_is_rewarded_as_in_smac_unless_switched_off() -> None:
    here = battle_map("5m_vs_6m")
    before = five_against_six([45.0] * 10 + [40.0])
    after = five_against_six([45.0] * 10 + [43.0])
    assert features.reward(here, before, after) == pytest.approx(3 / 26.5)
    assert features.reward(here, before, after, Rewards(regeneration=False)) == 0


@pytest.mark.parametrize(
    ("health", "expected"),
    [([45.0] * 5 + [0.0] * 6, 1), ([0.0] * 5 + [45.0] * 6, -1), (FULL, 0), ([0.0] * 11, 0)],
    ids=["victory", "defeat", "going on", "draw"],
)
def test_the_sparse_reward_distinguishes_victory_from_defeat(
    health: list[float], expected: int
) -> None:
    here = battle_map("5m_vs_6m")
    after = five_against_six(health)
    reward = features.reward(here, five_against_six(FULL), after, Rewards(sparse=True))
    assert reward == pytest.approx(expected / 26.5)


def test_a_battle_ends_in_a_draw_when_nobody_is_left() -> None:
    over, won = features.outcome(battle_map("5m_vs_6m"), five_against_six([0.0] * 11))
    assert over
    assert not won


def mmm2(living: list[int]) -> Units:
    zeros = np.zeros(22, np.float32)
    health = np.isin(np.arange(22), living).astype(np.float32) * 10
    return Units(zeros, zeros, health, zeros, zeros, zeros)


def test_mmm2_is_won_once_only_the_enemy_medivac_is_left() -> None:
    assert features.outcome(battle_map("MMM2"), mmm2([0, 21])) == (True, True)
    assert features.outcome(battle_map("MMM2"), mmm2([0, 20, 21])) == (False, False)


def test_mmm2_is_lost_once_only_our_medivac_is_left_even_against_a_medivac() -> None:
    assert features.outcome(battle_map("MMM2"), mmm2([9, 10])) == (True, False)
    assert features.outcome(battle_map("MMM2"), mmm2([9, 21])) == (True, False)
