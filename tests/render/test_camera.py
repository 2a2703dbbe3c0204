"""The view follows the fight, contains everybody who lives, and is calm."""

from typing import Any

import numpy as np
import pytest

from macpo.envs.smac_jax.environment import Config
from macpo.envs.smac_jax.maps import MAPS
from macpo.render.battle import BattleEpisode
from macpo.render.camera import GLIDE, MIN_HEIGHT, ROOM, View, follow, ground_of
from macpo.render.panel import USUAL_WIDTH, panel_of
from macpo.render.signs import extent
from macpo.render.smac_jax import BARS
from tests.render.test_battle import MARINES, recorded, start

PER_STEP = 4
TOGETHER: Any = {"x": dict.fromkeys(range(6), 16.0), "y": dict.fromkeys(range(6), 16.0)}
APART: Any = {"x": {0: 3.0, 5: 29.0}, "y": dict.fromkeys(range(6), 16.0)}


def field_of(episode: BattleEpisode) -> tuple[int, int]:
    return panel_of(episode, USUAL_WIDTH, None).field


def views_of(episode: BattleEpisode) -> list[View]:
    """`PER_STEP` views of each env step, and the last one."""
    times = [i / PER_STEP for i in range(PER_STEP * len(episode.actions) + 1)]
    return follow(episode, field_of(episode), times)


def shown(view: View, episode: BattleEpisode) -> tuple[float, float, float, float]:
    """Cells: (left, right, bottom, top)."""
    width, height = field_of(episode)
    return (
        view.left,
        view.left + width / view.cell,
        view.top - height / view.cell,
        view.top,
    )


