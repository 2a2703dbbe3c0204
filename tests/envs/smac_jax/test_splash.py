"""Who is hit by beams and explosions, and the units that have them, in small fights by hand."""

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from macpo.envs.smac_jax.dynamics import NOBODY, Rules
from macpo.envs.smac_jax.splash import Splash, Units, in_beam, in_blast
from tests.support.arena import Arena

# --- areas --------------------------------------------------------------------------------------


def beam(x: float, y: float, rectangle: bool = False) -> bool:
    """Whether a unit of radius 0.375 there is on the line of a shot from the west at (0, 0)."""
    units = Units(*(jnp.full((1, 1), v, jnp.float32) for v in (x, y)), np.full((1, 1), 0.375))
    source, target = (jnp.array([-6.0]), jnp.zeros(1)), (jnp.zeros(1), jnp.zeros(1))
    return bool(in_beam(units, source, target, 1.25, rectangle)[0, 0])


def test_a_beam_lies_across_the_shot_and_is_a_line_of_circles() -> None:
    # circles of radius 0.15 from -1.25 to 1.25 touch a unit whose centre is 0.525 from theirs
    for y, reach in ((0.0, 0.525), (0.5, 0.525), (1.25, 0.525), (1.5, (0.525**2 - 0.25**2) ** 0.5)):
        for side in (-1, 1):
            assert beam(side * (reach - 0.001), side * y)
            assert not beam(side * (reach + 0.001), side * y)
    assert beam(0, 1.25 + 0.524)
    assert not beam(0, 1.25 + 0.526)
    # halfway between two circles their edge is a little nearer
    assert not beam(0.524, 0.125)


def test_smaclites_beam_is_a_rectangle() -> None:
    assert beam(0.524, 0.125, rectangle=True)
    assert beam(0.5, 1.3, rectangle=True)
    assert not beam(0.53, 1.2, rectangle=True)
    assert beam(0, 1.4, rectangle=True)  # the corners are at (0.15, 1.4)
    assert not beam(0, 1.41, rectangle=True)


def test_a_beam_turns_with_the_shot() -> None:
    units = Units(
        jnp.array([[1.0], [1.0]]), jnp.array([[1.0], [-1.0]]), np.full((2, 1), 0.375, np.float32)
    )
    source, target = (jnp.array([-4.0]), jnp.array([-4.0])), (jnp.zeros(1), jnp.zeros(1))
    assert in_beam(units, source, target, 1.25)[:, 0].tolist() == [False, True]


def test_a_blast_reaches_the_edges_of_units() -> None:
    x = jnp.array([[2.57], [2.58]])
    units = Units(x, jnp.zeros((2, 1)), np.full((2, 1), 0.375, np.float32))
    hit = in_blast(units, (jnp.zeros(1), jnp.zeros(1)), 2.2)
    assert hit[:, 0].tolist() == [True, False]


# --- Colossi ------------------------------------------------------------------------------------


def lost(arena: Arena, loops: int) -> np.ndarray:
    """[loops, U] health and shield that everybody loses in each loop."""
    battles = [arena.battle, *arena.loops(loops)]
    return -np.diff([np.asarray(b.health + b.shield) for b in battles], axis=0)


def test_a_colossus_hits_everybody_on_the_line_twice_and_its_own_side_never() -> None:
    places = [(10, 10), (15.5, 11.2), (15.5, 10), (15.5, 11), (16.1, 10), (15.5, 8.2)]
    allies, enemies = ["colossus", "target"], ["target", "marauder dummy", "target", "target"]
    arena = Arena(allies, enemies, places)
    arena.order(arena.attack(2, NOBODY))
    wounds = lost(arena, 10)
    # two loops until the shot leaves, six until it lands; a Marauder's armour counts twice
    assert np.flatnonzero(wounds.any(1)).tolist() == [8]
    assert_allclose(wounds[8], [0, 0, 40, 38, 0, 0])  # 0.6 behind, 1.8 aside: not hit


def test_a_colossus_walks_over_ground_units_and_they_walk_under_it() -> None:
    arena = Arena(["colossus", "zergling"], ["target"], [(10, 10), (10.3, 10), (20, 20)])
    arena.loops(1)
    assert_allclose(arena.battle.x[:2], [10, 10.3])


# --- Banelings ----------------------------------------------------------------------------------


def test_a_baneling_dies_and_hurts_the_clump_around_it_but_no_friend() -> None:
    places = [(10, 10), (9, 10), (10.9, 10), (10, 12), (10, 12.6), (9, 10.8)]
    enemies = ["target", "target", "target", "marauder dummy"]
    arena = Arena(["baneling", "zergling"], enemies, places)
    arena.order(arena.attack(2, NOBODY))
    wounds = lost(arena, 3)
    # 35 to the light, 20 less armour to a Marauder; 2.6 is beyond 2.2 and the radius
    assert_allclose(wounds[0], [30, 0, 35, 35, 0, 19], atol=1e-4)
    assert not wounds[1:].any()
    assert arena.battle.health[1] == 35


