"""Animated GIFs: their colours, and films of any length."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageColor

from macpo.render import gif
from macpo.render.gif import COLORS, SEGMENT, common_palette, encode
from macpo.render.ink import Picture


def test_a_palette_keeps_large_areas_exactly_and_is_small() -> None:
    blend = Image.linear_gradient("L")  # 256 greys
    picture = Image.merge("RGB", [blend, blend, blend])
    picture.paste("#2F4B7C", (0, 0, 128, 128))
    palette = common_palette([picture])
    colors = np.reshape(palette.getpalette() or [], (-1, 3))
    assert len(colors) <= COLORS
    assert list(ImageColor.getrgb("#2F4B7C")) in colors.tolist()


def test_pictures_of_few_colours_keep_them_all() -> None:
    red, blue = (Image.new("RGB", (4, 4), color) for color in ("red", "blue"))
    palette = common_palette([red, blue])
    assert palette.getpalette() == [255, 0, 0, 0, 0, 255]


def test_large_areas_of_nearly_one_colour_stay_apart_and_exact() -> None:
    picture = Image.new("RGB", (100, 100), "#FBFAF7")
    picture.paste("#EFECE4", (0, 0, 50, 50))
    picture.paste("#F6F5F1", (60, 60, 64, 64))  # a blend, too near to the first
    reduced = picture.quantize(palette=common_palette([picture]), dither=Image.Dither.NONE)
    assert reduced.convert("RGB").getpixel((99, 99)) == ImageColor.getrgb("#FBFAF7")
    assert reduced.convert("RGB").getpixel((0, 0)) == ImageColor.getrgb("#EFECE4")


# --- films of any length --------------------------------------------------------------------------

COLOURS = [(47, 75, 124), (47, 75, 124), (215, 38, 61), (240, 169, 59), (240, 169, 59)] * 3


def shown(film: bytes) -> list[tuple[tuple[int, int, int], int]]:
    """The colour of each picture, and the milliseconds it stays."""
    found = []
    with Image.open(io.BytesIO(film)) as image:
        for i in range(getattr(image, "n_frames", 1)):
            image.seek(i)
            ((_, color),) = image.convert("RGB").getcolors() or []
            found.append((color, image.info["duration"]))
        assert image.info["loop"] == 0  # for ever
    return found


def in_time(pictures: list[tuple[tuple[int, int, int], int]]) -> list[tuple[int, int, int]]:
    """What is seen every tenth of a second: equal pictures in a row may become one."""
    return [color for color, milliseconds in pictures for _ in range(milliseconds // 100)]


@pytest.mark.parametrize("segment", [1, 2, 4, 5, 14, 100])
def test_a_film_is_the_same_however_it_is_cut(segment: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gif, "SEGMENT", segment)
    pictures = [lambda color=color: Image.new("RGB", (8, 8), color) for color in COLOURS]
    seen = in_time(shown(encode(pictures, 10)))
    assert seen == [*COLOURS, *[COLOURS[-1]] * 19]  # the last one stays for two seconds


def blocks(film: bytes) -> list[int]:
    """The kind of each block of a GIF, which must follow one another without a byte between."""
    at, kinds = 13 + 3 * 2 ** ((film[10] & 7) + 1), list[int]()
    while film[at] != ord(";"):
        kinds.append(film[at])
        assert film[at] in b"!,", f"byte {at} begins no block"
        at += 2 if film[at] == ord("!") else 11  # an extension's label, an image's place and code
        while film[at]:
            at += 1 + film[at]
        at += 1
    assert at == len(film) - 1
    return kinds


@pytest.mark.parametrize("segment", [2, 100])
def test_a_film_is_blocks_and_nothing_else(segment: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gif, "SEGMENT", segment)
    colors = [COLOURS[0], COLOURS[2], COLOURS[3], COLOURS[0], COLOURS[2]]
    pictures = [lambda color=color: Image.new("RGB", (8, 8), color) for color in colors]
    kinds = blocks(encode(pictures, 10))
    assert kinds.count(ord(",")) == 5 and kinds.count(ord("!")) == 5 + 1  # one loop for all


def test_a_long_film_is_encoded_a_few_pictures_at_a_time(monkeypatch: pytest.MonkeyPatch):
    sizes, encode_segment = list[int](), gif._encode_segment

    def counted(pictures: Sequence[Picture], *rest: Any) -> bytes:
        sizes.append(len(pictures))
        return encode_segment(pictures, *rest)

    monkeypatch.setattr(gif, "_encode_segment", counted)
    encode([lambda: Image.new("RGB", (8, 8), "red")] * (2 * SEGMENT + 3), 10)
    assert sizes == [SEGMENT, SEGMENT, 3]
