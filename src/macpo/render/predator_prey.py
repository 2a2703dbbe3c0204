"""A top view of Predator-Prey: discs hunt diamonds; a bar joins a catching disc and its prey."""

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int
from PIL import Image, ImageDraw, ImageOps

from macpo.envs.predator_prey import CATCH, MOVES, PredatorPreyEnv, State
from macpo.render.ink import (
    FIELD,
    FIELD_DARK,
    INK,
    MARGIN,
    PAPER,
    QUIET,
    draw_caption,
    font,
)

PREDATOR, PREY, CATCHING, CHOSEN = "#2F4B7C", "#F2A93B", "#D7263D", "#FFD23F"
SHOWS_AGENT = True
"""Whether the actions of an agent can be shown."""
DOES = ("moves right", "moves down", "moves left", "moves up", "stays", "catches")
BOARD = 400  # pixels of the board's longer side, as far as MIN_CELL and MAX_CELL allow
MIN_CELL, MAX_CELL = 12, 56
TOP, BOTTOM, WORDS, MIN_WIDTH = 48, 44, 28, 392
FINE = 4  # shapes are drawn larger by this factor and reduced, which smooths their edges


def frame(
    env: PredatorPreyEnv,
    state: State,
    caption: str,
    actions: Int[np.ndarray, " N"] | None = None,
    agent: int | None = None,
) -> Image.Image:
    """One state; with `actions`, also what each predator does next.

    An `agent` is marked, and what it does is said in words.
    """
    agents, prey = _cells(state.agent_cell), _cells(state.prey_cell)
    acts = [None] * len(agents) if actions is None else [int(a) for a in np.asarray(actions)]
    height, width = env.config.height, env.config.width
    size = _cell_size(height, width)
    image = _board(height, width).copy()
    draw = ImageDraw.Draw(image)
    draw_caption(draw, caption)
    if agent is not None and agents[agent] != env.gone:
        left, top, right, bottom = cell_box(env, agents[agent])
        draw.rectangle((left, top, right - 1, bottom - 1), CHOSEN)
    for cell, act in zip(agents, acts, strict=True):
        if act == CATCH and cell != env.gone:
            for other in prey:
                if other != env.gone and _distance(cell, other, width) == 1:
                    _draw_grip(draw, cell_box(env, cell), cell_box(env, other))
    for i, cell in enumerate(prey):
        if cell != env.gone:
            sprite = _prey(size, str(i))
            image.paste(sprite, cell_box(env, cell), sprite)
    for i, (cell, act) in enumerate(zip(agents, acts, strict=True)):
        if cell != env.gone:
            sprite = _predator(size, str(i), act)
            image.paste(sprite, cell_box(env, cell), sprite)
    _draw_legend(image, sum(c != env.gone for c in agents), sum(c != env.gone for c in prey))
    if agent is None:
        return image
    return _said(image, f"agent {agent} {_does(env, agents[agent], acts[agent])}")


def _does(env: PredatorPreyEnv, cell: int, act: int | None) -> str:
    """What an agent does, in words."""
    if cell == env.gone:
        return "is gone"
    return "is there at the end" if act is None else DOES[act]


