"""A top view of battles: draws the `BattleEpisode` of `battle`, four pictures per env step."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int
from PIL import Image, ImageColor, ImageDraw

from macpo.envs.smac_jax.dynamics import NOBODY, Battle, beginning
from macpo.envs.smac_jax.environment import EncodedState, SMACJaxEnv, State
from macpo.envs.smac_jax.features import MOVES, NORTH, WEST
from macpo.envs.smac_jax.maps import BattleMap
from macpo.envs.smac_jax.units import ENERGY_MAX, LOOPS_PER_STEP
from macpo.render.battle import BattleEpisode, Ending, Point, battle_episode
from macpo.render.ink import (
    FIELD,
    FIELD_DARK,
    INK,
    MARGIN,
    PAPER,
    QUIET,
    Picture,
    draw_caption,
    font,
)

PICTURES_PER_STEP = 4
FPS = 20
"""Five env steps a second: nearly twice as fast as the game is usually played."""
WIDTH, MAX_CELL = 600, 36  # pixels of the arena; largest size of a cell
FINE = 3  # shapes are drawn larger by this factor and reduced, which smooths their edges
TOP, BORDER = 58, 1  # pixels above the arena; cells around the walkable ground
ROOM, MIN_HEIGHT = 2, 11  # cells around all units; least cells from bottom to top
BEAK, BARS = 7, 6  # pixels
ROW, SIGN = 24, 26  # pixels between lines of the legend; width of a sign
LEGEND_CELL, TEAM, GAP = 20, 76, 14  # pixels

ALLY, ENEMY, ROCK = "#2F4B7C", "#C8472F", "#CFC8B8"
HEALTH, HURT, DYING, SHIELD, ENERGY = "#3BA55D", "#F2A93B", "#D7263D", "#46B1E1", "#9B5DE5"
ENDINGS = {"VICTORY": "#2B8A4B", "DEFEAT": "#D7263D", "TIME OUT": INK}
SHOTS = {"marine": "#E07B00", "marauder": "#3A3F47", "stalker": "#0093B8", "zealot": "#B5179E"}
OTHER_SHOT = INK
BLOWS = {"marauder": "grenade", "stalker": "bolt", "zealot": "blades"}
FADE_STEPS, FADES = 12, 4  # env steps in which the mark of a dead unit fades; its tones
SHOT_LOOPS = 3.5  # loops for which a shot that has struck stays visible

_NEAR, _FAR = 0.42, 1.05
_OUTLINES: dict[str, tuple[Point, ...]] = {  # in radii; the other kinds are discs
    "marauder": ((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)),
    "stalker": ((0, 1.3), (1.3, 0), (0, -1.3), (-1.3, 0)),
    "zealot": ((-1.15, 0.9), (1.15, 0.9), (0.95, -0.15), (0, -1.35), (-0.95, -0.15)),
    "medivac": (
        *((-_NEAR, _FAR), (_NEAR, _FAR), (_NEAR, _NEAR)),
        *((_FAR, _NEAR), (_FAR, -_NEAR), (_NEAR, -_NEAR)),
        *((_NEAR, -_FAR), (-_NEAR, -_FAR), (-_NEAR, -_NEAR)),
        *((-_FAR, -_NEAR), (-_FAR, _NEAR), (-_NEAR, _NEAR)),
    ),
}

_Sign: TypeAlias = Callable[["_Pen", Point], None]


class View(NamedTuple):
    """A part of the arena in whole cells; `cell` is the size of one in pixels."""

    left: int
    top: int
    width: int
    height: int
    cell: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.width * self.cell, self.height * self.cell

    def pixel(self, place: Point) -> tuple[int, int]:
        """The pixel of a position, from the upper left corner."""
        return round((place[0] - self.left) * self.cell), round((self.top - place[1]) * self.cell)


class Stage(NamedTuple):
    """What all pictures of an episode share."""

    view: View
    ground: Image.Image
    """Walkable ground and the rock around it, drawn large."""
    page: Image.Image
    """The fixed parts around the arena."""


def film(
    env: SMACJaxEnv,
    states: Sequence[State],
    actions: Int[np.ndarray, "T N"],
    captions: Sequence[str],
) -> list[Picture]:
    """`PICTURES_PER_STEP` pictures per step, and one of the final state."""
    episode = battle_episode(env, states, actions, captions)
    view = view_of(episode.map, episode.battle)
    stage = Stage(view, _ground(episode.map, view), _page(episode, view))
    last = PICTURES_PER_STEP * (len(states) - 1)
    return [partial(draw, episode, stage, i / PICTURES_PER_STEP) for i in range(last + 1)]


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


def draw(episode: BattleEpisode, stage: Stage, time: float) -> Image.Image:
    """The picture at a time in env steps."""
    loop, step = time * LOOPS_PER_STEP, int(time)
    over = step == len(episode.actions)
    alive = episode.fell > loop
    x, y = episode.at(episode.battle.x, loop), episode.at(episode.battle.y, loop)
    places = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
    pen = _Pen(stage.ground.copy(), stage.view)
    _draw_fallen(pen, episode, places, loop)
    if not over:
        _draw_choices(pen, episode, places, alive, step)
    _draw_heals(pen, episode, loop)
    # nearer units hide those behind them, and flying units hide both
    standing = [int(i) for i in np.flatnonzero(alive)]
    units = sorted(standing, key=lambda i: (episode.map.kinds[i].flies, -places[i][1]))
    for i in units:
        _draw_unit(pen, episode, i, places[i])
        _draw_bars(pen, episode, i, places[i], loop)
    _draw_shots(pen, episode, loop)
    image = stage.page.copy()
    image.paste(pen.finished(), (MARGIN, TOP))
    page = ImageDraw.Draw(image)
    draw_caption(page, episode.captions[step])
    page.text((image.width - MARGIN, 24), episode.map.name, QUIET, font(14), anchor="rm")
    _draw_balance(page, episode, loop, image.width)
    _draw_counts(page, episode, stage.view, alive)
    if over and episode.ending is not None:
        _draw_ending(page, episode, stage.view, episode.ending, alive)
    return image


# --- the arena ------------------------------------------------------------------------------------


def view_of(battle_map: BattleMap, battle: Battle) -> View:
    """The smallest view that contains every unit at all times, at the largest scale that fits."""
    (west, east), (south, north) = battle_map.walkable
    x, y = ((math.floor(v.min()) - ROOM, math.ceil(v.max()) + ROOM) for v in (battle.x, battle.y))
    wide, high = x[1] - x[0], max(y[1] - y[0], MIN_HEIGHT)
    most = min(WIDTH // wide, WIDTH // high, MAX_CELL)
    cell = max(most, WIDTH // (round(max(east - west, north - south)) + 2 * BORDER))
    left, width = _within(x, WIDTH // cell, (round(west) - BORDER, round(east) + BORDER))
    bottom, height = _within(y, high, (round(south) - BORDER, round(north) + BORDER))
    return View(left, bottom + height, width, height, cell)


def _within(span: tuple[int, int], size: int, limits: tuple[int, int]) -> tuple[int, int]:
    """(start, size) of a span that is stretched or cut to a size, inside the limits."""
    size = min(size, limits[1] - limits[0])
    start = (span[0] + span[1] - size) // 2
    return min(max(start, limits[0]), limits[1] - size), size


def _ground(battle_map: BattleMap, view: View) -> Image.Image:
    (west, east), (south, north) = battle_map.walkable
    image = Image.new("RGB", (view.size[0] * FINE, view.size[1] * FINE), ROCK)
    draw, cell = ImageDraw.Draw(image), view.cell * FINE
    for column in range(max(view.left, round(west)), min(view.left + view.width, round(east))):
        for row in range(max(view.top - view.height, round(south)), min(view.top, round(north))):
            x, y = (column - view.left) * cell, (view.top - row - 1) * cell
            color = FIELD_DARK if (row // 2 + column // 2) % 2 else FIELD
            draw.rectangle((x, y, x + cell - 1, y + cell - 1), fill=color)
    return image


class _Pen:
    """Draws on an enlarged image, at positions in cells, with widths in pixels of the picture."""

    def __init__(self, image: Image.Image, view: View) -> None:
        self._image, self._view = image, view
        self._draw = ImageDraw.Draw(image)

    @property
    def cell(self) -> int:
        """Pixels per cell of the picture."""
        return self._view.cell

    def xy(self, place: Point) -> tuple[int, int]:
        """Pixels of the enlarged image, at whole pixels of the picture so that nothing trembles."""
        x, y = self._view.pixel(place)
        return x * FINE, y * FINE

    def disc(self, place: Point, radius: float, color: str, width: float = 0) -> None:
        """A disc, or with `width` a ring."""
        (x, y), r = self.xy(place), radius * FINE
        box = (x - r, y - r, x + r, y + r)
        if width:
            self._draw.ellipse(box, outline=color, width=round(width * FINE))
        else:
            self._draw.ellipse(box, fill=color)

    def polygon(self, place: Point, corners: Sequence[Point], scale: float, color: str) -> None:
        """A polygon around a position; its corners times `scale` are pixels."""
        (x, y), k = self.xy(place), scale * FINE
        self._draw.polygon([(x + a * k, y - b * k) for a, b in corners], fill=color)

    def line(self, a: Point, b: Point, width: float, color: str) -> None:
        """A straight line."""
        self._draw.line((*self.xy(a), *self.xy(b)), fill=color, width=round(width * FINE))

    def dotted(self, a: Point, b: Point, width: float, color: str) -> None:
        """A line of dots."""
        n = max(int(math.dist(a, b) * self.cell / 7), 1)
        for k in range(n + 1):
            self.disc(_between(a, b, k / n), width / 2, color)

    def write(self, place: Point, text: str, size: float) -> None:
        """White letters."""
        large = font(round(size * FINE), bold=True)
        self._draw.text(self.xy(place), text, "white", large, anchor="mm")

    def bar(self, place: Point, drop: float, width: float, share: float, color: str) -> None:
        """A bar `drop` pixels below a position, filled to its share."""
        x, y = self.xy(place)
        w, h = round(width) * FINE, 3 * FINE
        left, top = x - w // 2, y + round(drop) * FINE
        self._draw.rectangle(
            (left - FINE, top - FINE, left + w + FINE - 1, top + h + FINE - 1), INK
        )
        if share > 0:
            full = max(round(share * w / FINE), 1) * FINE
            self._draw.rectangle((left, top, left + full - 1, top + h - 1), color)

    def finished(self) -> Image.Image:
        """The image at its true size."""
        return self._image.reduce(FINE)


def _between(a: Point, b: Point, share: float) -> Point:
    return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])


@lru_cache(maxsize=64)
def _mixed(color: str, other: str, share: float) -> str:
    """A colour with a share of another."""
    pairs = zip(ImageColor.getrgb(color), ImageColor.getrgb(other), strict=True)
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in pairs)


# --- units ----------------------------------------------------------------------------------------


def _side(episode: BattleEpisode, i: int) -> str:
    return ALLY if i < episode.n else ENEMY


def _draw_shape(pen: _Pen, kind: str, place: Point, radius: float, color: str) -> None:
    """The sign of a kind; `radius` in pixels."""
    if kind in _OUTLINES:
        pen.polygon(place, _OUTLINES[kind], radius, color)
    else:
        pen.disc(place, radius, color)


def _extent(kind: str, way: Point) -> float:
    """How far the sign of a kind extends in a direction, in radii."""
    x, y = way
    return max((x * a + y * b for a, b in _OUTLINES.get(kind, ())), default=1.0)


def _draw_unit(pen: _Pen, episode: BattleEpisode, i: int, place: Point) -> None:
    kind, radius = episode.kinds[i], episode.map.kinds[i].radius * pen.cell
    if episode.map.kinds[i].flies:
        shadow = (place[0] + 0.25, place[1] - 0.35)
        _draw_shape(pen, kind, shadow, radius, _mixed(FIELD_DARK, INK, 0.25))
    _draw_shape(pen, kind, place, radius + 1, PAPER)
    _draw_shape(pen, kind, place, radius, _side(episode, i))
    pen.write(place, episode.names[i], min(max(1.1 * radius, 9.0), 15.0))


def _draw_bars(pen: _Pen, episode: BattleEpisode, i: int, place: Point, loop: float) -> None:
    """Health, above it the shield, below the unit a healer's energy."""
    b, kind = episode.battle, episode.map.kinds[i]
    share = float(episode.at(b.health, loop)[i]) / kind.health
    color = HEALTH if share > 0.6 else HURT if share > 0.3 else DYING
    radius = kind.radius * pen.cell
    width, rise = max(2 * radius, 16), radius * _extent(episode.kinds[i], (0.0, 1.0)) + 2
    pen.bar(place, -rise, width, share, color)
    if kind.shield:
        share = float(episode.at(b.shield, loop)[i]) / kind.shield
        pen.bar(place, -rise - 4, width, share, SHIELD)
    if kind.heals:
        share = float(episode.at(b.energy, loop)[i]) / ENERGY_MAX
        pen.bar(place, rise - 1, width, share, ENERGY)


