"""Unit data, in loops and cells."""

import pytest

from macpo.envs.smac_jax.units import LOOPS_PER_STEP, SC2, SMACLITE


def test_only_a_unit_without_a_weapon_heals() -> None:
    assert [name for name, kind in SC2.items() if kind.heals] == ["medivac"]
    assert [name for name, kind in SMACLITE.items() if kind.heals] == ["medivac"]


@pytest.mark.parametrize(
    ("name", "game", "smaclite"),
    # half a second: 2.25, 2.9531, 2.75 cells a normal second; 3.15, 4.13, 3.5 a "faster" one
    [
        ("marine", 1.125, 1.575),
        ("marauder", 1.125, 1.575),
        ("zealot", 1.125, 1.575),
        ("stalker", 1.47655, 2.065),
        ("medivac", 1.375, 1.75),
        ("colossus", 1.125, 1.575),
        ("hydralisk", 1.125, 1.575),
        ("zergling", 1.47655, 2.065),
        ("baneling", 1.25, 1.575),
        ("spine crawler", 0, 0),
    ],
)
def test_an_env_step_is_half_a_second_of_walking(name: str, game: float, smaclite: float) -> None:
    assert SC2[name].speed * LOOPS_PER_STEP == pytest.approx(game)
    assert SMACLITE[name].speed * LOOPS_PER_STEP == pytest.approx(smaclite)


def test_smaclites_shots_land_at_once_and_its_periods_are_whole_loops() -> None:
    for kind in SMACLITE.values():
        assert (kind.damage_point, kind.missile_speed, kind.delay, kind.hit_gap) == (0, None, 0, 0)
        assert kind.period == int(kind.period)


@pytest.mark.parametrize("name", SC2)
def test_smaclites_units_endure_and_reach_as_much_as_the_games(name: str) -> None:
    ours, theirs = SC2[name], SMACLITE[name]
    assert (ours.health, ours.shield, ours.armour) == (theirs.health, theirs.shield, theirs.armour)
    assert ours.energy == theirs.energy
    assert ours.range == theirs.range or name == "colossus"
    assert ours.radius == theirs.radius or name == "spine crawler"


@pytest.mark.parametrize(
    ("name", "race"),
    [("marine", "T"), ("medivac", "T"), ("stalker", "P"), ("colossus", "P"), ("zergling", "Z")],
)
def test_protoss_have_shields_and_zerg_regain_health(name: str, race: str) -> None:
    assert SC2[name].race == race
    assert SMACLITE[name].race == race
