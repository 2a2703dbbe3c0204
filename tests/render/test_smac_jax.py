"""The pictures of battles, looked at pixel by pixel."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image, ImageColor

from macpo.envs.smac_jax.environment import Config, SMACJaxEnv, State
from macpo.envs.smac_jax.features import EAST, MOVES, NORTH, SOUTH, STOP, WEST
from macpo.envs.smac_jax.units import SC2
from macpo.render.battle import BattleEpisode, Point
from macpo.render.camera import View, follow
from macpo.render.frames import animate, captions, drawer, stored_picture, text_frame
from macpo.render.ink import FIELD, FIELD_DARK, MARGIN
from macpo.render.options import SLOWER, FilmOptions
from macpo.render.panel import ROW, TOP, USUAL_WIDTH, panel_of
from macpo.render.signs import (
    ALLY,
    CHOSEN,
    CLIFF_COLOR,
    ENEMY,
    ENERGY,
    HEALTH,
    HURT,
    SHIELD,
    SHOTS,
)
from macpo.render.smac_jax import (
    FADE_STEPS,
    FPS,
    PICTURES_PER_STEP,
    ROCK,
    WIDTHS,
    film,
)
from tests.render.test_battle import BANELINGS, MARINES, MEDICS, STALKERS, recorded, start

COLOSSI = Config("1c3s5z").make()  # 0 and 9 are the Colossi, 13 is a Zealot
CLIFFS = Config("2c_vs_64zg").make()
FAR = {0: 5.0, 1: 11.0, 2: 14.0, 3: 17.0, 4: 20.0, 5: 23.0}
SPREAD: dict[str, Any] = {"x": FAR, "y": dict.fromkeys(FAR, 16.0)}
"""Three Marines on either side, three cells apart."""


def aside(env: SMACJaxEnv, **places: dict[int, float]) -> dict[str, Any]:
    """Everybody in a corner, but for those with a place."""
    units = range(len(env.map.kinds))
    return {
        "x": dict.fromkeys(units, 26.0) | places["x"],
        "y": dict.fromkeys(units, 10.0) | places["y"],
    }


def pictures(
    env: SMACJaxEnv, *states: State, action: int = STOP, **asked: Any
) -> list[Image.Image]:
    """All of an episode; everybody chooses the same action."""
    actions = np.full((len(states) - 1, env.spec.n_agents), action)
    said, options = captions(np.zeros(len(actions))), FilmOptions(**asked)
    return [draw() for draw in film(env, states, actions, said, options)]


def first_view(episode: BattleEpisode) -> View:
    """Of a battle too short for a glide: that of all its pictures."""
    return follow(episode, panel_of(episode, USUAL_WIDTH, None).field, [0.0])[0]


def around(
    image: Image.Image, env: SMACJaxEnv, states: tuple[State, ...], place: Point, cells: float = 0.9
) -> np.ndarray:
    """The pixels [H, W, 3] of a square around a place; `cells` is half its side."""
    view = first_view(recorded(env, *states))
    x, y = view.pixel(place)
    r = round(cells * view.cell)
    return np.asarray(image.crop((MARGIN + x - r, TOP + y - r, MARGIN + x + r, TOP + y + r)))


def count(pixels: np.ndarray | Image.Image, color: str) -> int:
    """Pixels of exactly this colour."""
    return int((np.asarray(pixels) == ImageColor.getrgb(color)).all(-1).sum())


def test_units_are_drawn_at_their_places_in_the_colours_of_their_sides() -> None:
    state = start(MARINES, **SPREAD)
    (image,) = pictures(MARINES, state)
    for unit, x in FAR.items():
        pixels = around(image, MARINES, (state,), (x, 16.0))
        assert (count(pixels, ALLY) > 50) == (unit < 3)
        assert (count(pixels, ENEMY) > 50) == (unit >= 3)


def test_free_ground_shows_nothing_but_the_ground() -> None:
    state = start(MARINES, **SPREAD)
    (image,) = pictures(MARINES, state)
    pixels = around(image, MARINES, (state,), (9.0, 13.0))
    assert count(pixels, FIELD) + count(pixels, FIELD_DARK) == pixels.shape[0] * pixels.shape[1]


def test_where_nobody_can_walk_there_is_rock() -> None:
    state = start(MARINES, x={0: 2.4}, y={0: 7.4})  # in the lower left corner
    (image,) = pictures(MARINES, state)
    assert count(around(image, MARINES, (state,), (1.5, 6.5), 0.3), ROCK) > 0
    assert count(around(image, MARINES, (state,), (2.4, 7.4), 0.3), ROCK) == 0


def test_cliffs_differ_from_ground_and_rock() -> None:
    state = start(CLIFFS)
    (image,) = pictures(CLIFFS, state)
    pixels = around(image, CLIFFS, (state,), (16.0, 12.5), 0.4)
    assert count(pixels, CLIFF_COLOR) > pixels.shape[0] * pixels.shape[1] / 2
    cliff = np.array(ImageColor.getrgb(CLIFF_COLOR))
    for other in (FIELD, FIELD_DARK, ROCK):
        assert np.abs(cliff - ImageColor.getrgb(other)).max() > 64


def test_kinds_differ_in_shape() -> None:
    state, places = start(MEDICS, x={0: 5.0, 2: 9.0, 9: 13.0}, y={0: 12.0, 2: 12.0, 9: 12.0}), {}
    (image,) = pictures(MEDICS, state)
    for unit, x in ((0, 5.0), (2, 9.0), (9, 13.0)):
        places[unit] = count(around(image, MEDICS, (state,), (x, 12.0), 1.0), ALLY)
    assert len(set(places.values())) == 3


def test_each_unit_has_its_number() -> None:
    state = start(MARINES, **SPREAD)
    (image,) = pictures(MARINES, state)
    looks = {around(image, MARINES, (state,), (x, 16.0), 0.35).tobytes() for x in FAR.values()}
    assert len(looks) == 6


def test_the_bar_of_health_is_as_long_as_health_is_high() -> None:
    state = start(MARINES, **SPREAD, health={0: 45.0, 1: 22.5})
    (image,) = pictures(MARINES, state)
    full = count(around(image, MARINES, (state,), (5.0, 16.0)), HEALTH)
    half = count(around(image, MARINES, (state,), (11.0, 16.0)), HURT)  # low, so in another colour
    assert half == pytest.approx(full / 2, rel=0.1)


def test_shields_have_a_bar_where_units_have_shields() -> None:
    whole, none = start(STALKERS), start(STALKERS, shield=dict.fromkeys(range(10), 0.0))
    with_shields, without = pictures(STALKERS, whole)[0], pictures(STALKERS, none)[0]
    legend = count(without, SHIELD)
    assert 0 < legend < count(with_shields, SHIELD)
    assert count(pictures(MARINES, start(MARINES))[0], SHIELD) == 0


def test_the_energy_of_medivacs_has_a_bar() -> None:
    little, much = (
        count(pictures(MEDICS, start(MEDICS, energy={9: energy}))[0], ENERGY)
        for energy in (10.0, 190.0)
    )
    assert little < much


def test_places_in_between_make_it_smooth() -> None:
    states = start(MARINES, **SPREAD), start(MARINES, **SPREAD | {"x": FAR | {0: 6.0}})
    shots = pictures(MARINES, *states)
    assert len(shots) == PICTURES_PER_STEP + 1
    columns = []
    for shot in shots:
        strip = around(shot, MARINES, states, (6.0, 16.0), 2.0)
        columns.append(np.argwhere((strip == ImageColor.getrgb(ALLY)).all(-1))[:, 1].mean())
    np.testing.assert_allclose(np.diff(columns), np.diff(columns).mean(), atol=1.0)
    assert columns[-1] > columns[0] + 10


@pytest.mark.parametrize(
    ("env", "unit", "at", "cooldown"),
    [
        (MARINES, 0, 4, 10.0),
        (MEDICS, 0, 12, 19.0),
        (STALKERS, 0, 5, 17.0),
        (STALKERS, 2, 5, 15.0),
        (COLOSSI, 0, 13, 30.0),
        (BANELINGS, 4, 24, 5.0),
    ],
)
def test_a_shot_is_drawn_when_it_is_fired_and_not_before(
    env: SMACJaxEnv, unit: int, at: int, cooldown: float
) -> None:
    color = SHOTS[(*env.map.allies, *env.map.enemies)[unit]]
    fires = start(env, cooldown={unit: cooldown}, target={unit: at})
    first, *_, late, _ = (count(shot, color) for shot in pictures(env, start(env), fires))
    assert late > first


def test_kinds_fire_in_different_colours() -> None:
    assert set(SHOTS) == {name for name, kind in SC2.items() if not kind.heals}
    assert len(set(SHOTS.values())) == len(SHOTS)


@pytest.mark.parametrize("picture", [3, 5], ids=["under way", "striking"])
def test_a_beam_burns_across_its_target_as_long_as_the_line_on_which_it_harms(
    picture: int,
) -> None:
    places = aside(COLOSSI, x={0: 10.0, 13: 14.0}, y={0: 12.0, 13: 15.0})  # five cells apart
    before, after = start(COLOSSI, **places), start(COLOSSI, **places, cooldown={0: 30.0})
    cools = start(COLOSSI, **places, cooldown={0: 22.0})
    fired = start(COLOSSI, **places, cooldown={0: 30.0}, target={0: 13})
    shot, none = (pictures(COLOSSI, before, second, cools)[picture] for second in (fired, after))
    row, column = np.nonzero((np.asarray(shot) != np.asarray(none)).any(-1))
    view = first_view(recorded(COLOSSI, before, after, cools))
    left, top = view.pixel((14.0, 15.0))
    x, y = (column - MARGIN - left) / view.cell, (TOP + top - row) / view.cell
    across, ahead = y * 0.8 - x * 0.6, x * 0.8 + y * 0.6
    line = np.abs(across) > 0.4  # the rest is the ray
    assert (across.min(), across.max()) == pytest.approx((-1.4, 1.4), abs=0.1)
    assert np.abs(ahead[line]).max() < 0.25


def exploding() -> tuple[State, ...]:
    """A Baneling dies at (9, 16) in the first of three steps."""
    places = aside(BANELINGS, x={0: 9.0}, y={0: 16.0})
    dead = start(BANELINGS, **places, health={0: 0.0})
    return start(BANELINGS, **places), dead, dead, dead


def test_an_explosion_is_a_circle_around_the_fallen_as_large_as_the_area_that_it_harms() -> None:
    states = exploding()
    pixels = around(pictures(BANELINGS, *states)[3], BANELINGS, states, (9.0, 16.0), 3.0)
    cell = first_view(recorded(BANELINGS, *states)).cell
    rim = np.argwhere((pixels == ImageColor.getrgb(SHOTS["baneling"])).all(-1))
    far = np.linalg.norm(rim - np.array(pixels.shape[:2]) / 2, axis=1)
    assert len(rim) > 100
    np.testing.assert_allclose(far, 2.2 * cell, atol=3)


def test_the_ground_is_seen_through_an_explosion_until_that_is_over() -> None:
    states = exploding()
    shown = pictures(BANELINGS, *states)
    tinted, plain = (
        around(shown[i], BANELINGS, states, (10.1, 17.1), 0.3) for i in (3, 2 * PICTURES_PER_STEP)
    )
    assert count(tinted, FIELD) == count(tinted, FIELD_DARK) == 0
    np.testing.assert_array_equal((tinted != tinted[0, 0]).any(-1), (plain != plain[0, 0]).any(-1))
    assert count(plain, FIELD) + count(plain, FIELD_DARK) == plain.shape[0] * plain.shape[1]


def test_claws_strike_where_the_target_is_and_fly_nowhere() -> None:
    places = aside(BANELINGS, x={4: 9.0, 24: 12.0}, y={4: 16.0, 24: 16.0})
    before, plain = start(BANELINGS, **places), start(BANELINGS, **places, cooldown={4: 5.0})
    struck = start(BANELINGS, **places, cooldown={4: 5.0}, target={4: 24})
    images = [pictures(BANELINGS, before, after)[3] for after in (struck, plain)]
    for x, claws in ((12.0, True), (10.5, False)):
        one, other = (around(i, BANELINGS, (before, plain), (x, 16.0), 0.7) for i in images)
        assert (one != other).any() == claws


# --- the legend -----------------------------------------------------------------------------------


def legend(env: SMACJaxEnv) -> set[str]:
    lines = panel_of(recorded(env, start(env)), USUAL_WIDTH, None).lines
    return {entry.text for line in lines for entry in line}


@pytest.mark.parametrize(
    ("env", "words"),
    [
        (MARINES, {"marine's shot"}),
        (MEDICS, {"marauder's grenade", "marine's shot"}),
        (COLOSSI, {"colossus's beam", "stalker's bolt", "zealot's blades"}),
        (BANELINGS, {"baneling's explosion", "zergling's claws"}),
    ],
    ids=lambda x: x.config.map if isinstance(x, SMACJaxEnv) else "",
)
def test_the_legend_names_what_the_kinds_of_a_map_hit_with(
    env: SMACJaxEnv, words: set[str]
) -> None:
    assert {text for text in legend(env) if "'s " in text} == words


def test_the_legend_has_cliffs_where_a_map_has_some() -> None:
    assert "cliff" in legend(CLIFFS)
    assert "cliff" not in legend(MARINES) | legend(BANELINGS)


def test_who_is_healed_is_joined_to_its_healer() -> None:
    before = start(MEDICS, x={9: 9.0, 0: 9.0}, y={9: 9.0, 0: 14.0})
    after = start(MEDICS, x={9: 9.0, 0: 9.0}, y={9: 9.0, 0: 14.0}, energy={9: 48.0}, target={9: 0})
    healing = around(pictures(MEDICS, before, after)[1], MEDICS, (before, after), (9.0, 11.5), 1.0)
    resting = around(pictures(MEDICS, before, before)[1], MEDICS, (before, after), (9.0, 11.5), 1.0)
    assert count(healing, HEALTH) > 0
    assert count(resting, HEALTH) == 0


def test_the_fallen_leave_a_mark_that_fades() -> None:
    dead = start(MARINES, **SPREAD, health={1: 0.0})
    states = (start(MARINES, **SPREAD), *[dead] * (FADE_STEPS + 2))
    shots = pictures(MARINES, *states)
    alive, fresh, old = (
        around(shots[i], MARINES, states, (11.0, 16.0)) for i in (0, PICTURES_PER_STEP, -1)
    )
    assert count(alive, HEALTH) > 0
    assert count(fresh, HEALTH) == 0
    assert count(fresh, ALLY) > 0
    assert count(old, ALLY) == 0
    ground = count(old, FIELD) + count(old, FIELD_DARK)
    assert 0 < ground < old.shape[0] * old.shape[1]


@pytest.mark.parametrize("action", [NORTH, SOUTH, EAST, WEST])
def test_a_beak_points_where_an_agent_is_to_go(action: int) -> None:
    state = start(MARINES, **SPREAD)
    going, resting = (
        pictures(MARINES, state, state, action=chosen)[0] for chosen in (action, STOP)
    )
    new = (np.asarray(going) != np.asarray(resting)).any(-1)
    (x, y), (row, column) = MOVES[action - NORTH], np.argwhere(new).mean(0)
    left, top = first_view(recorded(MARINES, state)).pixel((10.0, 16.0))  # the agents' middle
    off = (column - MARGIN - left) * x - (row - TOP - top) * y
    assert off > 10


def test_dots_lead_to_whom_an_agent_attacks() -> None:
    state = start(MARINES, **SPREAD)
    aiming, resting = (pictures(MARINES, state, state, action=a)[0] for a in (6 + 2, STOP))
    between = [around(p, MARINES, (state,), (15.5, 16.0), 0.4) for p in (aiming, resting)]
    beyond = [around(p, MARINES, (state,), (24.3, 16.0), 0.4) for p in (aiming, resting)]
    assert not np.array_equal(*between)
    np.testing.assert_array_equal(*beyond)


@pytest.mark.parametrize("dead", [(3, 4, 5), (0, 1, 2)])
def test_only_the_last_picture_shows_how_it_ended_and_shows_it_beside_the_field(
    dead: tuple[int, ...],
) -> None:
    end = start(MARINES, health=dict.fromkeys(dead, 0.0))
    color = {3: "#2B8A4B", 0: "#D7263D"}[dead[0]]
    *others, last = pictures(MARINES, start(MARINES), end)
    width, height = panel_of(recorded(MARINES, end), USUAL_WIDTH, None).field
    field = last.crop((MARGIN, TOP, MARGIN + width, TOP + height))
    assert count(last, color) > 500
    assert count(field, color) == 0
    assert max(count(other, color) for other in others) < 100  # bars of the dying


# few, one and many units, all kinds, healers, walls and cliffs
@pytest.mark.parametrize(
    "name",
    ["3m", "2s_vs_1sc", "27m_vs_30m", "MMM2", "1c3s5z", "2c_vs_64zg", "bane_vs_bane", "6h_vs_8z"],
)
def test_pictures_are_as_wide_as_asked_and_not_too_high(name: str) -> None:
    env = Config(name).make()
    for width, limit in ((WIDTHS[0], 720), (960, 720), (WIDTHS[-1], 1440)):
        (image,) = pictures(env, start(env), width=width, agent=0)
        assert image.width == width
        assert image.height <= limit


@pytest.mark.parametrize("agent", [None, 0])
@pytest.mark.parametrize("width", [WIDTHS[0], USUAL_WIDTH, WIDTHS[-1]])
@pytest.mark.parametrize("env", [MARINES, CLIFFS], ids=lambda env: env.config.map)
def test_the_field_takes_all_the_height(env: SMACJaxEnv, width: int, agent: int | None) -> None:
    panel = panel_of(recorded(env, start(env)), width, agent)
    last = panel.legend + ROW * (len(panel.lines) - 1)
    assert TOP + panel.field[1] == panel.size[1] - MARGIN
    assert last < panel.size[1] - MARGIN


def test_a_slow_film_has_more_pictures_of_the_same_steps() -> None:
    states = start(MARINES, **SPREAD), start(MARINES, **SPREAD | {"x": FAR | {0: 6.0}})
    usual, slow = (pictures(MARINES, *states, slow=slow) for slow in (False, True))
    assert len(slow) == SLOWER * PICTURES_PER_STEP + 1
    assert [image.tobytes() for image in slow[::SLOWER]] == [image.tobytes() for image in usual]


# --- a chosen agent -------------------------------------------------------------------------------


def test_only_the_chosen_agent_is_ringed() -> None:
    state = start(MARINES, **SPREAD)
    (image,) = pictures(MARINES, state, agent=1)
    rings = [count(around(image, MARINES, (state,), (x, 16.0)), CHOSEN) for x in FAR.values()]
    assert rings[1] > 50
    assert sum(rings) == rings[1]
    assert count(pictures(MARINES, state)[0], CHOSEN) == 0


def test_a_fallen_agent_is_not_ringed() -> None:
    (image,) = pictures(MARINES, start(MARINES, health={1: 0.0}), agent=1)
    assert count(image, CHOSEN) == 0


def test_what_the_chosen_agent_does_is_highlighted_beside_the_field() -> None:
    state = start(MARINES, **SPREAD)
    left = panel_of(recorded(MARINES, state), USUAL_WIDTH, 0).left
    panels = [
        pictures(MARINES, state, state, action=action, agent=0)[0].crop((left, TOP, 960, 480))
        for action in (STOP, NORTH, 6)
    ]
    assert len({panel.tobytes() for panel in panels}) == 3
    plain = pictures(MARINES, state, state)[0].crop((left, TOP, 960, 480))
    assert all(count(panel, ALLY) > count(plain, ALLY) + 100 for panel in panels)


# --- the whole film -------------------------------------------------------------------------------


def test_a_film_that_stops_before_the_end_names_none() -> None:
    going, timed_out = (pictures(MARINES, start(MARINES, t))[0] for t in (9, 60))
    assert going.tobytes() != timed_out.tobytes()
    assert pictures(MARINES, start(MARINES, 8))[0].tobytes() == going.tobytes()


def test_the_caption_is_written_above() -> None:
    state = start(MARINES)
    plain, captioned = (
        film(MARINES, [state], np.zeros((0, 3)), [text])[0]() for text in ("", "step 3")
    )
    assert plain.crop((0, 0, 200, 40)).tobytes() != captioned.crop((0, 0, 200, 40)).tobytes()
    rest = (0, 40, plain.width, plain.height)
    assert plain.crop(rest).tobytes() == captioned.crop(rest).tobytes()


def test_battles_are_filmed_and_not_shown_as_text(tmp_path: Path) -> None:
    assert drawer("smac-jax") is text_frame  # a state alone
    states = [start(MARINES, **SPREAD), start(MARINES, **SPREAD | {"x": FAR | {0: 6.0}})]
    animate(MARINES, states, np.full((1, 3), STOP), np.zeros(1), tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as shown:
        assert getattr(shown, "n_frames", 1) == PICTURES_PER_STEP + 1
        assert shown.info["duration"] == 1000 // FPS
        assert shown.size == pictures(MARINES, *states)[0].size


@pytest.mark.slow
def test_fifty_steps_of_a_large_battle_take_less_than_a_megabyte_and_a_half(tmp_path: Path) -> None:
    env = Config("MMM2").make()
    rng = np.random.default_rng(0)
    state = jax.tree.map(np.asarray, jax.jit(env.reset)(jax.random.key(0))[0])
    states = [state]
    for _ in range(50):  # everybody moves and nobody falls
        b = states[-1].battle
        x, y = (v + rng.normal(0, 0.7, v.shape).astype(np.float32) for v in (b.x, b.y))
        b = b._replace(x=np.clip(x, 2.5, 29.5), y=np.clip(y, 7.5, 24.5))
        states.append(state._replace(battle=b))
    file = tmp_path / "long.gif"
    animate(env, states, rng.integers(1, 6, (50, 10)), np.zeros(50), file)
    assert file.stat().st_size < 1_500_000


@pytest.mark.parametrize("env", [MARINES, STALKERS, MEDICS], ids=lambda env: env.config.map)
def test_a_battle_in_replay_is_drawn_as_it_was(env: SMACJaxEnv) -> None:
    state = start(env, health={0: 9.0, 1: 0.0}, x={2: 12.0})
    encoded = env.encode(state)
    actions = np.full(env.spec.n_agents, STOP)
    stored = stored_picture(env, (encoded, encoded), 0, actions, "step 0")
    small = FilmOptions(width=WIDTHS[0])
    (drawn, *_) = film(env, [state, state], actions[None], ["step 0", "step 0"], small)
    assert stored.tobytes() == drawn().tobytes()