def _draw_fallen(pen: _Pen, episode: BattleEpisode, places: Sequence[Point], loop: float) -> None:
    """A cross where each unit died, paler with time."""
    for i in map(int, np.flatnonzero(episode.fell <= loop)):
        age = (loop - episode.fell[i]) / LOOPS_PER_STEP / FADE_STEPS
        pale = min(int(age * FADES), FADES - 1) / FADES
        _draw_cross(pen, places[i], _mixed(_side(episode, i), FIELD, pale))


def _draw_cross(pen: _Pen, place: Point, color: str) -> None:
    x, y = place
    for sign in (1, -1):
        pen.line((x - 0.3, y - 0.3 * sign), (x + 0.3, y + 0.3 * sign), 3, color)


def _draw_choices(
    pen: _Pen, episode: BattleEpisode, places: Sequence[Point], alive: np.ndarray, step: int
) -> None:
    """A beak for a move, a dotted line to the unit an agent attacks or heals."""
    for i in map(int, np.flatnonzero(alive[: episode.n])):
        action, at = int(episode.actions[step, i]), int(episode.ordered[step, i])
        if NORTH <= action <= WEST:
            way = MOVES[action - NORTH]
            start = episode.map.kinds[i].radius * pen.cell * _extent(episode.kinds[i], way)
            above = BARS if action == NORTH else 0  # the bars are there
            _draw_beak(pen, places[i], way, start + above)
        elif at != NOBODY:
            color = HEALTH if episode.map.kinds[i].heals else ALLY
            _draw_aim(pen, places[i], places[at], color)


