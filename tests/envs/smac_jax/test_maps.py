from typing import Any

import numpy as np
import pytest

from macpo.envs.smac_jax.maps import MAPS, battle_map, in_smaclite
from macpo.errors import UsageError

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
}


@pytest.mark.parametrize("name", list(START))
def test_sides_start_in_grids_around_their_points(name: str) -> None:
    allies, enemies = START[name]
    np.testing.assert_allclose(MAPS[name].start, [*allies, *enemies], atol=1e-5)


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
    separation = np.array([kind.separation for kind in here.kinds])
    apart = np.linalg.norm(here.start[:, None] - here.start, axis=-1)
    np.fill_diagonal(apart, np.inf)
    assert (apart >= separation[:, None] + separation - 1e-5).all()


def test_smaclites_walls_are_a_cell_further_in_and_its_bands_as_wide_as_the_map() -> None:
    assert in_smaclite(MAPS["3s_vs_5z"]).walkable == ((3, 29), (3, 29))
    assert in_smaclite(MAPS["MMM2"]).walkable == ((0, 32), (8, 24))


def test_an_unknown_map_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match="did you mean 'MMM2'"):
        battle_map("MMM22")
