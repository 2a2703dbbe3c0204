"""Teams and starts, by the published rules and against draws of the real distributions."""

import functools
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from macpo.envs.smac_jax.roster import roster_of
from macpo.envs.smacv2_jax.tasks import WEIGHTS, Race, Task, Teams
from macpo.envs.smacv2_jax.teams import FAR, NEAR, draw_places, draw_teams, settle
from tests.support.paths import DATA

PUBLISHED = json.loads((DATA / "smacv2_sampling_stats.json").read_text())
N = 10_000
CRITICAL = (10.83, 13.82, 16.27, 18.47)
"""What chi-square with 1, 2, … degrees of freedom exceeds once in a thousand."""
RACES: tuple[Race, ...] = ("terran", "protoss", "zerg")
every_race = pytest.mark.parametrize("race", RACES)


@functools.cache
def drawn(what: Callable[..., Any], race: Race, teams: Teams) -> np.ndarray:
    """N draws for a task."""
    keys = jax.random.split(jax.random.key(0), N)
    return np.asarray(jax.jit(jax.vmap(lambda key: what(key, Task(race, teams))))(keys))


def assert_distributed(counts: Sequence[float], chances: Sequence[float]) -> None:
    expected = sum(counts) * np.array(chances)
    assert expected.sum() == pytest.approx(sum(counts)) and expected.min() > 5
    assert ((counts - expected) ** 2 / expected).sum() < CRITICAL[len(counts) - 2]


def of_rare(size: int, may_be_all: bool) -> list[float]:
    """The probabilities of 0, 1, … units of the rare kind in a team."""
    chance = [math.comb(size, k) * 0.1**k * 0.9 ** (size - k) for k in range(size + 1)]
    return chance if may_be_all else [x / (1 - chance[-1]) for x in chance[:-1]]


# --- teams --------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 2, 4])
@every_race
def test_every_ally_s_kind_has_its_weight(race: Race, place: int) -> None:
    kinds = drawn(draw_teams, race, "5v5")[:, place]
    assert_distributed(np.bincount(kinds, minlength=3).tolist(), WEIGHTS)


@every_race
def test_members_of_a_team_are_independent(race: Race) -> None:
    rare = (drawn(draw_teams, race, "5v5")[:, :5] == 2).sum(1)
    chances = of_rare(5, race == "protoss")
    counts = np.bincount(np.minimum(rare, 3), minlength=4).tolist()
    assert_distributed(counts, [*chances[:3], sum(chances[3:])])


@every_race
@pytest.mark.parametrize("teams", ["5v5", "10v11", "20v23"])
def test_the_first_enemies_are_a_copy_of_the_allies(race: Race, teams: Teams) -> None:
    kinds, n = drawn(draw_teams, race, teams), Task(race, teams).n_agents
    assert_array_equal(kinds[:, :n], kinds[:, n : 2 * n])


def test_a_single_further_enemy_is_of_the_rare_kind_only_for_protoss() -> None:
    for race in RACES:
        counts = np.bincount(drawn(draw_teams, race, "10v11")[:, -1], minlength=3).tolist()
        if race == "protoss":
            assert_distributed(counts, WEIGHTS)
        else:
            assert counts[2] == 0
            assert_distributed(counts[:2], (0.5, 0.5))


@every_race
def test_three_further_enemies_are_not_all_of_the_rare_kind_but_for_protoss(race: Race) -> None:
    rare = (drawn(draw_teams, race, "20v23")[:, -3:] == 2).sum(1)
    chances = of_rare(3, race == "protoss")
    counts = np.bincount(rare, minlength=4)
    if race == "protoss":
        assert_distributed([*counts[:2], counts[2:].sum()], [*chances[:2], sum(chances[2:])])
    else:
        assert counts[3] == 0
        assert_distributed(counts[:3].tolist(), chances)


@pytest.mark.parametrize("name", PUBLISHED["teams"])
def test_means_and_deviations_are_those_of_smacv2s_draws(name: str) -> None:
    published = PUBLISHED["teams"][name]
    race, n, _, e = name.split("_")
    task = Task(race, f"{n}v{e}")  # pyright: ignore[reportArgumentType]
    kinds = drawn(draw_teams, task.race, task.teams)
    order = [task.kinds.index(kind) for kind in published["kinds"]]
    counts = (kinds[:, :, None] == order).cumsum(1)
    ally, enemy = counts[:, task.n_agents - 1], counts[:, -1] - counts[:, task.n_agents - 1]
    # four standard errors of the difference
    error = 4 * np.array(published["std_ally"]) * math.sqrt(1 / N + 1 / PUBLISHED["n"])
    assert (np.abs(ally.mean(0) - published["mean_ally"]) < error).all()
    assert (np.abs(enemy.mean(0) - published["mean_enemy"]) < 1.2 * error).all()
    assert_allclose(ally.std(0), published["std_ally"], rtol=0.06)


# --- starts -------------------------------------------------------------------------------------


def surrounded(places: np.ndarray) -> np.ndarray:
    return (places[:, :5] == 16).all((1, 2))


def test_half_of_the_battles_are_surrounded() -> None:
    count = int(surrounded(drawn(draw_places, "terran", "10v11")).sum())
    assert_distributed([count, N - count], (0.5, 0.5))