def _draw_aim(pen: _Pen, a: Point, b: Point, color: str) -> None:
    pen.dotted(a, b, 2.5, _mixed(color, FIELD, 0.45))


def _draw_beak(pen: _Pen, place: Point, way: Point, start: float) -> None:
    """A triangle in the direction of a move, `start` pixels from a position."""
    (x, y), base, tip = way, start - 3, start + BEAK
    corners = [(x * tip, y * tip), (x * base - y * 7, y * base - x * 7)]
    pen.polygon(place, [*corners, (x * base + y * 7, y * base + x * 7)], 1, ALLY)


# --- shots and healing ----------------------------------------------------------------------------


def _draw_heals(pen: _Pen, episode: BattleEpisode, loop: float) -> None:
    for heal in episode.heals:
        if heal.start <= loop < heal.end:
            _draw_heal(pen, episode.place(heal.by, loop), episode.place(heal.at, loop))


def _draw_heal(pen: _Pen, a: Point, b: Point) -> None:
    """A beam with plus signs."""
    pen.line(a, b, 4, _mixed(HEALTH, FIELD, 0.5))
    for share in (0.3, 0.55, 0.8):
        x, y = _between(a, b, share)
        pen.line((x - 0.2, y), (x + 0.2, y), 2, HEALTH)
        pen.line((x, y - 0.2), (x, y + 0.2), 2, HEALTH)


