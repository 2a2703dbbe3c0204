"""Colours, fonts and measures that all pictures share."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import matplotlib
from PIL import Image, ImageDraw, ImageFont

Picture: TypeAlias = Callable[[], Image.Image]
"""Draws one picture of a film on demand: the pictures of a whole episode would fill memory."""

PAPER, INK, QUIET = "#FBFAF7", "#22272E", "#5B6470"
CHOSEN = "#FFD23F"  # of the agent whose actions are shown
FIELD, FIELD_DARK = "#EFECE4", "#E6E2D7"  # a chequered floor makes cells countable
LAST_PICTURE_SECONDS = 2.0
MARGIN = 16
"""Pixels between the edge of a picture and its contents."""


@functools.lru_cache(maxsize=32)
def font(size: int, bold: bool = False, mono: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu, which comes with matplotlib and is the same on every machine; size in pixels."""
    name = f"DejaVuSans{'Mono' if mono else ''}{'-Bold' if bold else ''}.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)


def draw_caption(draw: ImageDraw.ImageDraw, caption: str) -> None:
    """One bold line at the top left."""
    draw.text((MARGIN, 24), caption, fill=INK, font=font(16, bold=True), anchor="lm")
