"""The colours of animated GIFs."""

import numpy as np
from PIL import Image, ImageColor

from macpo.render.gif import COLORS, common_palette


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
