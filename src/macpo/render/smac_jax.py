"""A top view of battles: draws the `BattleEpisode` of `battle`, several pictures per env step."""

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int
from PIL import Image, ImageDraw

from macpo.envs.smac_jax.dynamics import NOBODY, beginning
from macpo.envs.smac_jax.environment import EncodedState, SMACJaxEnv, State
from macpo.envs.smac_jax.features import MOVES, NORTH, WEST
from macpo.envs.smac_jax.grounds import CLIFF, WALKABLE
from macpo.envs.smac_jax.grounds import ROCK as ROCK_LETTER
from macpo.envs.smac_jax.units import BEAM_WIDTH, ENERGY_MAX, LOOPS_PER_STEP
from macpo.render.battle import BattleEpisode, Point, battle_episode
from macpo.render.camera import View, follow
from macpo.render.ink import FIELD, FIELD_DARK, INK, MARGIN, PAPER, Picture
from macpo.render.numbers import Numbering, letters, numbering_of, numbers
from macpo.render.options import SLOWER, USUAL, FilmOptions
from macpo.render.panel import (
    TOP,
    USUAL_WIDTH,
    Panel,
    draw_panel,
    empty_page,
    panel_of,
)
from macpo.render.pen import FINE, Pen, between, mixed, written
from macpo.render.signs import (
    ALLY,
    DYING,
    ENERGY,
    HEALTH,
    HURT,
    SHIELD,
    draw_aim,
    draw_beak,
    draw_beam,
    draw_burst,
    draw_cliff,
    draw_cones,
    draw_cross,
    draw_heal,
    draw_kind,
    draw_ring,
    draw_shot,
    extent,
    side_color,
)

PICTURES_PER_STEP = 4
"""A slow film has `SLOWER` times as many."""
FPS = 20
"""Five env steps a second: nearly twice as fast as the game is usually played."""
WIDTHS, SHOWS_AGENT = range(720, 1921), True
"""Of a picture, in pixels; whether the actions of an agent can be shown."""
BARS = 9  # pixels above the sign of a unit
ROCK = "#CFC8B8"
FADE_STEPS, FADES = 12, 4  # env steps in which the mark of a dead unit fades; its tones
SHOT_LOOPS = 3.5  # loops for which a shot that has struck stays visible


class Stage(NamedTuple):
    """What all pictures of an episode share."""

    panel: Panel
    page: Image.Image
    """The picture before anything is drawn that changes."""
    agent: int | None
    """The one whose actions are shown."""
    numbering: Numbering


def film(
    env: SMACJaxEnv,
    states: Sequence[State],
    actions: Int[np.ndarray, "T N"],
    captions: Sequence[str],
    options: FilmOptions = USUAL,
) -> list[Picture]:
    """`PICTURES_PER_STEP` pictures per step, in a slow film more, and one of the final state."""
    return film_of(battle_episode(env, states, actions, captions), options)


def film_of(episode: BattleEpisode, options: FilmOptions) -> list[Picture]:
    """The pictures of a battle."""
    width = USUAL_WIDTH if options.width is None else options.width
    panel = panel_of(episode, width, options.agent)
    per_step = PICTURES_PER_STEP * (SLOWER if options.slow else 1)
    times = [i / per_step for i in range(per_step * len(episode.actions) + 1)]
    views = follow(episode, panel.field, times)
    numbering = numbering_of(episode, views[::per_step], panel.field)
    stage = Stage(panel, empty_page(episode, panel), options.agent, numbering)
    return [partial(draw, episode, stage, *at) for at in zip(views, times, strict=True)]


def stored_state(env: SMACJaxEnv, encoded: EncodedState, t: int) -> State:
    """The battle of an encoded state; targets and what is in the air are not known, so nobody has
    a target and nothing flies."""
    kinds, n = env.map.kinds, env.map.n_agents
    battle = beginning(env.map)
    heals = np.array([kind.heals for kind in kinds[:n]])
    shields = np.flatnonzero([kind.shield > 0 for kind in kinds])
    battle = battle._replace(
        x=encoded.place[:, 0],
        y=encoded.place[:, 1],
        health=encoded.health,
        shield=battle.shield.at[shields].set(encoded.shield) if shields.size else battle.shield,
        energy=battle.energy.at[:n].set(jnp.where(heals, encoded.ready, battle.energy[:n])),
        cooldown=battle.cooldown.at[:n].set(jnp.where(heals, 0.0, encoded.ready)),
    )
    time, none = jnp.asarray(t, jnp.int32), jnp.zeros((), jnp.int32)
    return State(battle, encoded.last_actions, time, encoded.enemy_order, none)


