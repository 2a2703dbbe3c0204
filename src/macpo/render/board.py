"""A grid seen from above: a chequered board, discs that act, diamonds that wait, words around."""

import functools
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageOps

from macpo.render.ink import CHOSEN, FIELD, FIELD_DARK, INK, MARGIN, PAPER, QUIET, font

DISC, DIAMOND, RING = "#2F4B7C", "#F2A93B", "#D7263D"
LONGER = 400
"""Pixels of the board's longer side, as far as `MIN_CELL` and `MAX_CELL` allow."""
MIN_CELL, MAX_CELL = 12, 56
TOP, BOTTOM, WORDS, MIN_WIDTH = 48, 44, 28, 392
SIGN, ENTRY = 24, 130  # pixels of a sign in the legend; from one to the next
FINE = 4  # shapes are drawn larger by this factor and reduced, which smooths their edges

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels; right and bottom are exclusive."""


def cell_size(height: int, width: int) -> int:
    """Pixels of a cell's side."""
    return min(max(LONGER // max(height, width), MIN_CELL), MAX_CELL)


def cell_box(height: int, width: int, row: int, column: int) -> Box:
    """Where a cell is in the picture of such a board."""
    size = cell_size(height, width)
    left = (_image_width(width, size) - width * size) // 2
    x, y = left + column * size, TOP + row * size
    return x, y, x + size, y + size


@functools.lru_cache(maxsize=8)
def empty_board(height: int, width: int) -> Image.Image:
    """A board with room for a caption above and a legend below; to be copied."""
    size = cell_size(height, width)
    image = Image.new("RGB", (_image_width(width, size), TOP + height * size + BOTTOM), PAPER)
    draw = ImageDraw.Draw(image)
    for row in range(height):
        for column in range(width):
            left, top, right, bottom = cell_box(height, width, row, column)
            color = FIELD_DARK if (row + column) % 2 else FIELD
            draw.rectangle((left, top, right - 1, bottom - 1), fill=color)
    return image


def _image_width(width: int, size: int) -> int:
    return max(width * size + 2 * MARGIN, MIN_WIDTH)


# --- shapes ---------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1024)
def disc(
    size: int, name: str, way: tuple[int, int] | None = None, *, ring: bool = False
) -> Image.Image:
    """A disc with a name; a beak points (rows down, columns right), a ring marks an act."""
    image, draw, unit = _canvas(size)
    centre, radius = 0.5 * unit, 0.34 * unit
    if way is not None:
        down, right = way
        tip, base = 0.47 * unit, 0.27 * unit
        draw.polygon(
            [
                (centre + right * tip, centre + down * tip),
                (centre + right * base + down * base, centre + down * base + right * base),
                (centre + right * base - down * base, centre + down * base - right * base),
            ],
            fill=DISC,
        )
    if ring:
        _fill_disc(draw, centre, 0.46 * unit, RING)
        _fill_disc(draw, centre, 0.39 * unit, PAPER)
    _fill_disc(draw, centre, radius, DISC)
    return _finished(image, draw, size, name, "white")


@functools.lru_cache(maxsize=1024)
def diamond(size: int, name: str) -> Image.Image:
    """A diamond with a name."""
    image, draw, unit = _canvas(size)
    near, middle, far = 0.1 * unit, 0.5 * unit, 0.9 * unit
    corners = [(middle, near), (far, middle), (middle, far), (near, middle)]
    draw.polygon(corners, fill=DIAMOND)
    return _finished(image, draw, size, name, INK)


def draw_chosen(draw: ImageDraw.ImageDraw, box: Box) -> None:
    """Mark the cell of a chosen agent."""
    left, top, right, bottom = box
    draw.rectangle((left, top, right - 1, bottom - 1), CHOSEN)


def draw_grip(draw: ImageDraw.ImageDraw, one: Box, other: Box) -> None:
    """A bar from one cell to another."""
    ends = [((box[0] + box[2]) // 2, (box[1] + box[3]) // 2) for box in (one, other)]
    draw.line(ends, fill=RING, width=max((one[2] - one[0]) // 8, 2))


def _canvas(size: int) -> tuple[Image.Image, ImageDraw.ImageDraw, int]:
    unit = size * FINE
    image = Image.new("RGBA", (unit, unit))
    return image, ImageDraw.Draw(image), unit


def _fill_disc(draw: ImageDraw.ImageDraw, centre: float, radius: float, color: str) -> None:
    low, high = centre - radius, centre + radius
    draw.ellipse((low, low, high, high), fill=color)


def _finished(
    image: Image.Image, draw: ImageDraw.ImageDraw, size: int, name: str, color: str
) -> Image.Image:
    """The shape at its true size, with its name if there is room."""
    if size >= 20:
        middle = image.width / 2
        draw.text(
            (middle, middle), name, fill=color, font=font(size * FINE * 3 // 8, True), anchor="mm"
        )
    return image.resize((size, size), Image.Resampling.BOX)


# --- words ----------------------------------------------------------------------------------------


def draw_legend(image: Image.Image, entries: Sequence[tuple[Image.Image, str]]) -> None:
    """Signs of `SIGN` pixels below the board, and what they mean."""
    draw = ImageDraw.Draw(image)
    x, middle = MARGIN, image.height - BOTTOM // 2
    for sign, text in entries:
        image.paste(sign, (x, middle - SIGN // 2), sign)
        draw.text((x + SIGN + 6, middle), text, fill=QUIET, font=font(14), anchor="lm")
        x += ENTRY


def with_words(image: Image.Image, words: str) -> Image.Image:
    """The picture with a line of words below it."""
    image = ImageOps.expand(image, (0, 0, 0, WORDS), PAPER)
    at = (MARGIN, image.height - WORDS // 2 - 6)
    ImageDraw.Draw(image).text(at, words, fill=DISC, font=font(14, bold=True), anchor="lm")
    return image