def test_enemies_are_mirror_images_and_further_ones_are_anywhere_in_their_half() -> None:
    places = drawn(draw_places, "terran", "10v11")
    places = places[~surrounded(places)]
    allies, mirrored, more = places[:, :10], places[:, 10:20], places[:, 20]
    assert_array_equal(mirrored[..., 0], 32 - allies[..., 0])
    assert_array_equal(mirrored[..., 1], allies[..., 1])
    for values, low, high in (
        (allies[..., 0], 0, 15),
        (allies[..., 1], 0, 32),
        (more[:, 0], 16, 32),
        (more[:, 1], 0, 32),
    ):
        assert low <= values.min() and values.max() < high
        quarters = np.bincount((4 * (values.ravel() - low) / (high - low)).astype(int))
        assert_distributed(quarters.tolist(), (0.25,) * 4)


def groups(teams: Teams) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of surrounded battles: enemies' places, their diagonals, their way from its far end."""
    places = drawn(draw_places, "terran", teams)
    enemies = places[surrounded(places)][:, Task("terran", teams).n_agents :]
    west, south = enemies[..., 0] < 16, enemies[..., 1] < 16
    diagonal = np.where(west, np.where(south, 0, 1), np.where(south, 3, 2))
    along = np.abs(enemies - FAR[diagonal]) / np.abs(NEAR - FAR)[diagonal]
    return enemies, diagonal, along


def test_surrounding_enemies_stand_on_diagonals_between_two_cells_and_the_corner() -> None:
    enemies, _, along = groups("10v11")
    assert_allclose(along[..., 0], along[..., 1], atol=1e-5)
    assert (along >= 0).all() and (along <= 1).all()
    far = np.hypot(*(enemies - 16).transpose(2, 0, 1))
    low, high = PUBLISHED["positions"]["10_vs_11"]["surround_distance"]["expected_range"]
    assert low - 1e-3 <= far.min() and far.max() <= high + 1e-3
    assert abs(far.mean() - PUBLISHED["positions"]["10_vs_11"]["surround_distance"]["mean"]) < 0.5


def test_a_group_stands_at_one_point_and_takes_enemies_in_their_order() -> None:
    enemies, diagonal, _ = groups("10v11")
    same = diagonal[:, 1:] == diagonal[:, :-1]
    assert (np.abs(enemies[:, 1:] - enemies[:, :-1]).max(-1)[same] == 0).all()
    n_groups = np.array([len(set(row)) for row in diagonal])
    assert_array_equal((~same).sum(1) + 1, n_groups)  # none is interrupted


@pytest.mark.parametrize(("name", "teams"), [("5_vs_5", "5v5"), ("10_vs_11", "10v11")])
def test_groups_are_as_many_as_smacv2s(name: str, teams: Teams) -> None:
    diagonal = groups(teams)[1]
    counts = np.bincount([len(set(row)) for row in diagonal], minlength=5)[1:]
    position = PUBLISHED["positions"][name]
    theirs = np.array(position["nonempty_groups_share"])
    theirs = theirs * PUBLISHED["n"] * position["share_surrounded"]
    pooled = (counts + theirs) / (counts.sum() + theirs.sum())
    chi = sum(
        ((seen - seen.sum() * pooled) ** 2 / (seen.sum() * pooled)).sum()
        for seen in (counts, theirs)
    )
    assert chi < CRITICAL[2]


def test_diagonals_are_equally_likely() -> None:
    first = groups("5v5")[1][:, 0]
    assert_distributed(np.bincount(first, minlength=4).tolist(), (0.25,) * 4)


# --- places that are free -------------------------------------------------------------------------

SETTLED = Task("protoss", "5v5")


@functools.cache
def program() -> Callable[..., jax.Array]:
    def call(kinds: jax.Array, points: jax.Array) -> jax.Array:
        return settle(SETTLED, roster_of(SETTLED.cast, kinds[:, None], 5), points)

    return jax.jit(call)


def stands(points: list[tuple[float, float]], kinds: Sequence[int] = (0,) * 10) -> np.ndarray:
    return np.asarray(program()(np.array(kinds, np.int8), np.array(points, np.float32)))


SPREAD = [(4.0, 4.0 + 2 * i) for i in range(5)] + [(24.0, 4.0 + 2 * i) for i in range(5)]


def test_a_unit_whose_place_is_free_stands_there() -> None:
    assert_array_equal(stands(SPREAD), SPREAD)


def test_units_created_at_one_point_stand_around_it_without_touching() -> None:
    places = stands([(16.0, 16.0)] * 10)
    far = np.hypot(*(places[:, None] - places).transpose(2, 0, 1)) + 9 * np.eye(10)
    assert_array_equal(places[0], (16, 16))
    assert far.min() >= 1.25  # a stalker's separation is 0.625
    assert np.abs(places - 16).max() <= 3


def test_units_created_in_the_border_are_moved_to_walkable_ground() -> None:
    places = stands([(0.0, 0.0)] * 5 + [(31.0, 30.5)] * 5)
    assert (places >= 2.625).all() and (places < 30 - 0.625).all()
    far = np.hypot(*(places[:, None] - places).transpose(2, 0, 1)) + 9 * np.eye(10)
    assert far.min() >= 1.25


def test_a_colossus_stands_over_others() -> None:
    points = [(16.0, 16.0), (16.0, 16.0), *SPREAD[2:]]
    assert_array_equal(stands(points, (0, 2, *[0] * 8))[:2], [(16, 16), (16, 16)])
