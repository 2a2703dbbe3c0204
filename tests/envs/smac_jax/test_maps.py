from typing import Any

import numpy as np
import pytest

from macpo.envs.smac_jax.maps import MAPS, battle_map, in_smaclite
from macpo.errors import UsageError
from tests.support.paths import ROOT

# SMAC's table: agents, enemies, actions, observation, state, limit, largest reward
TABLE = {
    "3m": (3, 3, 9, 30, 48, 60, 365),
    "8m": (8, 8, 14, 80, 168, 120, 640),
    "25m": (25, 25, 31, 250, 950, 150, 1575),
    "5m_vs_6m": (5, 6, 12, 55, 98, 70, 530),
    "8m_vs_9m": (8, 9, 15, 85, 179, 120, 695),
    "10m_vs_11m": (10, 11, 17, 105, 243, 150, 805),
    "27m_vs_30m": (27, 30, 36, 285, 1170, 180, 1850),
    "MMM": (10, 10, 16, 160, 290, 150, 1015),
    "MMM2": (10, 12, 18, 176, 322, 180, 1205),
    "2s3z": (5, 5, 11, 80, 120, 120, 1020),
    "3s5z": (8, 8, 14, 128, 216, 150, 1510),
    "3s5z_vs_3s6z": (8, 9, 15, 136, 230, 170, 1670),
    "3s_vs_3z": (3, 3, 9, 36, 54, 150, 680),
    "3s_vs_4z": (3, 4, 10, 42, 61, 200, 840),
    "3s_vs_5z": (3, 5, 11, 48, 68, 250, 1000),
    "2m_vs_1z": (2, 1, 7, 16, 26, 150, 360),
    "1c3s5z": (9, 9, 15, 162, 270, 180, 1870),
    "2c_vs_64zg": (2, 64, 70, 332, 342, 400, 3080),
    "2s_vs_1sc": (2, 1, 7, 17, 27, 300, 510),
    "so_many_baneling": (7, 32, 38, 202, 397, 100, 1480),
    "bane_vs_bane": (24, 24, 30, 336, 984, 200, 1260),
    "corridor": (6, 24, 30, 156, 282, 400, 1280),
    "6h_vs_8z": (6, 8, 14, 78, 140, 150, 1480),
}


def test_every_map_is_in_the_table() -> None:
    assert set(MAPS) == set(TABLE)


@pytest.mark.parametrize("name", list(MAPS))
def test_sizes_limits_and_rewards_are_smacs(name: str) -> None:
    here = MAPS[name]
    sizes = (here.n_agents, here.n_enemies, here.n_actions, here.obs_size, here.state_size)
    assert (*sizes, here.episode_limit, here.max_reward) == TABLE[name]


def test_kinds_have_columns_in_smacs_order() -> None:
    assert MAPS["MMM2"].type_index.tolist() == [0, 0] + [1] * 7 + [2] + [1] * 8 + [0] * 3 + [2]
    # our Stalkers come first, the enemies' second
    assert MAPS["2s3z"].type_index.tolist() == [0, 0, 1, 1, 1, 1, 1, 0, 0, 0]
    # with a Colossus among them, both sides' follow it in one order
    assert MAPS["1c3s5z"].type_index.tolist() == [0, 1, 1, 1, 2, 2, 2, 2, 2] * 2
    assert MAPS["bane_vs_bane"].type_index.tolist() == [0] * 4 + [1] * 40 + [0] * 4


@pytest.mark.parametrize(
    ("name", "races"),
    [
        *(("MMM2", "TT"), ("3s_vs_5z", "PP"), ("2m_vs_1z", "TP"), ("1c3s5z", "PP")),
        *(("2c_vs_64zg", "PZ"), ("2s_vs_1sc", "PZ"), ("bane_vs_bane", "ZZ"), ("6h_vs_8z", "ZP")),
    ],
)
def test_each_side_is_of_one_race(name: str, races: str) -> None:
    here = MAPS[name]
    sides = here.kinds[: here.n_agents], here.kinds[here.n_agents :]
    assert [{kind.race for kind in side} for side in sides] == [set(race) for race in races]