@pytest.mark.parametrize(("splash", "distance"), [("edge", 2.5), ("centre", 2.2)])
def test_whether_a_units_edge_or_its_centre_must_be_reached_is_a_rule(
    splash: Splash, distance: float
) -> None:
    arena = Arena(["baneling"], ["target"], [(10, 10), (12, 10)], rules=Rules(splash=splash))

    def is_hit(x: float) -> bool:
        battle = arena.battle._replace(x=np.array([[10.0], [x]]), y=np.array([[10.0], [10.0]]))
        others = arena.dynamics._others(battle, 0)
        return bool(in_blast(others, (battle.x[0], battle.y[0]), 2.2)[0, 0])

    assert is_hit(10 + distance) and not is_hit(10 + distance + 0.4)


def test_a_baneling_explodes_where_it_is_killed_and_only_once() -> None:
    arena = Arena(["baneling"], ["target", "target"], [(10, 10), (12, 10), (13, 10)])
    arena.put(health={0: 0.0})
    wounds = lost(arena, 3)
    assert_allclose(wounds[0], [0, 35, 0], atol=1e-4)
    assert not wounds[1:].any()


def test_a_baneling_comes_to_its_target_first() -> None:
    arena = Arena(["baneling"], ["target"], [(10, 10), (13, 10)])
    arena.order(arena.attack(1))
    battles = arena.loops(16)
    # from 3 cells to 0.25 + 0.75 at 0.15625 a loop
    assert [float(b.health[0]) for b in battles].index(0.0) == 13
    assert_allclose(battles[-1].health[1], 1e6 - 35)


def test_banelings_set_each_other_off() -> None:
    # each explosion takes 20 of the 30 that the next one has left less of
    places = [(10, 10), (14, 10), (12, 10), (16, 10)]
    health = [0.0, 18, 19, 30]
    arena = Arena(["baneling"] * 2, ["baneling", "zergling"], places, health=health)
    arena.battle = arena.battle._replace(
        health=jnp.array(health), fuse=jnp.array([True] * 3 + [False])
    )
    battles = arena.loops(3)
    dead = [(np.asarray(b.health) <= 0).tolist() for b in battles]
    assert dead == [
        [True, False, True, False],  # the first kills the enemy's
        [True, True, True, False],  # which kills our second
        [True, True, True, True],  # which kills the Zergling
    ]


def test_both_sides_can_lose_their_last_in_one_loop() -> None:
    arena = Arena(["baneling"], ["zergling"], [(10, 10), (10.8, 10)])
    arena.order(arena.attack(1))
    arena.loops(1)
    assert arena.battle.health.tolist() == [0, 0]


# --- Hydralisks, Zerglings and the Spine Crawler --------------------------------------------------


@pytest.mark.parametrize(
    ("gap", "loop"),
    # 3.3 loops until the shot leaves, then 40 cells a second; nearer by, 4.8 and at once
    [(4.5, 4 + 2), (0.6, 4 + 1), (0.5, 5), (0.1, 5)],
)
def test_a_hydralisk_has_a_second_weapon_for_who_is_near(gap: float, loop: int) -> None:
    arena = Arena(["hydralisk"], ["target"], [(10, 10), (11 + gap, 10)])
    arena.order(arena.attack(1))
    wounds = lost(arena, 12)[:, 1]
    assert np.flatnonzero(wounds).tolist() == [loop]
    assert_allclose(wounds[loop], 12, atol=0.1)


def test_zerg_regain_health_and_never_more_than_they_had() -> None:
    arena = Arena(["zergling", "hydralisk"], ["target"], [(10, 10), (12, 10), (20, 20)])
    arena.battle = arena.battle._replace(health=jnp.array([20.0, 79.99, 1e6]))
    arena.loops(16)
    assert_allclose(arena.battle.health[:2], [20 + 0.2734, 80], rtol=1e-6)


def test_the_dead_regain_nothing() -> None:
    arena = Arena(["zergling"], ["target"], [(10, 10), (20, 20)], health=[0, 1e6])
    arena.loops(3)
    assert arena.battle.health[0] == 0


@pytest.mark.parametrize(("victim", "expected"), [("stalker dummy", 30), ("target", 25)])
def test_a_spine_crawler_hits_the_armoured_harder(victim: str, expected: float) -> None:
    arena = Arena([victim], ["spine crawler"], [(10, 10), (16, 10)])
    wounds = lost(arena, 20)[:, 0]
    # 5.3 loops until the tentacle leaves, four until it arrives
    assert np.flatnonzero(wounds).tolist() == [10]
    assert_allclose(wounds[10], expected, atol=0.1)


def test_a_spine_crawler_stays_where_it_is() -> None:
    arena = Arena(["zergling"], ["spine crawler"], [(10, 10), (20, 10)])
    arena.order(arena.attack(1))
    arena.steps(20, arena.attack(1))
    assert_allclose([arena.battle.x[1], arena.battle.y[1]], [20, 10])
    assert arena.battle.target[1] == 0 or arena.battle.health[0] == 0
