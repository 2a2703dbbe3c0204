"""How battles go on, in small fights worked out by hand (game data: Liberty, in loops)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from macpo.envs.smac_jax.dynamics import NOBODY, Dynamics, Orders, Rules, beginning
from macpo.envs.smac_jax.maps import BattleMap
from tests.support.arena import Arena

# --- moving -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "cells"),
    [("marine", 1.125), ("marauder", 1.125), ("zealot", 1.125), ("stalker", 1.47655)],
)
def test_a_step_takes_a_unit_as_far_as_its_speed(kind: str, cells: float) -> None:
    arena = Arena([kind], ["target"], [(10, 10), (30, 30)])
    arena.steps(1, arena.go((2, 0)))
    assert_allclose(arena.battle.x[0], 10 + cells, atol=1e-4)
    assert_allclose(arena.battle.y[0], 10, atol=1e-6)


def test_who_walks_does_not_wait_for_slower_friends() -> None:
    arena = Arena(["zealot", "stalker"], ["target"], [(10, 10), (10, 12), (30, 30)])
    arena.steps(1, arena.go((2, 0), (2, 0)))
    assert_allclose(arena.battle.x[:2] - 10, [1.125, 1.47655], atol=1e-4)


def test_a_medivac_does_not_outrun_those_it_heals() -> None:
    arena = Arena(["medivac", "marine"], ["target"], [(10, 10), (10, 12), (30, 30)])
    arena.steps(10, lambda: arena.go((2, 0), (2, 0)))
    before = arena.battle.x
    arena.steps(1, arena.go((2, 0), (2, 0)))
    assert_allclose(arena.battle.x[:2] - before[:2], [1.125, 1.125], atol=1e-4)


def test_a_medivac_takes_off_slowly() -> None:
    arena = Arena(["medivac", "marine"], ["target"], [(10, 10), (5, 5), (30, 30)])
    arena.steps(1, arena.go((2, 0), (2, 0)))
    # 1 + 2 + … + 8 = 36 times the speed it gains in a loop
    assert_allclose(arena.battle.x[0] - 10, 36 * 2.3125 / 256, atol=1e-4)


def test_a_walk_ends_where_it_was_to_end() -> None:
    arena = Arena(["marine"], ["target"], [(10, 10), (30, 30)])
    arena.steps(1, arena.go((0.3, 0.4)))
    assert_allclose([arena.battle.x[0], arena.battle.y[0]], [10.3, 10.4], atol=1e-5)


def test_nobody_leaves_the_ground() -> None:
    arena = Arena(["marine", "stalker"], ["target"], [(1, 10), (31, 30), (16, 30)])
    arena.steps(3, lambda: arena.go((-2, 0), (2, 2)))
    assert_allclose(arena.battle.x[:2], [0.375, 32 - 0.625], atol=1e-4)
    assert_allclose(arena.battle.y[1], 32 - 0.625, atol=1e-4)


# --- standing in the way ------------------------------------------------------------------------


def residual_overlap(arena: Arena) -> float:
    battle, separation = arena.battle, arena.dynamics.units.separation[..., 0]
    apart = np.hypot(battle.x - battle.x[:, None], battle.y - battle.y[:, None])
    return float((separation - apart).max())


def test_overlapping_units_are_apart_after_five_loops() -> None:
    places = [(16, 16), (16, 16), (16.2, 16.1), (15.9, 16.3), (30, 30)]
    arena = Arena(["marine"] * 4, ["target"], places)
    arena.loops(5)
    assert residual_overlap(arena) < 0.05


def test_two_who_meet_head_on_pass_each_other() -> None:
    arena = Arena(["marine", "marine"], ["target"], [(10, 10), (14, 10), (30, 30)])
    orders = arena.go((8, 0), (-8, 0))
    arena.steps(8, orders)
    assert arena.battle.x[0] > 15
    assert arena.battle.x[1] < 9


def test_one_who_fights_is_not_pushed_away() -> None:
    arena = Arena(["zealot", "marine"], ["target"], [(15, 16), (12, 16), (15.9, 16)])
    arena.order(arena.attack(2, NOBODY))
    orders = arena.go((0, 0), (8, 0))._replace(target=np.array([2, NOBODY]))
    arena.steps(6, orders)
    assert_allclose([arena.battle.x[0], arena.battle.y[0]], [15, 16], atol=1e-6)
    assert arena.battle.x[1] > 16.5  # found its way around


def test_flyers_pass_over_ground_units() -> None:
    places = [(10, 10), (10.5, 10), (30, 30)]
    arena = Arena(["medivac", "marine"], ["target"], places)
    arena.loops(1)
    assert_allclose(arena.battle.x, [10, 10.5, 30])


def test_five_zealots_surround_who_stands_still() -> None:
    places = [(10, 16), *((16 + i, 15.5 + i % 2) for i in range(5))]
    arena = Arena(["stalker dummy"], ["zealot"] * 5, places, health=[1e6] + [100] * 5)
    arena.steps(16, arena.stand())
    gap = np.hypot(arena.battle.x - 10, arena.battle.y - 16)[1:] - 0.625 - 0.5
    assert (gap <= 0.1 + 1e-3).sum() == 5


# --- shooting -----------------------------------------------------------------------------------


def lost(arena: Arena, unit: int) -> np.ndarray:
    """Health and shield that a unit loses, loop by loop, over 60 loops."""
    before = float(arena.battle.health[unit] + arena.battle.shield[unit])
    left = [float(b.health[unit] + b.shield[unit]) for b in arena.loops(60)]
    return -np.diff([before, *left])


def test_a_marine_shoots_six_a_loop_after_its_attack_began_and_every_14_loops() -> None:
    arena = Arena(["marine"], ["target"], [(10, 10), (15, 10)])
    arena.order(arena.attack(1))
    wounds = lost(arena, 1)
    # 13.77 loops from shot to shot: what is left of a loop counts towards the next
    assert np.flatnonzero(wounds).tolist() == [1, 15, 29, 43, 57]
    assert_allclose(wounds[wounds > 0], 6, atol=0.1)


@pytest.mark.parametrize(
    ("kind", "victim", "expected"),
    [
        ("marine", "marine dummy", 6),
        ("marine", "marauder dummy", 6 - 1),
        ("marauder", "marine dummy", 10),
        ("marauder", "marauder dummy", 10 + 10 - 1),
        ("stalker", "marine dummy", 10),
        ("stalker", "marauder dummy", 10 + 4 - 1),
        ("zealot", "marauder dummy", 8 - 1),
    ],
)
def test_a_hit_is_damage_and_bonus_less_armour(kind: str, victim: str, expected: float) -> None:
    arena = Arena([kind], [victim], [(10, 10), (10.9, 10)])
    arena.order(arena.attack(1))
    wounds = lost(arena, 1)
    assert_allclose(wounds[wounds > 0][0], expected)


@pytest.mark.parametrize(
    ("kind", "rate"),
    [
        ("marine", 6 / (13.7728 + 0.5)),
        ("stalker", 10 / (23.04 + 0.5)),
        ("zealot", 2 * 8 / (19.2 + 0.5)),
        ("marauder", 10 / (24 + 0.5)),
    ],
)
def test_damage_rates_are_those_of_the_game_data(kind: str, rate: float) -> None:
    arena = Arena([kind], ["target"], [(10, 10), (10.9, 10)])
    arena.steps(250, arena.attack(1), seed=0)
    dealt = 1e6 - float(arena.battle.health[1])
    assert_allclose(dealt / 2000, rate, rtol=0.02)


def test_a_missile_takes_its_time_and_lands_though_its_shooter_has_died() -> None:
    arena = Arena(["marauder"], ["target"], [(10, 10), (16, 10)], rules=Rules(respond=False))
    arena.order(arena.attack(1))
    gap = 6 - 0.5625 - 0.375
    arena.loops(1)
    arena.put(health={0: 0.0})
    wounds = lost(arena, 1)
    assert np.flatnonzero(wounds).tolist() == [int(np.ceil(gap / 1.25)) - 1]


def test_a_zealots_second_blow_follows_its_first_unless_it_dies() -> None:
    arena = Arena(["zealot"], ["target"], [(10, 10), (10.9, 10)])
    arena.order(arena.attack(1))
    assert np.flatnonzero(lost(arena, 1)).tolist()[:2] == [0, 5]  # 4.48 loops later
    arena = Arena(["zealot"], ["target"], [(10, 10), (10.9, 10)])
    arena.order(arena.attack(1))
    arena.loops(2)
    arena.put(health={0: 0.0})
    assert not lost(arena, 1).any()


def test_shields_take_damage_without_armour_and_health_the_rest_with_it() -> None:
    arena = Arena(
        ["marauder"], ["stalker dummy"], [(10, 10), (12, 10)], shield=[0, 4.0], health=[125, 80]
    )
    arena.battle = arena.battle._replace(shield_delay=np.array([0.0, 99.0]))
    arena.order(arena.attack(1))
    arena.loops(6)
    assert arena.battle.shield[1] == 0
    assert_allclose(arena.battle.health[1], 80 - (20 - 4 - 1))


def test_a_hit_that_armour_would_swallow_does_half_a_point() -> None:
    arena = Arena(
        ["marine"], ["stalker dummy"], [(10, 10), (12, 10)], shield=[0, 5.5], health=[45, 80]
    )
    arena.battle = arena.battle._replace(shield_delay=np.array([0.0, 99.0]))
    arena.order(arena.attack(1))
    arena.loops(2)
    assert_allclose(arena.battle.health[1], 79.5)


def test_hits_of_one_loop_fall_on_the_shield_one_after_another() -> None:
    places = [(10, 10), (10, 12), (12, 11)]
    arena = Arena(["marine"] * 2, ["stalker dummy"], places, shield=[0, 0, 8.0])
    arena.battle = arena.battle._replace(shield_delay=np.array([0.0, 0.0, 99.0]))
    arena.order(arena.attack(2, 2))
    arena.loops(2)
    assert arena.battle.shield[2] == 0
    assert_allclose(arena.battle.health[2], 80 - (4 - 1))  # 6 + 2 into the shield, 4 through it


def test_two_can_kill_each_other_in_the_same_loop() -> None:
    arena = Arena(["marine"], ["marine"], [(10, 10), (12, 10)], health=[6, 6])
    arena.order(arena.attack(1))
    arena.loops(3)
    assert arena.battle.health.tolist() == [0, 0]


def test_shields_regenerate_once_160_loops_have_passed_without_damage() -> None:
    arena = Arena(["stalker dummy"], ["target"], [(10, 10), (30, 30)], shield=[40, 0])
    arena.battle = arena.battle._replace(shield_delay=np.array([160.0, 0.0]))
    battles = arena.loops(168)
    assert battles[158].shield[0] == 40
    assert_allclose(battles[-1].shield[0], 40 + 9 * 0.125)


def test_damage_restarts_the_shields_delay() -> None:
    arena = Arena(["marine"], ["stalker dummy"], [(10, 10), (12, 10)])
    arena.order(arena.attack(1))
    arena.loops(2)
    assert arena.battle.shield_delay[1] == 160


# --- orders -------------------------------------------------------------------------------------


def test_who_stops_shoots_nobody_not_even_who_shoots_him() -> None:
    arena = Arena(["stalker"], ["marine"], [(10, 10), (12, 10)])
    arena.steps(5, arena.stand())
    assert arena.battle.health[1] == 45
    assert arena.battle.shield[0] < 80


def test_who_is_ordered_to_attack_from_afar_comes_near_first() -> None:
    arena = Arena(["marine"], ["target"], [(10, 10), (16.5, 10)])
    arena.steps(3, arena.attack(1))
    assert arena.battle.health[1] < 1e6
    gap = float(arena.battle.x[1] - arena.battle.x[0]) - 0.75
    assert 5 - 0.1407 <= gap <= 5


def test_walking_off_breaks_off_an_attack_just_begun_at_no_cost() -> None:
    arena = Arena(["stalker"], ["target"], [(10, 10), (15, 10)])
    arena.order(arena.attack(1))
    arena.loops(2)
    assert arena.battle.windup[0] > 0
    arena.order(arena.go((-2, 0)))
    assert arena.battle.windup[0] == -1
    assert arena.battle.cooldown[0] == 0
    arena.loops(8)
    assert arena.battle.health[1] == 1e6


def test_a_target_that_slips_away_a_little_is_still_hit() -> None:
    def stalker_shoots_at(distance: float) -> float:
        arena = Arena(["stalker"], ["target"], [(10, 10), (15, 10)])
        arena.order(arena.attack(1))
        arena.loops(1)
        arena.put(x={1: 10 + distance})
        arena.loops(10)
        return float(arena.battle.health[1])

    reach = 6 + 0.625 + 0.375
    assert stalker_shoots_at(reach + 0.9) < 1e6
    assert stalker_shoots_at(reach + 1.5) == 1e6


@pytest.mark.parametrize(
    ("kind", "range_and_radius", "slop"),
    [("marine", 5.375, 1), ("stalker", 6.625, 1), ("spine crawler", 7.875, 0)],
)
def test_an_enemy_too_hits_a_target_that_slips_away_by_no_more_than_its_slop(
    kind: str, range_and_radius: float, slop: float
) -> None:
    def health_at(distance: float) -> float:
        arena = Arena(["target"], [kind], [(10, 10), (15, 10)])
        while arena.battle.windup[1] < 0:
            arena.loops(1)
        arena.put(x={0: float(arena.battle.x[1]) - distance})
        arena.loops(12)
        return float(arena.battle.health[0])

    reach = range_and_radius + 0.375 + slop
    assert health_at(reach - 0.1) < 1e6
    assert health_at(reach + 0.1) == 1e6


def test_a_target_that_slips_away_from_a_colossus_is_not_hit() -> None:
    def shoots_at(distance: float) -> bool:
        arena = Arena(["colossus"], ["target"], [(10, 10), (15, 10)])
        arena.order(arena.attack(1))
        arena.loops(1)
        assert arena.battle.windup[0] > 0
        arena.put(x={1: 10 + distance})
        arena.loops(2)
        return bool(arena.battle.hit_in[0] > 0)

    reach = 6 + 1 + 0.375
    assert shoots_at(reach - 0.1)
    assert not shoots_at(reach + 0.1)


def test_an_order_ends_with_its_target() -> None:
    arena = Arena(["marine"], ["marine dummy", "target"], [(10, 10), (12, 10), (13, 10)])
    arena.battle = arena.battle._replace(health=np.array([45.0, 6.0, 1e6]))
    arena.order(arena.attack(1))
    arena.loops(40)
    assert arena.battle.health[1] == 0
    assert arena.battle.target[0] == NOBODY
    assert arena.battle.health[2] == 1e6


# --- the computer's side ------------------------------------------------------------------------


def test_enemies_walk_to_their_goal_until_somebody_is_within_five_cells_of_their_edge() -> None:
    arena = Arena(["stalker dummy"], ["zealot"], [(10, 16), (17, 16)])
    gap = 7 - 0.625 - 0.5
    for battle in arena.loops(20):
        expected = 0 if gap <= 5 else NOBODY
        assert battle.target[1] == expected
        gap = float(battle.x[1] - battle.x[0]) - 1.125


def test_an_enemy_takes_up_a_fight_with_who_aims_at_it_from_afar() -> None:
    places = [(10, 10), (20, 10)]
    arena = Arena(["marine"], ["zealot"], places)
    arena.order(arena.attack(1))
    arena.loops(1)
    assert arena.battle.target[1] == 0
    arena = Arena(["marine"], ["zealot"], places, rules=Rules(respond=False))
    arena.order(arena.attack(1))
    arena.loops(1)
    assert arena.battle.target[1] == NOBODY


def test_an_enemy_prefers_the_nearest_and_keeps_it_within_its_leash() -> None:
    arena = Arena(["marine", "marine"], ["zealot"], [(10, 10), (10, 14), (13, 11)])
    arena.loops(1)
    assert arena.battle.target[2] == 0
    arena.put(x={0: 7.5}, y={1: 11.0})
    arena.loops(1)
    assert arena.battle.target[2] == 0  # 5.x cells: farther than the other, but not lost
    arena.put(x={0: 5.0})
    arena.loops(1)
    assert arena.battle.target[2] == 1


def test_a_medivac_is_shot_at_last_unless_it_heals() -> None:
    places = [(10, 10), (12, 13), (12, 10)]
    arena = Arena(["medivac", "marine"], ["marine"], places)
    arena.loops(1)
    assert arena.battle.target[2] == 1  # farther away, but armed
    arena = Arena(["medivac", "marine"], ["marine"], places, health=[150, 20, 45])
    arena.order(arena.attack(1, NOBODY))
    arena.loops(1)
    assert arena.battle.target[2] == 0


# --- healing ------------------------------------------------------------------------------------


def test_a_medivac_gives_nine_health_a_second_for_a_third_of_a_point_of_energy_each() -> None:
    places = [(10, 10), (12, 10), (30, 30)]
    arena = Arena(["medivac", "marine"], ["target"], places, health=[150, 5, 1e6])
    arena.order(arena.attack(1, NOBODY))
    arena.loops(16)
    assert_allclose(arena.battle.health[1], 5 + 9, atol=1e-4)
    assert_allclose(arena.battle.energy[0], 50 + 0.5625 - 9 * 0.33, atol=1e-4)


def test_a_medivac_never_heals_beyond_full_health() -> None:
    places = [(10, 10), (12, 10), (30, 30)]
    arena = Arena(["medivac", "marine"], ["target"], places, health=[150, 44.9, 1e6])
    arena.order(arena.attack(1, NOBODY))
    arena.loops(2)
    assert arena.battle.health[1] == 45
    assert_allclose(arena.battle.energy[0], 50 + 2 * 0.5625 / 16 - 0.1 * 0.33, atol=1e-5)


@pytest.mark.parametrize(("patient", "given"), [(2, 0.7 - 0.5625), (3, 0.5625)])
def test_of_two_medivacs_the_second_gives_what_the_first_leaves(patient: int, given: float) -> None:
    places = [(10, 10), (10, 12), (12, 10), (12, 12), (30, 30)]
    health = [150, 150, 44.3, 5, 1e6]
    arena = Arena(["medivac", "medivac", "marine", "marine"], ["target"], places, health=health)
    arena.order(arena.attack(2, patient, NOBODY, NOBODY))
    arena.loops(1)
    gained = {2: 0.5625, 3: 0.0}
    gained[patient] += given
    assert_allclose(arena.battle.health[2:4], [44.3 + gained[2], 5 + gained[3]], atol=1e-5)
    left = 50 + 0.5625 / 16 - np.array([0.5625, given]) * 0.33
    assert_allclose(arena.battle.energy[:2], left, atol=1e-5)


def test_a_medivac_without_energy_heals_what_its_energy_is_worth() -> None:
    places = [(10, 10), (12, 10), (30, 30)]
    arena = Arena(["medivac", "marine"], ["target"], places, health=[150, 5, 1e6], energy=[0, 0, 0])
    arena.order(arena.attack(1, NOBODY))
    arena.loops(1)
    assert_allclose(arena.battle.health[1], 5 + 0.5625 / 16 / 0.33, atol=1e-5)


def test_an_enemy_medivac_heals_who_has_the_least_share_of_health() -> None:
    places = [(2, 2), (20, 20), (22, 20), (20, 22)]
    arena = Arena(["target"], ["medivac", "marine", "marauder"], places, health=[1e6, 150, 30, 60])
    arena.loops(1)
    assert arena.battle.target[1] == 3  # 60 of 125 is less than 30 of 45
    assert arena.battle.health[3] > 60


def test_an_enemy_medivac_does_not_begin_with_less_than_five_points_of_energy() -> None:
    places = [(2, 2), (20, 20), (22, 20)]
    start = {"health": [1e6, 150, 30], "energy": [0, 4.9, 0]}
    arena = Arena(["target"], ["medivac", "marine"], places, **start)
    arena.loops(3)  # after which 0.105 is regained
    assert arena.battle.target[1] == NOBODY
    arena.loops(1)
    assert arena.battle.target[1] == 2


# --- whole battles ------------------------------------------------------------------------------


def test_marines_on_both_sides_of_a_mirror_win_as_often() -> None:
    here = BattleMap("mirror", ("marine",) * 5, ("marine",) * 5, 100)
    dynamics = Dynamics(here, here.roster, Rules(), computer_allies=True)
    n, games = 5, 400
    start = beginning(here)
    ours = np.arange(10) < n
    start = start._replace(
        walks=np.ones(10, bool),
        goal_x=jnp.where(ours, here.enemy_spawns[0][0], start.goal_x),
        goal_y=jnp.where(ours, here.enemy_spawns[0][1], start.goal_y),
    )

    @jax.jit
    def play(key: jax.Array) -> jax.Array:
        battle = jax.tree.map(lambda x: jnp.repeat(x[:, None], games, 1), start)

        def step(battle, key):
            noise = jax.random.uniform(key, battle.x.shape, minval=-1.0, maxval=2.0)
            orders = Orders(
                *(x[:n] for x in (battle.target, battle.goal_x, battle.goal_y, battle.walks))
            )
            return dynamics.step(battle, orders, noise), None

        return jax.lax.scan(step, battle, jax.random.split(key, 60))[0].health

    health = np.asarray(play(jax.random.key(0)))
    ours_left, theirs_left = (health[:n] > 0).any(0), (health[n:] > 0).any(0)
    assert not (ours_left & theirs_left).any()
    assert abs(ours_left.mean() - theirs_left.mean()) / 2 < 0.05
