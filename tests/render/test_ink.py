"""What all pictures share."""

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from macpo.render.ink import INK, MARGIN, PAPER, draw_caption, font


def test_fonts_differ_as_asked_for_and_are_read_once() -> None:
    assert font(16) is font(16)
    assert font(16, bold=True).getlength("return") > font(16).getlength("return")
    assert font(32).getlength("return") > font(16).getlength("return")
    assert font(16, mono=True).getlength("i") == font(16, mono=True).getlength("m")
    assert font(16).getlength("i") < font(16).getlength("m")


def test_a_caption_is_one_line_of_ink_at_the_top_left() -> None:
    picture = Image.new("RGB", (400, 100), PAPER)
    draw_caption(ImageDraw.Draw(picture), "step 3")
    pixels = np.asarray(picture)
    rows, columns = np.nonzero((pixels != ImageColor.getrgb(PAPER)).any(-1))
    assert (pixels == ImageColor.getrgb(INK)).all(-1).any()
    assert MARGIN <= columns.min() <= MARGIN + 2
    assert columns.max() < MARGIN + font(16, bold=True).getlength("step 3") + 2
    # a line of 16 pixels with its middle at 24
    assert (rows.min() > 24 - 10) and (rows.max() < 24 + 10)
