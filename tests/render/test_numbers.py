"""Who is numbered, and where the number is written."""

from typing import Any

import numpy as np

from macpo.envs.smac_jax.environment import Config, SMACJaxEnv, State
from macpo.envs.smac_jax.features import STOP
from macpo.render.battle import BattleEpisode
from macpo.render.camera import follow
from macpo.render.numbers import CALM, Numbering, numbering_of, numbers
from macpo.render.panel import USUAL_WIDTH, panel_of
from tests.render.test_battle import MARINES, MEDICS, recorded, start

CROWDED = Config("2c_vs_64zg").make()  # 0 and 1 are the Colossi, 2 to 65 stand side by side
FAR = {0: 5.0, 1: 11.0, 2: 14.0, 3: 17.0, 4: 20.0, 5: 23.0}
SPREAD: dict[str, Any] = {"x": FAR, "y": dict.fromkeys(FAR, 16.0)}


def numbering(episode: BattleEpisode) -> Numbering:
    """Of an episode, seen as in a film."""
    field = panel_of(episode, USUAL_WIDTH, None).field
    return numbering_of(episode, follow(episode, field, range(len(episode.captions))), field)


def written(env: SMACJaxEnv, *states: State, action: int = STOP) -> list[Any]:
    """The numbers in the first of these states."""
    episode = recorded(env, *states, action=action)
    field = panel_of(episode, USUAL_WIDTH, None).field
    places = [episode.place(i, 0.0) for i in range(len(episode.kinds))]
    (view,) = follow(episode, field, [0.0])
    return numbers(view, episode, range(len(places)), places, numbering(episode), 0.0, field)


def shown(env: SMACJaxEnv, *states: State, action: int = STOP) -> list[set[int]]:
    """Whose number is shown in each state."""
    rows = numbering(recorded(env, *states, action=action)).shown
    return [set(np.flatnonzero(row).tolist()) for row in rows]


def test_the_number_of_a_unit_that_stands_alone_is_in_its_middle() -> None:
    for number in written(MARINES, start(MARINES, **SPREAD)):
        assert number.at == number.home
        assert not number.tagged


def test_numbers_of_units_on_each_other_are_apart_and_tagged() -> None:
    at = dict.fromkeys(range(6), 12.0)
    found = written(MARINES, start(MARINES, x=at, y=at))
    assert len({number.home for number in found}) == 1
    assert len({number.at for number in found}) == 6
    assert sum(number.tagged for number in found) >= 5


def test_numbers_move_by_and_by_as_units_come_together() -> None:
    together = SPREAD | {"x": FAR | {1: 5.0}}
    episode = recorded(MARINES, start(MARINES, **SPREAD), start(MARINES, **together))
    shifts = numbering(episode).shifts
    assert not shifts[0].any()
    assert shifts[1, :2].any(1).all() and not shifts[1, 2:].any()
    np.testing.assert_allclose(episode.at(shifts, 4.0), shifts[1] / 2)


def test_a_number_under_a_flying_unit_is_tagged() -> None:
    state = start(MEDICS, x={9: 9.3, 0: 9.0}, y={9: 9.0, 0: 9.0})
    found = {number.unit: number for number in written(MEDICS, state)}
    assert found[0].tagged


# --- in a crowd -----------------------------------------------------------------------------------


def crowd(health: dict[int, float] | None = None, away: int | None = None) -> State:
    """All Zerglings on each other, at most one of them far from the others."""
    units = range(2, 66)
    x = {i: 14.0 + 0.3 * (i % 8) for i in units} | ({} if away is None else {away: 26.0})
    return start(CROWDED, x=x, y={i: 8.0 + 0.3 * (i // 8) for i in units}, health=health or {})


def test_in_a_crowd_allies_are_numbered_and_enemies_at_whom_an_agent_aims() -> None:
    assert shown(CROWDED, crowd(), crowd(), action=6 + 5) == [{0, 1, 2 + 5}, {0, 1}]


def test_an_enemy_beside_a_crowd_is_numbered() -> None:
    assert shown(CROWDED, crowd(away=9)) == [{0, 1, 9}]


def test_an_enemy_that_leaves_a_crowd_is_numbered_once_it_has_been_out_for_a_while() -> None:
    for i, units in enumerate(shown(CROWDED, crowd(), *[crowd(away=9)] * (CALM + 2))):
        assert (9 in units) == (i > CALM)


def test_the_number_of_an_enemy_in_a_crowd_is_a_tag_on_it() -> None:
    found = [n for n in written(CROWDED, crowd(), crowd(), action=6 + 20) if n.unit >= 2]
    assert [(n.unit, n.tagged, n.at == n.home) for n in found] == [(22, True, True)]


def test_a_few_are_no_crowd_and_neither_are_the_dead() -> None:
    few = {0, 1, 2, 3, 4}
    dead = dict.fromkeys(set(range(66)) - few, 0.0)
    assert few <= shown(CROWDED, crowd(health=dead))[0]
