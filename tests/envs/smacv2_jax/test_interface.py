"""Every recorded situation, as the real SMACv2 code shows and pays it (oxwhirl/smacv2 577ab5a)."""

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
from array_api_compat import array_namespace

from macpo.envs.smac_jax import features
from macpo.envs.smac_jax.features import Columns, Units
from macpo.envs.smacv2_jax import interface
from macpo.envs.smacv2_jax.sight import NO_OWNER, Memory, look
from macpo.envs.smacv2_jax.tasks import KINDS, Task
from tests.support.paths import DATA

GOLDEN: dict[str, Any] = json.loads(
    gzip.decompress((DATA / "smacv2_golden_features.json.gz").read_bytes())
)
del GOLDEN["about"]  # how the file was made
CASES = [(name, i) for name, record in GOLDEN.items() for i in range(len(record["cases"]))]

every_case = pytest.mark.parametrize(("name", "case"), CASES)
numpy_and_jax = pytest.mark.parametrize("xp", [np, jnp], ids=["numpy", "jax"])


def task_of(name: str) -> Task:
    race, n, _, e = name.removesuffix("_epo").split("_")
    return Task(race, f"{n}v{e}")  # pyright: ignore[reportArgumentType]


@functools.cache
def program(function: Callable[..., Any], task: Task, xp: ModuleType) -> Callable[..., Any]:
    """The function for a task, compiled if it is JAX's."""
    of_task = functools.partial(function, task)
    return jax.jit(of_task) if xp is jnp else of_task


def recorded(name: str, case: int, xp: ModuleType) -> tuple[Task, Columns, Units, dict[str, Any]]:
    task, record = task_of(name), GOLDEN[name]["cases"][case]
    rows = record["allies"] + record["enemies"]
    kinds = np.array([KINDS[task.race].index(row[0]) for row in rows], np.int8)
    units = Units(*(np.array([row[k] for row in rows], np.float32) for k in range(1, 7)))
    return task, program(interface.columns_of, task, xp)(kinds), units, record


def looked(name: str, case: int) -> Memory:
    """The memory after the recorded call, in which agents look one after another by number."""
    task, columns, units, record = recorded(name, case, jnp)
    before = Memory(
        np.array([NO_OWNER if owner is None else owner for owner in record["owner_before"]]),
        np.array(record["memory_before"]) > 0,
        np.zeros((task.n_agents, task.n_enemies), bool),
    )
    told = np.full((task.n_enemies, task.n_agents), GOLDEN[name]["prob_obs_enemy"] == 1)
    return program(look_around, task, jnp)(columns, units, before, told)


def look_around(
    task: Task, columns: Columns, units: Units, before: Memory, told: jax.Array
) -> Memory:
    n, alive = task.n_agents, units.health > 0
    sights = interface.in_sight(task, columns, units, None) & alive[:n, None]
    return look(before, sights[:, n:], alive[n:], jnp.arange(n), told, blanks=True)


def observations(task: Task, columns: Columns, units: Units, shown: Any) -> Any:
    xp, n, alive = array_namespace(units.x), task.n_agents, units.health > 0
    allies = (interface.in_sight(task, columns, units, None) & alive & alive[:n, None])[:, :n]
    near = interface.in_reach(task, columns, units, None)
    available = features.available_actions(task, columns, units, near)
    visible = xp.concat([allies, shown], axis=1)
    place = [units.x[:n] / 32, units.y[:n] / 32]
    return features.observe(task, columns, units, available, visible, place)


@every_case
def test_available_actions_are_smacv2s(name: str, case: int) -> None:
    task, columns, units, record = recorded(name, case, np)
    near = interface.in_reach(task, columns, units, None)
    near = near if GOLDEN[name]["action_mask"] else np.ones_like(near)
    available = features.available_actions(task, columns, units, near)
    np.testing.assert_array_equal(available, np.array(record["avail"], bool))


@every_case
def test_memories_of_enemies_are_smacv2s(name: str, case: int) -> None:
    after, record = looked(name, case), GOLDEN[name]["cases"][case]
    owner = [NO_OWNER if owner is None else owner for owner in record["owner_after"]]
    np.testing.assert_array_equal(after.owner, owner)
    np.testing.assert_array_equal(after.marks, np.array(record["memory_after"]) > 0)


@numpy_and_jax
@every_case
def test_observations_are_smacv2s(name: str, case: int, xp: ModuleType) -> None:
    task, columns, units, record = recorded(name, case, xp)
    shown = np.asarray(looked(name, case).shown)
    obs = program(observations, task, xp)(columns, units, shown)
    assert obs.dtype == np.float32
    np.testing.assert_allclose(obs, record["obs"], rtol=0, atol=1e-6)


@numpy_and_jax
@every_case
def test_the_global_state_is_smacv2s(name: str, case: int, xp: ModuleType) -> None:
    task, columns, units, record = recorded(name, case, xp)
    last = np.array(record["last_actions"] or [-1] * task.n_agents)
    state = program(features.global_state, task, xp)(columns, units, last)
    assert state.dtype == np.float32
    np.testing.assert_allclose(state, record["state"], rtol=0, atol=1e-6)


@numpy_and_jax
@every_case
def test_the_shaped_reward_is_smacv2s(name: str, case: int, xp: ModuleType) -> None:
    task, columns, after, record = recorded(name, case, xp)
    n = task.n_agents
    health, shield = after.health.copy(), after.shield.copy()
    health[n:], shield[n:] = record["prev_enemy_health"], record["prev_enemy_shield"]
    before = after._replace(health=health, shield=shield)
    reward = program(interface.reward, task, xp)(columns, before, after)
    # what was recorded pays no victory
    victory = 200 * bool(program(interface.outcome, task, xp)(columns, after).won)
    np.testing.assert_allclose(
        reward * max_reward(task, columns) / 20 - victory,
        record["reward_unscaled_shaped"],
        rtol=1e-6,
        atol=1e-4,
    )


