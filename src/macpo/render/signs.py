"""What a battle is drawn with, on the field and in its legend: kinds, shots, choices, marks."""

import math
from collections.abc import Sequence

from macpo.render.battle import BattleEpisode, Point
from macpo.render.ink import CHOSEN, FIELD, INK
from macpo.render.pen import Pen, between, mixed

ALLY, ENEMY = "#2F4B7C", "#C8472F"
HEALTH, HURT, DYING, SHIELD, ENERGY = "#3BA55D", "#F2A93B", "#D7263D", "#46B1E1", "#9B5DE5"
SHOTS = {
    "marine": "#E07B00",
    "marauder": "#3A3F47",
    "stalker": "#0093B8",
    "zealot": "#B5179E",
    "colossus": "#FF9A1F",
    "hydralisk": "#4F7A00",
    "zergling": "#B66DFF",
    "baneling": "#8DB600",
    "spine crawler": "#7A4419",
}
BLOWS = {
    "marauder": "grenade",
    "stalker": "bolt",
    "zealot": "blades",
    "colossus": "beam",
    "hydralisk": "spines",
    "zergling": "claws",
    "baneling": "explosion",
    "spine crawler": "tentacle",
}
"""What a kind hits with, where that is not called a shot."""
CLIFF_COLOR, CLIFF_EDGE = "#CDA96F", "#A98449"
BEAK = 7  # pixels

_NEAR, _FAR = 0.42, 1.05
OUTLINES: dict[str, tuple[Point, ...]] = {
    "marauder": ((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)),
    "stalker": ((0, 1.3), (1.3, 0), (0, -1.3), (-1.3, 0)),
    "zealot": ((-1.15, 0.9), (1.15, 0.9), (0.95, -0.15), (0, -1.35), (-0.95, -0.15)),
    "colossus": ((-1.1, 0.5), (0, 1.0), (1.1, 0.5), (1.1, -0.5), (0, -1.0), (-1.1, -0.5)),
    "hydralisk": ((-1.0, 0.9), (0, 0.5), (1.0, 0.9), (0, -1.2)),
    "zergling": ((0, 1.3), (1.15, -0.9), (-1.15, -0.9)),
    "spine crawler": ((-0.7, 0.9), (0.7, 0.9), (1.1, -0.8), (-1.1, -0.8)),
    "medivac": (
        *((-_NEAR, _FAR), (_NEAR, _FAR), (_NEAR, _NEAR)),
        *((_FAR, _NEAR), (_FAR, -_NEAR), (_NEAR, -_NEAR)),
        *((_NEAR, -_FAR), (-_NEAR, -_FAR), (-_NEAR, -_NEAR)),
        *((-_FAR, -_NEAR), (-_FAR, _NEAR), (-_NEAR, _NEAR)),
    ),
}
"""In radii; the other kinds are discs."""


_CONE, _RIM = mixed(FIELD, ALLY, 0.1), mixed(FIELD, ALLY, 0.35)


def side_color(episode: BattleEpisode, i: int) -> str:
    """The colour of a unit's side."""
    return ALLY if i < episode.n else ENEMY


def draw_cones(pen: Pen, cones: Sequence[tuple[Point, float, float]], width: float) -> None:
    """Fields of view, of (where, how many cells far, to which angle), as wide as given, in degrees;
    where some overlap, the rims of all are seen."""
    for line, color in ((False, _CONE), (True, _RIM)):
        for place, radius, angle in cones:
            pen.sector(place, radius, (angle - width / 2, angle + width / 2), color, line=line)


def draw_kind(pen: Pen, kind: str, place: Point, radius: float, color: str) -> None:
    """The sign of a kind; `radius` in pixels."""
    if kind in OUTLINES:
        pen.polygon(place, OUTLINES[kind], radius, color)
    else:
        pen.disc(place, radius, color)


def extent(kind: str, way: Point) -> float:
    """How far the sign of a kind extends in a direction, in radii."""
    x, y = way
    return max((x * a + y * b for a, b in OUTLINES.get(kind, ())), default=1.0)


def draw_ring(pen: Pen, place: Point, radius: float) -> None:
    """Around the agent whose actions are shown."""
    pen.disc(place, radius + 7, INK, 5)
    pen.disc(place, radius + 6, CHOSEN, 3)


def draw_cross(pen: Pen, place: Point, color: str) -> None:
    """Where a unit died."""
    x, y = place
    for sign in (1, -1):
        pen.line((x - 0.3, y - 0.3 * sign), (x + 0.3, y + 0.3 * sign), 3, color)