def _draw_shots(pen: _Pen, episode: BattleEpisode, loop: float) -> None:
    for shot in episode.shots:
        if not shot.start <= loop < shot.end + SHOT_LOOPS:
            continue
        kind = episode.map.kinds[shot.by]
        a, b = episode.place(shot.by, min(loop, shot.start)), episode.place(shot.at, loop)
        far = max(math.dist(a, b), 1e-6)
        a = _between(a, b, min(kind.radius / far, 0.5))
        b = _between(b, a, min(episode.map.kinds[shot.at].radius * 0.6 / far, 0.5))
        flown = (loop - shot.start) / max(shot.end - shot.start, 1e-6)
        _draw_shot(pen, episode.kinds[shot.by], a, b, flown)


def _draw_shot(pen: _Pen, kind: str, a: Point, b: Point, flown: float) -> None:
    """A kind's shot from a at b; `flown` is the share of its flight, above 1 once it has struck."""
    color = SHOTS.get(kind, OTHER_SHOT)
    if kind == "zealot":  # two blades
        x, y = b[0] - a[0], b[1] - a[1]
        far = max(math.hypot(x, y), 1e-6)
        x, y = 0.45 * x / far, 0.45 * y / far
        for side in (-0.5, 0.5):
            cx, cy = b[0] - side * y, b[1] + side * x
            pen.line((cx - x - y / 2, cy - y + x / 2), (cx + x + y / 2, cy + y - x / 2), 2.5, color)
    elif kind == "marauder" and flown <= 1:  # a grenade and its smoke
        head = _between(a, b, flown)
        for back, size in ((0.3, 1.5), (0.15, 2.2)):
            pen.disc(_between(a, b, max(flown - back, 0)), size, _mixed(color, FIELD, 0.5))
        pen.disc(head, 4, color)
    elif kind == "stalker" and flown <= 1:  # a bolt
        pen.line(_between(a, b, max(flown - 0.3, 0)), _between(a, b, flown), 4, color)
        pen.disc(_between(a, b, flown), 3.5, color)
    elif kind in ("marauder", "stalker"):
        pen.disc(b, 7, color, 2)
    else:  # a tracer, with a spark where it strikes
        pen.line(a, b, 1.5, color)
        pen.disc(b, 3, color)