def wandering(name: str, n_steps: int) -> BattleEpisode:
    """Units that stray over the whole map, and fall one after another."""
    env, rng = Config(name).make(), np.random.default_rng(0)
    (west, east), (south, north) = env.map.walkable
    states, n = [start(env)], len(env.map.kinds)
    for t in range(n_steps):
        before: Any = states[-1].battle
        x, y = (v + rng.normal(0, 1.0, n).astype(np.float32) for v in (before.x, before.y))
        health = np.where(np.arange(n) % (n_steps // 2) < t / 2 - 2, 0.0, before.health)
        health[[0, -1]] = before.health[[0, -1]]
        x, y = np.clip(x, west, east), np.clip(y, south, north)
        states.append(states[0]._replace(battle=before._replace(x=x, y=y, health=health)))
    return recorded(env, *states)


@pytest.mark.parametrize("name", MAPS)
def test_every_living_unit_is_inside_every_view_with_room_around_it(name: str) -> None:
    episode = wandering(name, 40)
    low, high = ground_of(episode)
    for i, view in enumerate(views_of(episode)):
        loop = i / PER_STEP * 8
        alive = episode.fell > loop
        x, y = (episode.at(v, loop)[alive] for v in (episode.battle.x, episode.battle.y))
        left, right, bottom, top = shown(view, episode)
        assert left <= x.min() - ROOM + 1e-3 and x.max() + ROOM - 1e-3 <= right
        assert bottom <= y.min() - ROOM + 0.1 and y.max() + ROOM - 0.1 <= top
        # nothing but the ground is shown
        assert low[0] - 1e-3 <= left and right <= high[0] + 1e-3
        assert low[1] - 0.1 <= bottom and top <= high[1] + 0.1


@pytest.mark.parametrize("name", MAPS)
def test_the_room_around_a_unit_holds_its_sign_and_its_bars(name: str) -> None:
    env = Config(name).make()
    episode = recorded(env, start(env))
    low, high = ground_of(episode)
    cell = field_of(episode)[0] / (high[0] - low[0])  # the smallest
    for sign, kind in zip(episode.kinds, episode.map.kinds, strict=True):
        assert kind.radius * extent(sign, (0.0, 1.0)) * cell + BARS <= ROOM * cell


def test_a_field_taller_than_the_ground_has_the_ground_in_its_middle() -> None:
    episode = recorded(MARINES, start(MARINES, **APART))
    (low, high), (width, height) = ground_of(episode), (400, 500)
    (view,) = follow(episode, (width, height), [0.0])
    above, below = view.top - high[1], low[1] - (view.top - height / view.cell)
    assert view.cell == pytest.approx(width / (29.0 - 3.0 + 2 * ROOM))
    assert above == pytest.approx(below)
    assert above > 0


def test_a_taller_field_shows_a_tall_battle_from_nearer() -> None:
    column: Any = {"x": dict.fromkeys(range(6), 16.0), "y": {0: 9.0, 5: 23.0}}
    episode = recorded(MARINES, start(MARINES, **column))
    usual, taller = (follow(episode, (600, height), [0.0])[0].cell for height in (400, 500))
    assert taller == pytest.approx(1.25 * usual)


def test_two_in_a_corner_of_a_large_map_are_seen_from_as_near_as_anybody_is() -> None:
    env = Config("3s_vs_3z").make()
    dead: Any = {"health": dict.fromkeys((1, 2, 4, 5), 0.0)}
    (view,) = views_of(recorded(env, start(env, x={0: 3.0, 3: 4.0}, y={0: 3.0, 3: 4.0}, **dead)))
    episode = recorded(env, start(env))
    assert view.cell == pytest.approx(field_of(episode)[1] / MIN_HEIGHT)
    whole = field_of(episode)[0] / (ground_of(episode)[1][0] - ground_of(episode)[0][0])
    assert view.cell > 3 * whole


def test_the_fallen_do_not_keep_the_view_wide() -> None:
    far = TOGETHER | {"x": dict.fromkeys(range(6), 24.0) | {0: 3.0}}
    fallen = start(MARINES, **far, health={0: 0.0})
    views = views_of(recorded(MARINES, *[start(MARINES, **far)] * 10, *[fallen] * 30))
    assert views[-1].cell > 1.3 * views[0].cell


def test_a_still_battle_is_seen_from_one_place() -> None:
    assert len(set(views_of(recorded(MARINES, *[start(MARINES)] * 60)))) == 1


def test_a_skirmish_that_stays_about_the_same_does_not_move_the_view() -> None:
    a, b = start(MARINES), start(MARINES, x={0: 8.0, 5: 24.0})
    assert len(set(views_of(recorded(MARINES, *[a, b] * 30)))) == 1


def test_a_view_that_has_become_too_wide_glides_within_a_second_and_then_stands() -> None:
    episode = recorded(MARINES, *[start(MARINES, **APART)] * 20, *[start(MARINES, **TOGETHER)] * 40)
    cells = np.array([view.cell for view in views_of(episode)])
    moving = np.flatnonzero(np.diff(cells))
    assert cells[-1] > cells[0]
    assert moving[-1] - moving[0] < GLIDE * PER_STEP
    assert moving[0] >= 19 * PER_STEP  # not before everybody is together
    steps = np.diff(cells)[moving[0] : moving[-1] + 1]
    assert steps[0] < steps.max() / 3 and steps[-1] < steps.max() / 3  # begins and ends softly


def test_a_view_widens_before_anybody_leaves_it() -> None:
    episode = recorded(MARINES, *[start(MARINES, **TOGETHER)] * 40, *[start(MARINES, **APART)] * 20)
    views = views_of(episode)
    left = [shown(view, episode)[0] for view in views]
    assert left[0] > 5
    assert max(left[39 * PER_STEP :]) <= 3.0 - ROOM + 1e-6


def test_what_stands_still_crosses_a_gliding_picture_in_one_direction() -> None:
    aside: Any = {"x": dict.fromkeys(range(6), 9.0), "y": dict.fromkeys(range(6), 11.0)}
    episode = recorded(MARINES, *[start(MARINES, **APART)] * 20, *[start(MARINES, **aside)] * 40)
    for place in ((9.0, 11.0), (3.0, 8.0), (12.0, 14.0)):
        path = np.array([view.pixel(place) for view in views_of(episode)])
        for steps in np.diff(path, axis=0).T:
            assert (steps >= 0).all() or (steps <= 0).all()


def test_places_in_between_are_at_the_pixel_that_is_nearest() -> None:
    assert View(2.0, 10.0, 20.0).pixel((3.0, 8.5)) == (20, 30)
    assert View(2.0, 10.0, 20.0).pixel((3.02, 8.5)) == (20, 30)