def draw_aim(pen: Pen, a: Point, b: Point, color: str) -> None:
    """From an agent to the unit that it attacks or heals."""
    pen.dotted(a, b, 2.5, mixed(color, FIELD, 0.45))


def draw_beak(pen: Pen, place: Point, way: Point, start: float) -> None:
    """A triangle in the direction of a move, `start` pixels from a position."""
    (x, y), base, tip = way, start - 3, start + BEAK
    corners = [(x * tip, y * tip), (x * base - y * 7, y * base - x * 7)]
    pen.polygon(place, [*corners, (x * base + y * 7, y * base + x * 7)], 1, ALLY)


def draw_heal(pen: Pen, a: Point, b: Point) -> None:
    """A beam with plus signs."""
    pen.line(a, b, 4, mixed(HEALTH, FIELD, 0.5))
    for share in (0.3, 0.55, 0.8):
        x, y = between(a, b, share)
        pen.line((x - 0.2, y), (x + 0.2, y), 2, HEALTH)
        pen.line((x, y - 0.2), (x, y + 0.2), 2, HEALTH)


def draw_shot(pen: Pen, kind: str, a: Point, b: Point, flown: float) -> None:
    """A kind's shot from a at b; `flown` is the share of its flight, above 1 once it has struck."""
    color = SHOTS[kind]
    if kind == "zealot":  # two blades
        _strokes(pen, a, b, (-0.5, 0.5), 0.45, color)
    elif kind == "zergling":  # three claws
        _strokes(pen, a, b, (-1.0, 0.0, 1.0), 0.2, color)
    elif kind == "marauder" and flown <= 1:  # a grenade and its smoke
        head = between(a, b, flown)
        for back, size in ((0.3, 1.5), (0.15, 2.2)):
            pen.disc(between(a, b, max(flown - back, 0)), size, mixed(color, FIELD, 0.5))
        pen.disc(head, 4, color)
    elif kind == "stalker" and flown <= 1:  # a bolt
        pen.line(between(a, b, max(flown - 0.3, 0)), between(a, b, flown), 4, color)
        pen.disc(between(a, b, flown), 3.5, color)
    elif kind in ("marauder", "stalker"):
        pen.disc(b, 7, color, 2)
    else:  # a tracer, with a spark where it strikes
        pen.line(a, b, 4 if kind == "spine crawler" else 1.5, color)
        pen.disc(b, 3, color)


def draw_beam(pen: Pen, a: Point, b: Point, half_length: float, flown: float) -> None:
    """A ray from a at b and the line across it in which it burns, bright once it has struck."""
    color, (x, y) = SHOTS["colossus"], _way(a, b)
    one, other = ((b[0] - k * y, b[1] + k * x) for k in (-half_length, half_length))
    pen.line(a, b, 1.5, color)
    pen.line(one, other, 5 if flown > 1 else 2, color)
    if flown > 1:
        pen.line(one, other, 2, mixed(color, "#FFFFFF", 0.7))


def draw_burst(pen: Pen, place: Point, radius: float) -> None:
    """An explosion, whose radius is in cells."""
    pen.glow(place, radius, SHOTS["baneling"], 0.45)
    pen.disc(place, radius * pen.view.cell, SHOTS["baneling"], 2)


def draw_cliff(pen: Pen, low: Point, side: float = 1.0) -> None:
    """A hatched square, with its lower left corner there."""
    (x, y), half = low, side / 2
    pen.tile(low, (x + side, y + side), CLIFF_COLOR)
    for a, b in (((0, half), (half, side)), ((0, 0), (side, side)), ((half, 0), (side, half))):
        pen.line((x + a[0], y + a[1]), (x + b[0], y + b[1]), 1, CLIFF_EDGE)


def _strokes(pen: Pen, a: Point, b: Point, sides: Sequence[float], size: float, color: str) -> None:
    """Slanting blows from a at b, side by side; their half length is in cells."""
    x, y = (size * k for k in _way(a, b))
    for side in sides:
        cx, cy = b[0] - side * y, b[1] + side * x
        pen.line((cx - x - y / 2, cy - y + x / 2), (cx + x + y / 2, cy + y - x / 2), 2.5, color)


def _way(a: Point, b: Point) -> Point:
    """The direction from one position to another, one cell long."""
    far = max(math.dist(a, b), 1e-6)
    return (b[0] - a[0]) / far, (b[1] - a[1]) / far