# where SMAClite puts them (commit 0d6abbe); its agents are numbered otherwise
START = {
    "3s_vs_5z": (
        [(8.375, 15.35), (8.375, 16.65), (9.675, 15.35)],
        [(24.0, 16.55), (22.95, 16.55), (21.9, 16.55), (24.0, 15.5), (22.95, 15.5)],
    ),
    "5m_vs_6m": (
        [(8.25, 15.575), (8.25, 16.375), (9.05, 15.575), (9.05, 16.375), (9.85, 15.575)],
        [(x, y) for y in (16.425, 15.625) for x in (23.75, 22.95, 22.15)],
    ),
    "2c_vs_64zg": (
        [(15.0, 15.975), (17.05, 15.975)],
        [(18.625 - 0.8 * column, 11.8 - 0.8 * row) for row in range(8) for column in range(8)],
    ),
    "bane_vs_bane": (
        [(x, y) for x in (15.625, 16.425) for y in (7.6, 8.4)]  # around a point of their own
        + [(14.5 + 0.8 * column, 9.775 + 0.8 * row) for column in range(5) for row in range(4)],
        [(17.5 - 0.8 * column, 22.225 - 0.8 * row) for row in range(4) for column in range(5)]
        + [(x, y) for y in (24.4, 23.6) for x in (16.375, 15.575)],
    ),
}


@pytest.mark.parametrize("name", list(START))
def test_sides_start_in_grids_around_their_points(name: str) -> None:
    allies, enemies = START[name]
    np.testing.assert_allclose(MAPS[name].start, [*allies, *enemies], atol=1e-5)


def test_a_grid_that_reaches_beyond_the_ground_is_shifted() -> None:
    # six columns and rows around (27.91, 28.24)
    place = MAPS["so_many_baneling"].start[7:]
    np.testing.assert_allclose(place[:, 1].max(), 30 - 0.375, atol=1e-5)
    np.testing.assert_allclose(place[:, 1].min(), 30 - 0.375 - 5 * 0.8, atol=1e-5)
    assert 30 - 0.375 < place[:, 0].max() < 30  # whose centres are on it may stay


@pytest.mark.parametrize("name", list(MAPS))
def test_agents_are_numbered_by_kind_then_place(name: str) -> None:
    here = MAPS[name]
    n = here.n_agents
    rows = [
        (kind, *place) for kind, place in zip(here.type_index, here.start.tolist(), strict=True)
    ]
    assert rows[:n] == sorted(rows[:n])


@pytest.mark.parametrize("form", [lambda here: here, in_smaclite], ids=["game", "smaclite"])
@pytest.mark.parametrize("name", list(MAPS))
def test_everybody_starts_on_walkable_ground_and_apart(name: str, form: Any) -> None:
    here = form(MAPS[name])
    (left, right), (bottom, top) = here.walkable
    x, y = here.start.T
    assert ((x >= left) & (x < right) & (y >= bottom) & (y < top)).all()
    assert here.ground is None or here.ground[y.astype(int), x.astype(int)].all()
    separation = np.array([kind.separation for kind in here.kinds])
    apart = np.linalg.norm(here.start[:, None] - here.start, axis=-1)
    np.fill_diagonal(apart, np.inf)
    same = np.array([kind.strides for kind in here.kinds])
    collide = same[:, None] == same
    assert (collide * (separation[:, None] + separation) <= apart + 1e-5).all()


def test_smaclites_walls_are_a_cell_further_in_and_its_bands_as_wide_as_the_map() -> None:
    assert in_smaclite(MAPS["3s_vs_5z"]).walkable == ((3, 29), (3, 29))
    assert in_smaclite(MAPS["MMM2"]).walkable == ((0, 32), (8, 24))


# rows of the recorded grids (y: where it is walkable), counted from the map files
@pytest.mark.parametrize(
    ("name", "row", "stretches"),
    [
        ("corridor", 12, [(2, 15)]),
        ("corridor", 13, [(11, 26)]),
        ("2c_vs_64zg", 12, [(2, 4), (28, 30)]),  # two ways around the cliff
        ("2c_vs_64zg", 5, [(4, 28)]),
        ("6h_vs_8z", 7, [(10, 20)]),
    ],
)
def test_the_ground_is_walkable_where_it_is_drawn(
    name: str, row: int, stretches: list[tuple[int, int]]
) -> None:
    ground = MAPS[name].ground
    assert ground is not None
    columns = np.arange(32)
    expected = np.any([(columns >= west) & (columns < east) for west, east in stretches], 0)
    np.testing.assert_array_equal(ground[row], expected)


def test_an_unknown_map_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match="did you mean 'MMM2'"):
        battle_map("MMM22")


def test_the_documentation_lists_all_maps_with_their_sizes() -> None:
    text = (ROOT / "docs" / "starcraft.md").read_text()
    table = text[text.index("| map | agents | enemies |") :].split("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    documented = {row[0]: tuple(map(int, row[3:])) for row in rows}
    assert documented == {name: (*row[2:5], row[5]) for name, row in TABLE.items()}