# --- around the arena -----------------------------------------------------------------------------


def _draw_balance(
    page: ImageDraw.ImageDraw, episode: BattleEpisode, loop: float, width: int
) -> None:
    """Remaining health and shields of both sides, from the outside to the middle."""
    left = np.array([k.health + k.shield for k in episode.map.kinds])
    now = episode.at(episode.battle.health + episode.battle.shield, loop)
    half, y = width // 2 - MARGIN, 42
    page.rectangle((MARGIN, y, width - MARGIN - 1, y + 7), fill=FIELD_DARK)
    for side, color in ((slice(None, episode.n), ALLY), (slice(episode.n, None), ENEMY)):
        size = round(half * float(now[side].sum() / left[side].sum()))
        x = MARGIN if color == ALLY else width - MARGIN - size
        if size:
            page.rectangle((x, y, x + size - 1, y + 7), fill=color)


def _draw_counts(
    page: ImageDraw.ImageDraw, episode: BattleEpisode, view: View, alive: Bool[np.ndarray, " U"]
) -> None:
    """How many units of each kind both sides have left."""
    for x, y, members in _teams(episode, view):
        text = _count(episode, members, int(alive[members].sum()))
        page.text((x + SIGN, y), text, INK, font(13), anchor="lm")


def _count(episode: BattleEpisode, members: Sequence[int], alive: int) -> str:
    return f"{alive} of {len(members)} {episode.kinds[members[0]]}{'s' * (len(members) != 1)}"


def _teams(episode: BattleEpisode, view: View) -> list[tuple[int, int, list[int]]]:
    """The pixel (x, y) of each kind's sign in the legend's first lines, and its units."""
    found: list[tuple[int, int, list[int]]] = []
    for line, side in enumerate((range(episode.n), range(episode.n, len(episode.kinds)))):
        x, y = MARGIN + TEAM, TOP + view.size[1] + ROW * (line + 1)
        for kind in dict.fromkeys(episode.kinds[i] for i in side):
            members = [i for i in side if episode.kinds[i] == kind]
            found.append((x, y, members))
            x += SIGN + round(font(13).getlength(_count(episode, members, len(members)))) + GAP
    return found