def max_reward(task: Task, columns: Columns) -> float:
    enemies = slice(task.n_agents, None)
    shields = np.asarray(columns.shield_max[enemies]) if task.enemy_shields else 0.0
    endurance = np.asarray(columns.health_max[enemies]) + shields
    return float(endurance.sum()) + 10 * task.n_enemies + 200


@every_case
def test_battles_end_where_smacv2s_do(name: str, case: int) -> None:
    task, columns, units, record = recorded(name, case, np)
    ours, theirs = record.get("only_medivacs_left", (False, False))
    over, won = interface.outcome(task, columns, units)
    alive = units.health > 0
    we_lose = ours or not alive[: task.n_agents].any()
    they_lose = theirs or not alive[task.n_agents :].any()
    assert over == (we_lose or they_lose)
    assert won == (they_lose and not we_lose)


@pytest.mark.parametrize("name", GOLDEN)
def test_sizes_are_smacv2s(name: str) -> None:
    task, record = task_of(name), GOLDEN[name]
    assert task.n_actions == record["n_actions"]
    assert task.obs_size == record["obs_size"]
    assert task.state_size == record["state_size"]


# --- rewards and ends, by hand ------------------------------------------------------------------


def terran(*health: float) -> tuple[Task, Columns, Units]:
    """Four marines and a medivac against four marauders and a medivac."""
    task, zeros = Task("terran", "5v5"), np.zeros(10, np.float32)
    kinds = np.array([0, 0, 0, 0, 2, 1, 1, 1, 1, 2], np.int8)
    units = Units(zeros, zeros, np.array(health, np.float32), zeros, zeros, zeros)
    return task, interface.columns_of(task, kinds), units


OURS, THEIRS = (45, 45, 45, 45, 150), (125, 125, 125, 125, 150)


def test_a_perfect_battle_is_worth_twenty_whoever_is_drawn() -> None:
    task, columns, before = terran(*OURS, *THEIRS)
    after = before._replace(health=np.array([*OURS, 0, 0, 0, 0, 0], np.float32))
    # 650 health, five kills, the victory: 900, divided by 45
    assert interface.reward(task, columns, before, after) == pytest.approx(20)


def test_two_medivacs_alone_have_lost_too() -> None:
    task, columns, units = terran(*OURS, 0, 0, 0, 0, 150)
    assert interface.outcome(task, columns, units) == (True, True)


def test_where_both_sides_have_only_medivacs_it_is_a_defeat() -> None:
    task, columns, units = terran(0, 0, 0, 0, 150, 0, 0, 0, 0, 150)
    assert interface.outcome(task, columns, units) == (True, False)


def test_what_the_enemies_regain_reduces_a_reward_and_never_pays() -> None:
    task, columns, before = terran(*OURS, 125, 60, 125, 125, 150)
    healed = before._replace(health=np.array([*OURS, 125, 80, 125, 125, 150], np.float32))
    assert interface.reward(task, columns, before, healed) == 0
    mixed = before._replace(health=np.array([*OURS, 95, 80, 125, 125, 150], np.float32))
    assert interface.reward(task, columns, before, mixed) == pytest.approx((30 - 20) / 45)


def test_ranges_are_smacv2s() -> None:
    protoss = interface.columns_of(Task("protoss", "5v5"), np.array([0, 1, 2], np.int8))
    assert protoss.sight.tolist() == [10, 9, 10]
    assert protoss.reach.tolist() == [6, 2, 7]


# --- fields of view that are cones --------------------------------------------------------------


def one_looks(view: int, *others: tuple[float, float]) -> tuple[Task, Columns, Units, np.ndarray]:
    """A marine at (16, 16) with that view, which sees 9 cells and reaches 5, and marines there."""
    x, y = zip((16, 16), *others, strict=True)
    zeros = np.zeros(len(x), np.float32)
    units = Units(np.array(x, np.float32), np.array(y, np.float32), zeros + 45, *[zeros] * 3)
    task = Task("terran", "5v5", conic_fov=True)
    columns = program(interface.columns_of, task, jnp)(np.zeros(len(x), np.int8))
    return task, columns, units, np.full(5, view, np.int8)


AHEAD = 2.0  # eight cells to the east, two and more aside: 14.04°, 16.7°
FAR_AWAY = [(1.0, 1.0)] * 5


def test_a_cone_is_thirty_degrees_wide_and_as_long_as_the_sight() -> None:
    places = [(24, 16 + AHEAD), (24, 16 + 2.4), (25, 16), (25.01, 16)]
    task, columns, units, views = one_looks(0, *FAR_AWAY[:4], *places)
    seen = program(interface.in_sight, task, jnp)(columns, units, views)[0, 5:]
    assert seen.tolist() == [True, False, True, False]


def test_a_target_is_in_reach_if_it_is_in_the_cone() -> None:
    task, columns, units, views = one_looks(3, *FAR_AWAY[:4], (16.1, 20.9), (16.1, 11.1), (21, 16))
    near = program(interface.in_reach, task, jnp)(columns, units, views)[0, 5:]
    assert near.tolist() == [True, False, False]


def test_a_view_away_from_a_place_counts_as_straight_up_or_down() -> None:
    # to the north-west (120°); for what lies in the east, that is straight up
    task, columns, units, views = one_looks(4, *FAR_AWAY[:4], (17, 24), (12, 22.9), (20, 20))
    seen = program(interface.in_sight, task, jnp)(columns, units, views)[0, 5:]
    assert seen.tolist() == [True, True, False]
