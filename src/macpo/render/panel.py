"""The page around the field of a battle: its caption above, and beside it all that is counted."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool
from PIL import Image, ImageDraw

from macpo.envs.smac_jax.grounds import CLIFF
from macpo.envs.smac_jax.units import LOOPS_PER_STEP
from macpo.render.battle import ACTIONS, BattleEpisode, Ending, Point
from macpo.render.camera import View, ground_of
from macpo.render.ink import FIELD_DARK, INK, MARGIN, PAPER, QUIET, draw_caption, font
from macpo.render.pen import FINE, Pen, mixed
from macpo.render.signs import (
    ALLY,
    BLOWS,
    ENEMY,
    ENERGY,
    HEALTH,
    OUTLINES,
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
    draw_shot,
    side_color,
)

TOP, WIDTH, MAX_HEIGHT = 46, 264, 640
"""Pixels above field and panel; of the panel; of a field at most, in a picture of usual width."""
USUAL_WIDTH = 960
"""Of a picture, in pixels."""
ROW, SIGN, GAP, TITLE = 22, 26, 14, 74
"""Pixels between lines; of a sign; between two entries of a line; of a side's name."""
ENDING_HEIGHT, LEGEND_CELL = 68, 20
TARGETS, TARGET = 52, 23
"""Pixels before the numbers of an agent's targets; of each number."""
ENDINGS: dict[Ending, str] = {
    "VICTORY": "#2B8A4B",
    "DEFEAT": "#D7263D",
    "DRAW": INK,
    "TIME OUT": INK,
}
_Sign: TypeAlias = Callable[[Pen, Point], None]
_PALE = mixed(QUIET, PAPER, 0.65)


class Panel(NamedTuple):
    """Where its parts are, in pixels of the picture."""

    field: tuple[int, int]
    """Width and height of the field, which is at (MARGIN, TOP)."""
    size: tuple[int, int]
    """Of the picture."""
    left: int
    teams: int
    """The middle of the first line; so for the legend."""
    ending: int
    agent: int
    legend: int
    lines: tuple[tuple["_Entry", ...], ...]
    """Of the legend."""

    @property
    def right(self) -> int:
        """Its right edge."""
        return self.size[0] - MARGIN


class _Entry(NamedTuple):
    x: int
    sign: _Sign
    text: str


class _Kind(NamedTuple):
    y: int
    members: list[int]