def _page(episode: BattleEpisode, view: View) -> Image.Image:
    """The empty page with the legend."""
    width, height = view.size
    lines, x = [list[tuple[int, _Sign, str]]()], 0
    for paint, text in _signs(episode.map):
        size = SIGN + round(font(13).getlength(text)) + GAP
        if x + size > width:
            lines, x = [*lines, []], 0
        lines[-1].append((x, paint, text))
        x += size
    below = (len(lines) + 2) * ROW + MARGIN
    cell = LEGEND_CELL
    large = Image.new("RGB", (width * FINE, below * FINE), PAPER)
    pen = _Pen(large, View(0, 0, width // cell, below // cell, cell))
    for x, y, members in _teams(episode, view):
        kind = episode.kinds[members[0]]
        place = ((x - MARGIN + 9) / cell, (TOP + height - y) / cell)
        _draw_shape(pen, kind, place, 8 if kind in _OUTLINES else 7, _side(episode, members[0]))
    for k, line in enumerate(lines):
        for x, paint, _ in line:
            paint(pen, (x / cell, -ROW * (k + 3) / cell))
    page = Image.new("RGB", (width + 2 * MARGIN, TOP + height + below), PAPER)
    page.paste(pen.finished(), (MARGIN, TOP + height))
    words = ImageDraw.Draw(page)
    for k, (word, color) in enumerate((("allies", ALLY), ("enemies", ENEMY))):
        at = (MARGIN, TOP + height + ROW * (k + 1))
        words.text(at, word, color, font(13, bold=True), anchor="lm")
    for k, line in enumerate(lines):
        for x, _, text in line:
            at = (MARGIN + x + SIGN, TOP + height + ROW * (k + 3))
            words.text(at, text, QUIET, font(13), anchor="lm")
    return page


def _signs(battle_map: BattleMap) -> list[tuple[_Sign, str]]:
    """Signs of the legend and their texts; a sign lies to the right of its point."""

    def bar(color: str) -> _Sign:
        return lambda pen, at: pen.bar((at[0] + 0.5, at[1]), -1, 18, 0.7, color)

    def shot(kind: str) -> _Sign:
        return lambda pen, at: _draw_shot(pen, kind, at, (at[0] + 0.7, at[1]), 0.8)

    kinds = battle_map.kinds
    names = dict.fromkeys((*battle_map.allies, *battle_map.enemies))
    heals = any(kind.heals for kind in kinds)
    signs: list[tuple[_Sign, str]] = [(bar(HEALTH), "health")]
    if any(kind.shield for kind in kinds):
        signs.append((bar(SHIELD), "shield"))
    if heals:
        signs.append((bar(ENERGY), "energy"))
    signs += [
        (shot(name), f"{name}'s {BLOWS.get(name, 'shot')}")
        for name in names
        if not battle_map.units[name].heals
    ]
    if heals:
        signs.append((lambda pen, at: _draw_heal(pen, at, (at[0] + 1.0, at[1])), "healing"))
    return [
        *signs,
        (lambda pen, at: _draw_beak(pen, (at[0] + 0.4, at[1]), (1.0, 0.0), 0.0), "agent moves"),
        (lambda pen, at: _draw_aim(pen, at, (at[0] + 1.0, at[1]), ALLY), "agent aims"),
        (lambda pen, at: _draw_cross(pen, (at[0] + 0.5, at[1]), ENEMY), "fallen"),
    ]


def _draw_ending(
    page: ImageDraw.ImageDraw,
    episode: BattleEpisode,
    view: View,
    word: Ending,
    alive: Bool[np.ndarray, " U"],
) -> None:
    """The outcome in large letters, away from the surviving units."""
    n, (width, height) = episode.n, view.size
    text = (
        f"{alive[:n].sum()} of {n} allies and {alive[n:].sum()} of {len(alive) - n} enemies left "
        f"after {len(episode.actions)} steps"
    )
    left = episode.battle.y[-1][alive]
    low = left.size > 0 and view.pixel((0.0, float(left.mean())))[1] > height / 2
    x, y = MARGIN + width // 2, TOP + (60 if low else height - 60)
    half = round(font(15).getlength(text)) // 2 + 24
    color = ENDINGS[word]
    page.rounded_rectangle((x - half, y - 46, x + half, y + 46), 10, PAPER, color, 3)
    page.text((x, y - 12), word, color, font(36, bold=True), anchor="mm")
    page.text((x, y + 26), text, INK, font(15), anchor="mm")