def draw(episode: BattleEpisode, stage: Stage, view: View, time: float) -> Image.Image:
    """The picture at a time in env steps."""
    loop, step = time * LOOPS_PER_STEP, int(time)
    alive = episode.fell > loop
    x, y = episode.at(episode.battle.x, loop), episode.at(episode.battle.y, loop)
    places = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
    ground = _ground(episode.map.walkable, episode.map.cells, view, stage.panel.field)
    pen = Pen(ground.copy(), view)
    _draw_cones(pen, episode, places, alive, step, stage.agent)
    _draw_bursts(pen, episode, loop)
    _draw_fallen(pen, episode, places, loop)
    if step < len(episode.actions):
        _draw_choices(pen, episode, places, alive, step)
    _draw_heals(pen, episode, loop)
    # nearer units hide those behind them, and flying units hide both
    standing = [int(i) for i in np.flatnonzero(alive)]
    units = sorted(standing, key=lambda i: (episode.map.kinds[i].flies, -places[i][1]))
    for i in units:
        _draw_unit(pen, episode, i, places[i])
    for i in units:
        _draw_bars(pen, episode, i, places[i], loop)
    if stage.agent is not None and alive[stage.agent]:
        kind = episode.map.kinds[stage.agent]
        rim = kind.radius * view.cell * extent(episode.kinds[stage.agent], (0.0, 1.0))
        draw_ring(pen, places[stage.agent], rim)
    _draw_shots(pen, episode, loop)
    names = numbers(view, episode, units, places, stage.numbering, time, stage.panel.field)
    for i, home, at, tagged in names:
        if tagged:
            pen.thread(home, at, side_color(episode, i))
    field = pen.finished()
    for i, _, at, tagged in names:
        size = letters(episode.map.kinds[i].radius * view.cell)
        text = written(episode.names[i], size, side_color(episode, i), tagged)
        field.paste(text, (at[0] - text.width // 2, at[1] - text.height // 2), text)
    image = stage.page.copy()
    image.paste(field, (MARGIN, TOP))
    draw_panel(ImageDraw.Draw(image), episode, stage.panel, time, stage.agent)
    return image


@lru_cache(maxsize=4)
def _ground(
    walkable: tuple[Point, Point],
    cells: tuple[str, ...] | None,
    view: View,
    size: tuple[int, int],
) -> Image.Image:
    """Walkable ground, cliffs and the rock around them, drawn large."""
    (west, east), (south, north) = walkable
    image = Image.new("RGB", (size[0] * FINE, size[1] * FINE), ROCK)
    pen = Pen(image, view)
    right, bottom = view.left + size[0] / view.cell, view.top - size[1] / view.cell
    for column in range(
        max(math.floor(view.left), round(west)), min(math.ceil(right), round(east))
    ):
        for row in range(
            max(math.floor(bottom), round(south)), min(math.ceil(view.top), round(north))
        ):
            letter = WALKABLE if cells is None else cells[row][column]
            if letter == ROCK_LETTER:
                continue
            if letter == CLIFF:
                draw_cliff(pen, (column, row))
            else:
                color = FIELD_DARK if (row // 2 + column // 2) % 2 else FIELD
                pen.tile((column, row), (column + 1, row + 1), color)
    return image


# --- units ----------------------------------------------------------------------------------------


def _draw_unit(pen: Pen, episode: BattleEpisode, i: int, place: Point) -> None:
    kind, radius = episode.kinds[i], episode.map.kinds[i].radius * pen.view.cell
    if episode.map.kinds[i].flies:
        shadow = (place[0] + 0.25, place[1] - 0.35)
        draw_kind(pen, kind, shadow, radius, mixed(FIELD_DARK, INK, 0.25))
    draw_kind(pen, kind, place, radius + 1, PAPER)
    draw_kind(pen, kind, place, radius, side_color(episode, i))


def _draw_bars(pen: Pen, episode: BattleEpisode, i: int, place: Point, loop: float) -> None:
    """Health, above it the shield, below the unit a healer's energy."""
    b, kind = episode.battle, episode.map.kinds[i]
    (x, y), radius = pen.view.pixel(place), kind.radius * pen.view.cell
    width = round(max(2 * radius, 10)) + 2
    rise = round(radius * extent(episode.kinds[i], (0.0, 1.0))) + 3

    def bar(top: int, share: float, color: str) -> None:
        left = x - width // 2
        pen.bar((left, y + top, left + width, y + top + 5), share, color)

    share = float(episode.at(b.health, loop)[i]) / kind.health
    bar(-rise, share, HEALTH if share > 0.6 else HURT if share > 0.3 else DYING)
    if kind.shield:
        bar(-rise - 4, float(episode.at(b.shield, loop)[i]) / kind.shield, SHIELD)
    if kind.heals:
        bar(rise - 2, float(episode.at(b.energy, loop)[i]) / ENERGY_MAX, ENERGY)


def _draw_fallen(pen: Pen, episode: BattleEpisode, places: Sequence[Point], loop: float) -> None:
    """A cross where each unit died, paler with time."""
    for i in map(int, np.flatnonzero(episode.fell <= loop)):
        age = (loop - episode.fell[i]) / LOOPS_PER_STEP / FADE_STEPS
        pale = min(int(age * FADES), FADES - 1) / FADES
        draw_cross(pen, places[i], mixed(side_color(episode, i), FIELD, pale))


def _draw_choices(
    pen: Pen, episode: BattleEpisode, places: Sequence[Point], alive: np.ndarray, step: int
) -> None:
    """A beak for a move, a dotted line to the unit an agent attacks or heals."""
    for i in map(int, np.flatnonzero(alive[: episode.n])):
        action, at = int(episode.actions[step, i]), int(episode.ordered[step, i])
        if NORTH <= action <= WEST:
            way = MOVES[action - NORTH]
            start = episode.map.kinds[i].radius * pen.view.cell * extent(episode.kinds[i], way)
            above = BARS if action == NORTH else 0  # the bars are there
            draw_beak(pen, places[i], way, start + above)
        elif at != NOBODY:
            color = HEALTH if episode.map.kinds[i].heals else ALLY
            draw_aim(pen, places[i], places[at], color)


def _draw_cones(
    pen: Pen,
    episode: BattleEpisode,
    places: Sequence[Point],
    alive: np.ndarray,
    step: int,
    agent: int | None,
) -> None:
    """Where agents look, if that is not all around: of one agent, or of all that live."""
    if episode.cones is None:
        return
    angles, width, sight = episode.cones
    seeing = [i for i in range(episode.n) if alive[i] and agent in (None, i)]
    draw_cones(pen, [(places[i], float(sight[i]), float(angles[step, i])) for i in seeing], width)


# --- shots, explosions and healing ----------------------------------------------------------------


def _draw_heals(pen: Pen, episode: BattleEpisode, loop: float) -> None:
    for heal in episode.heals:
        if heal.start <= loop < heal.end:
            draw_heal(pen, episode.place(heal.by, loop), episode.place(heal.at, loop))


def _draw_bursts(pen: Pen, episode: BattleEpisode, loop: float) -> None:
    """Each where its unit dies, as large as the area that it harms."""
    for burst in episode.bursts:
        if burst.start <= loop < burst.end + SHOT_LOOPS:
            blast = episode.map.kinds[burst.by].blast
            draw_burst(pen, episode.place(burst.by, burst.end), blast)


def _draw_shots(pen: Pen, episode: BattleEpisode, loop: float) -> None:
    for shot in episode.shots:
        if not shot.start <= loop < shot.end + SHOT_LOOPS:
            continue
        kind = episode.map.kinds[shot.by]
        flown = (loop - shot.start) / max(shot.end - shot.start, 1e-6)
        if kind.beam:
            a, b = (episode.place(i, min(loop, shot.end)) for i in (shot.by, shot.at))
            a = between(a, b, min(kind.radius / max(math.dist(a, b), 1e-6), 0.5))
            draw_beam(pen, a, b, kind.beam + BEAM_WIDTH, flown)
            continue
        a, b = episode.place(shot.by, min(loop, shot.start)), episode.place(shot.at, loop)
        far = max(math.dist(a, b), 1e-6)
        a = between(a, b, min(kind.radius / far, 0.5))
        b = between(b, a, min(episode.map.kinds[shot.at].radius * 0.6 / far, 0.5))
        draw_shot(pen, episode.kinds[shot.by], a, b, flown)
