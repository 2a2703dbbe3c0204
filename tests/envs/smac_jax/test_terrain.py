"""Walls, chokes and cliffs."""

import numpy as np
from numpy.testing import assert_allclose

from macpo.envs.smac_jax.grounds import GROUNDS, SIZE, drawn
from macpo.envs.smac_jax.terrain import STRAIGHT, enclosing, free, routes, stretches
from tests.support.arena import CLIFF, WALL, Arena

ROOM = drawn(
    6,
    """
    ################################
    ##......########################
    ##..^^..########################
    ##......########################
    """,
)


def cell(x: int, y: int) -> int:
    return y * SIZE + x


def test_a_drawing_begins_with_its_northern_row() -> None:
    assert len(ROOM) == SIZE
    assert ROOM[4][:8] == "##..^^.."
    assert enclosing(ROOM) == ((2, 8), (3, 6))


def test_only_some_units_cross_cliffs() -> None:
    assert free(ROOM)[4, :8].tolist() == [False] * 2 + [True] * 2 + [False] * 2 + [True] * 2
    assert free(ROOM, over_cliffs=True)[4, 2:8].all()


def test_free_ground_stretches_to_the_next_wall() -> None:
    west, east, south, north = stretches(free(ROOM))
    assert (west[cell(3, 4)], east[cell(3, 4)]) == (2, 4)
    assert (south[cell(3, 4)], north[cell(3, 4)]) == (3, 6)
    assert (south[cell(4, 5)], north[cell(4, 5)]) == (5, 6)


def turns(name: str, start: int, goal: int) -> list[tuple[int, int]]:
    """The cells at which the way from one cell to another turns."""
    ways, found = routes(GROUNDS[name]), []
    assert ways is not None
    corner = ways.corner.reshape(-1, SIZE * SIZE)
    while (start := int(corner[ways.node[start], goal])) != STRAIGHT:
        found.append((start % SIZE, start // SIZE))
    return found


def test_the_way_from_room_to_room_turns_at_the_gap_between_them() -> None:
    assert turns("corridor", cell(27, 20), cell(20, 18)) == []
    assert turns("corridor", cell(27, 20), cell(4, 4)) == [(16, 14), (13, 12)]


def test_the_way_up_to_the_colossi_leads_round_the_nearer_end_of_the_cliff() -> None:
    way = turns("2c_vs_64zg", cell(12, 9), cell(15, 15))
    assert all(x < 7 for x, _ in way)
    assert [y for _, y in way] == sorted(y for _, y in way)
    assert all(x > 24 for x, _ in turns("2c_vs_64zg", cell(20, 9), cell(17, 15)))


def test_from_every_cell_of_the_corridor_its_far_end_is_reached() -> None:
    for start in np.flatnonzero(free(GROUNDS["corridor"]).ravel()):
        assert len(turns("corridor", int(start), cell(4, 4))) <= 4


def test_rooms_without_corners_need_no_ways_around() -> None:
    assert routes(GROUNDS["bane_vs_bane"]) is None
    assert routes(GROUNDS["6h_vs_8z"]) is None


# --- units in front of walls ----------------------------------------------------------------------


def test_nobody_walks_into_a_wall_and_who_comes_at_an_angle_slides_along_it() -> None:
    arena = Arena(["zergling", "hydralisk"], ["target"], [(22, 5), (22, 10), (5, 5)])
    arena.steps(4, lambda: arena.go((2, 0), (2, 2)))
    assert_allclose(arena.battle.x[:2], [WALL - 0.375, WALL - 0.625], atol=1e-4)
    assert_allclose(arena.battle.y[0], 5, atol=1e-6)
    assert arena.battle.y[1] > 12


def test_who_attacks_across_a_wall_goes_through_the_gap() -> None:
    arena = Arena(["zergling"], ["target"], [(22, 10), (26, 10)])
    for _ in range(20):
        before = np.array([arena.battle.x[0], arena.battle.y[0]])
        arena.steps(1, arena.attack(1))
        after = np.array([arena.battle.x[0], arena.battle.y[0]])
        if before[0] < WALL <= after[0]:
            assert 15 <= after[1] < 17
    assert arena.battle.health[1] < 1e6


def test_enemies_who_advance_find_the_gap_and_a_unit_in_it_holds_it() -> None:
    places = [(24.5, 15.5), (24.5, 16.5), (29, 10), (29, 16), (29, 22)]
    allies, enemies = ["stalker dummy", "target"], ["zergling"] * 3
    arena = Arena(allies, enemies, places, health=[1e6, 1e6, 35, 35, 35])
    arena.battle = arena.battle._replace(
        goal_x=np.full(5, 5, np.float32), goal_y=np.full(5, 16, np.float32)
    )
    arena.steps(12, arena.stand())
    assert (np.asarray(arena.battle.x[2:]) > WALL).all()
    # nobody in the way: they get through
    arena.put(health={0: 0.0, 1: 0.0})
    arena.steps(8, arena.stand())
    assert (np.asarray(arena.battle.x[2:]) < WALL).all()


def test_a_colossus_crosses_a_cliff_that_stops_a_zergling() -> None:
    arena = Arena(["colossus", "zergling"], ["target"], [(10, 22), (14, 22), (5, 5)])
    arena.steps(4, lambda: arena.go((0, 2), (0, 2)))
    assert_allclose(arena.battle.y[:2], [22 + 4 * 1.125, CLIFF - 0.375], atol=1e-4)


def test_a_colossus_on_a_cliff_shoots_zerglings_that_cannot_come_up() -> None:
    arena = Arena(["colossus"], ["zergling"] * 3, [(10, 26), (10, 22), (11, 22), (14, 22)])
    arena.order(arena.attack(1))
    health = [battle.health[1:].tolist() for battle in arena.loops(20)]
    # the shot leaves in the third loop and lands six later: 2 × 20 on two who stand together
    assert health[7] == [35, 35, 35]
    assert health[8] == [0, 0, 35]
    assert_allclose(arena.battle.y[3], CLIFF - 0.375, atol=1e-4)
    assert (arena.battle.health[0], arena.battle.shield[0]) == (200, 150)


def test_rock_stops_a_colossus_too() -> None:
    arena = Arena(["colossus"], ["target"], [(22, 5), (5, 5)])
    arena.steps(4, lambda: arena.go((2, 0)))
    assert_allclose(arena.battle.x[0], WALL - 1, atol=1e-4)