def _said(image: Image.Image, words: str) -> Image.Image:
    """The picture with a line of words below it."""
    image = ImageOps.expand(image, (0, 0, 0, WORDS), PAPER)
    at = (MARGIN, image.height - WORDS // 2 - 6)
    ImageDraw.Draw(image).text(at, words, fill=PREDATOR, font=font(14, bold=True), anchor="lm")
    return image


def stored_state(
    env: PredatorPreyEnv, encoded: tuple[Int[Array, " N"], Int[Array, " M"]], t: int
) -> State:
    """The state of an encoded one: it has everybody's cells."""
    agent_cell, prey_cell = encoded
    return State(agent_cell, prey_cell, jnp.asarray(t, jnp.int32))


def cell_box(env: PredatorPreyEnv, cell: int) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom) of a cell in pixels; right and bottom are exclusive."""
    height, width = env.config.height, env.config.width
    size, (left, top) = _cell_size(height, width), _origin(height, width)
    row, column = divmod(cell, width)
    x, y = left + column * size, top + row * size
    return x, y, x + size, y + size


# --- measures -------------------------------------------------------------------------------------


def _cells(cell: Any) -> list[int]:
    return [int(c) for c in np.asarray(cell)]


def _distance(a: int, b: int, width: int) -> int:
    (row, column), (other_row, other_column) = divmod(a, width), divmod(b, width)
    return abs(row - other_row) + abs(column - other_column)


def _cell_size(height: int, width: int) -> int:
    return min(max(BOARD // max(height, width), MIN_CELL), MAX_CELL)


def _image_width(width: int, size: int) -> int:
    return max(width * size + 2 * MARGIN, MIN_WIDTH)


def _origin(height: int, width: int) -> tuple[int, int]:
    size = _cell_size(height, width)
    return (_image_width(width, size) - width * size) // 2, TOP


# --- shapes ---------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=8)
def _board(height: int, width: int) -> Image.Image:
    """The empty board."""
    size, (left, top) = _cell_size(height, width), _origin(height, width)
    image = Image.new("RGB", (_image_width(width, size), TOP + height * size + BOTTOM), PAPER)
    draw = ImageDraw.Draw(image)
    for row in range(height):
        for column in range(width):
            x, y = left + column * size, top + row * size
            color = FIELD_DARK if (row + column) % 2 else FIELD
            draw.rectangle((x, y, x + size - 1, y + size - 1), fill=color)
    return image


@functools.lru_cache(maxsize=1024)
def _predator(size: int, name: str, act: int | None = None) -> Image.Image:
    """A disc; its beak points in the direction of a move, a ring marks a catch."""
    image, draw, unit = _canvas(size)
    centre, radius = 0.5 * unit, 0.34 * unit
    if act is not None and act < len(MOVES):
        down, right = MOVES[act]
        tip, base = 0.47 * unit, 0.27 * unit
        draw.polygon(
            [
                (centre + right * tip, centre + down * tip),
                (centre + right * base + down * base, centre + down * base + right * base),
                (centre + right * base - down * base, centre + down * base - right * base),
            ],
            fill=PREDATOR,
        )
    if act == CATCH:
        _disc(draw, centre, 0.46 * unit, CATCHING)
        _disc(draw, centre, 0.39 * unit, PAPER)
    _disc(draw, centre, radius, PREDATOR)
    return _finished(image, draw, size, name, "white")


@functools.lru_cache(maxsize=1024)
def _prey(size: int, name: str) -> Image.Image:
    """A diamond."""
    image, draw, unit = _canvas(size)
    near, middle, far = 0.1 * unit, 0.5 * unit, 0.9 * unit
    corners = [(middle, near), (far, middle), (middle, far), (near, middle)]
    draw.polygon(corners, fill=PREY)
    return _finished(image, draw, size, name, INK)


def _draw_grip(
    draw: ImageDraw.ImageDraw, hunter: tuple[int, int, int, int], prey: tuple[int, int, int, int]
) -> None:
    """A bar from a catching predator to a prey within its reach."""
    ends = [((box[0] + box[2]) // 2, (box[1] + box[3]) // 2) for box in (hunter, prey)]
    draw.line(ends, fill=CATCHING, width=max((hunter[2] - hunter[0]) // 8, 2))


def _draw_legend(image: Image.Image, n_predators: int, n_prey: int) -> None:
    """The meaning of each shape, and how many are left."""
    draw = ImageDraw.Draw(image)
    size, x, middle = 24, MARGIN, image.height - BOTTOM // 2
    for sprite, text in (
        (_predator(size, ""), f"{n_predators} predator{'s' * (n_predators != 1)}"),
        (_prey(size, ""), f"{n_prey} prey"),
        (_predator(size, "", CATCH), "catching"),
    ):
        image.paste(sprite, (x, middle - size // 2), sprite)
        draw.text((x + size + 6, middle), text, fill=QUIET, font=font(14), anchor="lm")
        x += 130


def _canvas(size: int) -> tuple[Image.Image, ImageDraw.ImageDraw, int]:
    unit = size * FINE
    image = Image.new("RGBA", (unit, unit))
    return image, ImageDraw.Draw(image), unit


def _disc(draw: ImageDraw.ImageDraw, centre: float, radius: float, color: str) -> None:
    low, high = centre - radius, centre + radius
    draw.ellipse((low, low, high, high), fill=color)


def _finished(
    image: Image.Image, draw: ImageDraw.ImageDraw, size: int, name: str, color: str
) -> Image.Image:
    """The shape at its true size, with its number if there is room."""
    if size >= 20:
        middle = image.width / 2
        draw.text(
            (middle, middle), name, fill=color, font=font(size * FINE * 3 // 8, True), anchor="mm"
        )
    return image.resize((size, size), Image.Resampling.BOX)
