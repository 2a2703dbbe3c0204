"""Shapes on an enlarged image, which smooths their edges once it is reduced."""

import math
from collections.abc import Sequence
from functools import lru_cache

from PIL import Image, ImageColor, ImageDraw

from macpo.render.battle import Point
from macpo.render.camera import View
from macpo.render.ink import INK, PAPER, font

FINE = 2
"""Times as large as the picture."""


class Pen:
    """Draws at positions in cells, with widths in pixels of the picture.

    Every position is rounded to whole pixels of the picture, so that shapes look the same wherever
    they are.
    """

    def __init__(self, image: Image.Image, view: View) -> None:
        self._image, self.view = image, view
        self._draw = ImageDraw.Draw(image)

    def disc(self, place: Point, radius: float, color: str, width: float = 0) -> None:
        """A disc, or with `width` a ring."""
        (x, y), r = self._xy(place), radius * FINE
        box = (x - r, y - r, x + r, y + r)
        if width:
            self._draw.ellipse(box, outline=color, width=round(width * FINE))
        else:
            self._draw.ellipse(box, fill=color)

    def glow(self, place: Point, radius: float, color: str, share: float) -> None:
        """A disc, whose radius is in cells, through which a share of what is below is hidden."""
        (x, y), r = self._xy(place), radius * self.view.cell * FINE
        tint = (*ImageColor.getrgb(color)[:3], round(255 * share))
        ImageDraw.Draw(self._image, "RGBA").ellipse((x - r, y - r, x + r, y + r), fill=tint)

    def tile(self, low: Point, high: Point, color: str) -> None:
        """A rectangle from its lower left to its upper right corner."""
        (left, bottom), (right, top) = self._xy(low), self._xy(high)
        self._draw.rectangle((left, top, right - 1, bottom - 1), fill=color)

    def polygon(self, place: Point, corners: Sequence[Point], scale: float, color: str) -> None:
        """A polygon around a position; its corners times `scale` are pixels."""
        (x, y), k = self._xy(place), scale * FINE
        self._draw.polygon([(x + a * k, y - b * k) for a, b in corners], fill=color)

    def sector(
        self, place: Point, radius: float, angles: tuple[float, float], color: str, *, line: bool
    ) -> None:
        """The part of a disc, whose radius is in cells, between two angles in degrees,
        counterclockwise from east; filled, or a line of that colour around it."""
        (x, y), r = self._xy(place), radius * self.view.cell * FINE
        start, end = (-angle for angle in angles[::-1])  # Pillow's go with the clock
        box = (x - r, y - r, x + r, y + r)
        if line:
            self._draw.pieslice(box, start, end, outline=color, width=FINE)
        else:
            self._draw.pieslice(box, start, end, fill=color)

    def line(self, a: Point, b: Point, width: float, color: str) -> None:
        """A straight line."""
        self._draw.line((*self._xy(a), *self._xy(b)), fill=color, width=round(width * FINE))

    def dotted(self, a: Point, b: Point, width: float, color: str) -> None:
        """A line of dots."""
        n = max(int(math.dist(a, b) * self.view.cell / 7), 1)
        for k in range(n + 1):
            self.disc(between(a, b, k / n), width / 2, color)

    def thread(self, a: tuple[int, int], b: tuple[int, int], color: str) -> None:
        """A thin line between two pixels of the picture."""
        ends = (a[0] * FINE, a[1] * FINE, b[0] * FINE, b[1] * FINE)
        self._draw.line(ends, fill=color, width=FINE)

    def bar(self, box: tuple[int, int, int, int], share: float, color: str) -> None:
        """A bar with an edge in a box (left, top, right, bottom) of pixels, filled to its share."""
        left, top, right, bottom = (x * FINE for x in box)
        self._draw.rectangle((left, top, right - 1, bottom - 1), INK)
        if share > 0:
            full = max(round(share * (right - left - 2 * FINE) / FINE), 1) * FINE
            inside = (left + FINE, top + FINE, left + FINE + full - 1, bottom - FINE - 1)
            self._draw.rectangle(inside, color)

    def finished(self) -> Image.Image:
        """The image at its true size."""
        return self._image.reduce(FINE)

    def _xy(self, place: Point) -> tuple[int, int]:
        x, y = self.view.pixel(place)
        return x * FINE, y * FINE


@lru_cache(maxsize=512)
def written(text: str, size: int, color: str, tagged: bool) -> Image.Image:
    """White letters edged in a colour; or, to be seen anywhere, on a tag of that colour."""
    large = font(size * FINE, bold=True)
    width, height = number_size(text, size)
    image = Image.new("RGBA", (width * FINE, height * FINE), color)
    image.putalpha(0)
    draw = ImageDraw.Draw(image)
    if tagged:
        box = (0, 0, image.width - 1, image.height - 1)
        draw.rounded_rectangle(box, 3 * FINE, color, PAPER, FINE)
    middle = image.width / 2, image.height / 2
    edge = 0 if tagged else FINE
    draw.text(middle, text, "white", large, anchor="mm", stroke_width=edge, stroke_fill=color)
    return image.reduce(FINE)


@lru_cache(maxsize=512)
def number_size(text: str, size: int) -> tuple[int, int]:
    """Width and height of a number with its edge, even and in pixels of the picture."""
    left, top, right, bottom = font(size, bold=True).getbbox(text, anchor="mm")
    return 2 * math.ceil((right - left) / 2 + 2), 2 * math.ceil((bottom - top) / 2 + 2)


def between(a: Point, b: Point, share: float) -> Point:
    """A position on the way from one to another."""
    return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])


@lru_cache(maxsize=64)
def mixed(color: str, other: str, share: float) -> str:
    """A colour with a share of another."""
    pairs = zip(ImageColor.getrgb(color), ImageColor.getrgb(other), strict=True)
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in pairs)
