"""Colours and letters that all pictures share."""

import functools
from pathlib import Path

import matplotlib
from PIL import ImageDraw, ImageFont

PAPER, INK, QUIET = "#FBFAF7", "#22272E", "#5B6470"
MARGIN = 16
"""Pixels between the edge of a picture and what is on it."""


@functools.lru_cache(maxsize=32)
def font(size: int, bold: bool = False, mono: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu, which comes with matplotlib: the same letters on every machine; size in pixels."""
    name = f"DejaVuSans{'Mono' if mono else ''}{'-Bold' if bold else ''}.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)


def draw_caption(draw: ImageDraw.ImageDraw, caption: str) -> None:
    """One bold line at the top left."""
    draw.text((MARGIN, 24), caption, fill=INK, font=font(16, bold=True), anchor="lm")