def panel_of(episode: BattleEpisode, width: int, agent: int | None) -> Panel:
    """The panel of a picture so wide, with room for the actions of an agent if one is given.

    The field is as high as the ground is at its width, and no less than the panel.
    """
    low, high = ground_of(episode)
    wide, tall = high[0] - low[0], high[1] - low[1]
    scale = min(
        (width - WIDTH - 3 * MARGIN) / wide, MAX_HEIGHT * max(width / USUAL_WIDTH, 1) / tall
    )
    field = round(wide * scale), round(tall * scale)
    left = field[0] + 2 * MARGIN
    kinds = [len(set(side)) for side in (episode.map.allies, episode.map.enemies)]
    teams = TOP + ROW // 2
    ending = teams + (sum(kinds) + 2) * ROW
    below = ending + ENDING_HEIGHT + ROW
    lines = _lines(_signs(episode), width - MARGIN - left)
    rows = 0 if agent is None else 4 + len(_target_lines(episode, width - MARGIN - left))
    legend = below + rows * ROW
    bottom = max(TOP + field[1], legend + len(lines) * ROW - ROW // 2)
    field = field[0], bottom - TOP
    return Panel(field, (width, bottom + MARGIN), left, teams, ending, below, legend, lines)


def empty_page(episode: BattleEpisode, panel: Panel) -> Image.Image:
    """All that is the same in every picture."""
    page = Image.new("RGB", panel.size, PAPER)
    large = Image.new("RGB", (FINE * (panel.size[0] - panel.left), FINE * panel.size[1]), PAPER)
    pen = Pen(large, View(0, 0, LEGEND_CELL))
    for y, members in _kinds(episode, panel):
        kind = episode.kinds[members[0]]
        place = 9 / LEGEND_CELL, -y / LEGEND_CELL
        draw_kind(pen, kind, place, 8 if kind in OUTLINES else 7, side_color(episode, members[0]))
    for k, line in enumerate(panel.lines):
        for x, sign, _ in line:
            sign(pen, (x / LEGEND_CELL, -(panel.legend + k * ROW) / LEGEND_CELL))
    page.paste(pen.finished(), (panel.left, 0))
    words = ImageDraw.Draw(page)
    words.text((panel.right, 24), episode.map.name, QUIET, font(14), anchor="rm")
    for k, line in enumerate(panel.lines):
        for x, _, text in line:
            at = (panel.left + x + SIGN, panel.legend + k * ROW)
            words.text(at, text, QUIET, font(13), anchor="lm")
    return page


def draw_panel(
    page: ImageDraw.ImageDraw,
    episode: BattleEpisode,
    panel: Panel,
    time: float,
    agent: int | None,
) -> None:
    """What a picture says about its time, in env steps."""
    step, loop = int(time), time * LOOPS_PER_STEP
    alive = episode.fell > loop
    draw_caption(page, episode.captions[step])
    _draw_teams(page, episode, panel, loop, alive)
    if step == len(episode.actions) and episode.ending is not None:
        _draw_ending(page, episode, panel, episode.ending, alive)
    if agent is not None:
        _draw_agent(page, episode, panel, step, agent)


# --- teams and outcome ----------------------------------------------------------------------------


def _sides(episode: BattleEpisode) -> tuple[range, range]:
    return range(episode.n), range(episode.n, len(episode.kinds))


def _kinds(episode: BattleEpisode, panel: Panel) -> list[_Kind]:
    """The line of each kind and its units, below the name of their side."""
    found, y = list[_Kind](), panel.teams
    for side in _sides(episode):
        for kind in dict.fromkeys(episode.kinds[i] for i in side):
            y += ROW
            found.append(_Kind(y, [i for i in side if episode.kinds[i] == kind]))
        y += ROW
    return found


def _draw_teams(
    page: ImageDraw.ImageDraw,
    episode: BattleEpisode,
    panel: Panel,
    loop: float,
    alive: Bool[np.ndarray, " U"],
) -> None:
    """Units left of each kind, and bars of the sides' remaining health and shields."""
    most = np.array([k.health + k.shield for k in episode.map.kinds])
    now = episode.at(episode.battle.health + episode.battle.shield, loop)
    kinds = _kinds(episode, panel)
    for side, name in zip(_sides(episode), ("allies", "enemies"), strict=True):
        color = side_color(episode, side[0])
        y = min(kind.y for kind in kinds if kind.members[0] in side) - ROW
        page.text((panel.left, y), name, color, font(13, bold=True), anchor="lm")
        left = panel.left + TITLE
        full = panel.right - left
        share = float(now[side].sum() / most[side].sum())
        page.rectangle((left, y - 4, panel.right - 1, y + 3), FIELD_DARK)
        if size := round(full * share):
            page.rectangle((left, y - 4, left + size - 1, y + 3), color)
    for y, members in kinds:
        n, kind = len(members), episode.kinds[members[0]]
        many = kind if n == 1 else "colossi" if kind == "colossus" else f"{kind}s"
        text = f"{alive[members].sum()} of {n} {many}"
        page.text((panel.left + SIGN, y), text, INK, font(13), anchor="lm")


def _draw_ending(
    page: ImageDraw.ImageDraw,
    episode: BattleEpisode,
    panel: Panel,
    word: Ending,
    alive: Bool[np.ndarray, " U"],
) -> None:
    """The outcome in large letters."""
    n, color, top = episode.n, ENDINGS[word], panel.ending
    text = f"{alive[:n].sum()} of {n} allies, {alive[n:].sum()} of {len(alive) - n} enemies"
    box = (panel.left, top, panel.right - 1, top + ENDING_HEIGHT)
    page.rounded_rectangle(box, 8, PAPER, color, 3)
    middle = (panel.left + panel.right) // 2
    page.text((middle, top + 26), word, color, font(28, bold=True), anchor="mm")
    page.text((middle, top + 52), text, INK, font(13), anchor="mm")


# --- the chosen agent -----------------------------------------------------------------------------


def _target_lines(episode: BattleEpisode, width: int) -> list[range]:
    """The numbers of targets that fit into a line."""
    each = (width - TARGETS) // TARGET
    numbers = range(episode.map.n_enemies)
    return [numbers[i : i + each] for i in range(0, len(numbers), each)]


def _draw_agent(
    page: ImageDraw.ImageDraw, episode: BattleEpisode, panel: Panel, step: int, agent: int
) -> None:
    """What it does, and which actions it may choose: the others are pale."""
    x, y = panel.left, panel.agent
    page.text(
        (x, y), f"agent {agent}, a {episode.kinds[agent]}", ALLY, font(13, bold=True), anchor="lm"
    )
    page.text((x, y + ROW), episode.doing(agent, step), INK, font(15, bold=True), anchor="lm")
    may = episode.available(step)[agent]
    chosen = -1 if step == len(episode.actions) else int(episode.actions[step, agent])

    def entry(x: int, y: int, text: str, action: int) -> int:
        size = round(font(13).getlength(text))
        if action == chosen:
            page.rounded_rectangle((x - 4, y - 9, x + size + 3, y + 9), 4, ALLY)
        color = "white" if action == chosen else INK if may[action] else _PALE
        page.text((x, y), text, color, font(13), anchor="lm")
        return x + size + 12

    y += 2 * ROW
    for action, name in list(enumerate(ACTIONS))[1:]:
        x = entry(x, y, name, action)
    heals = episode.map.kinds[agent].heals
    y += ROW
    page.text((panel.left, y), "heal" if heals else "attack", QUIET, font(13), anchor="lm")
    for k, line in enumerate(_target_lines(episode, panel.right - panel.left)):
        for i, number in enumerate(line):
            if not heals or number < episode.n:
                at = panel.left + TARGETS + TARGET * i
                entry(at, y + k * ROW, str(number), len(ACTIONS) + number)


# --- the legend -----------------------------------------------------------------------------------


def _lines(signs: Sequence[tuple[_Sign, str]], width: int) -> tuple[tuple[_Entry, ...], ...]:
    """The entries of the legend, as many in a line as fit."""
    lines, x = [list[_Entry]()], 0
    for sign, text in signs:
        size = SIGN + round(font(13).getlength(text)) + GAP
        if x + size - GAP > width and lines[-1]:
            lines, x = [*lines, []], 0
        lines[-1].append(_Entry(x, sign, text))
        x += size
    return tuple(map(tuple, lines))


def _signs(episode: BattleEpisode) -> list[tuple[_Sign, str]]:
    """Signs of the legend and their texts; a sign lies to the right of its point."""

    def bar(color: str) -> _Sign:
        def draw(pen: Pen, at: Point) -> None:
            x, y = pen.view.pixel(at)
            pen.bar((x, y - 3, x + 20, y + 2), 0.7, color)

        return draw

    def blow(name: str) -> _Sign:
        if episode.map.units[name].beam:
            return lambda pen, at: draw_beam(pen, at, (at[0] + 0.7, at[1]), 0.4, 2.0)
        if episode.map.units[name].blast:
            return lambda pen, at: draw_burst(pen, (at[0] + 0.5, at[1]), 0.45)
        return lambda pen, at: draw_shot(pen, name, at, (at[0] + 0.6, at[1]), 0.8)

    width = 0.0 if episode.cones is None else episode.cones.width
    cliffs = any(CLIFF in row for row in episode.map.cells or ())
    kinds, names = episode.map.kinds, dict.fromkeys(episode.kinds)
    heals = any(kind.heals for kind in kinds)
    signs: list[tuple[_Sign, str]] = [(bar(HEALTH), "health")]
    if any(kind.shield for kind in kinds):
        signs.append((bar(SHIELD), "shield"))
    if heals:
        signs.append((bar(ENERGY), "energy"))
        signs.append((lambda pen, at: draw_heal(pen, at, (at[0] + 1.0, at[1])), "healing"))
    return [
        *signs,
        (lambda pen, at: draw_beak(pen, (at[0] + 0.4, at[1]), (1.0, 0.0), 0.0), "agent moves"),
        (lambda pen, at: draw_aim(pen, at, (at[0] + 0.9, at[1]), ALLY), "agent aims"),
        *(
            (blow(name), f"{name}'s {BLOWS.get(name, 'shot')}")
            for name in names
            if not episode.map.units[name].heals
        ),
        (lambda pen, at: draw_cross(pen, (at[0] + 0.5, at[1]), ENEMY), "fallen"),
        *(
            [(lambda pen, at: draw_cones(pen, [(at, 1.0, 0.0)], width), "field of view")]
            if width
            else []
        ),
        *(
            [(lambda pen, at: draw_cliff(pen, (at[0], at[1] - 0.4), 0.8), "cliff")]
            if cliffs
            else []
        ),
    ]
