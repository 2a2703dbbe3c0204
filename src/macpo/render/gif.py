"""Films as animated GIFs."""

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from PIL import Image

from macpo.render.ink import LAST_PICTURE_SECONDS, Picture

COLORS, MAIN_COLORS = 31, 16  # one less than a power of two: GIF also needs a transparent one
SAMPLE = 100  # pictures that the colours are chosen from


def encode(pictures: Sequence[Picture], fps: int) -> bytes:
    """The film, played for ever; the last picture stays longer."""
    # drawn once more for the colours: cheaper than to hold an episode of pictures in memory
    every = -(-len(pictures) // SAMPLE)
    palette = common_palette(draw() for draw in pictures[::-every])
    first, *others = (
        draw().quantize(palette=palette, dither=Image.Dither.NONE) for draw in pictures
    )
    pause = round(100 / fps) * 10  # GIF counts hundredths of a second
    buffer = io.BytesIO()
    first.save(
        buffer,
        "GIF",
        save_all=True,
        append_images=others,
        duration=[pause] * len(others) + [round(1000 * LAST_PICTURE_SECONDS)],
        palette=bytes(palette.getpalette() or []),
        optimize=True,  # pixels that stay as they were are left out
        loop=0,
    )
    return buffer.getvalue()


def common_palette(pictures: Iterable[Image.Image]) -> Image.Image:
    """At most `COLORS` colours for all pictures: the main ones exactly, the others nearly.

    Blends at the edges of shapes are many but small; taken together with all else they would spoil
    the colours of the large areas.
    """
    counts: Counter[Any] = Counter()
    for picture in pictures:
        colors = picture.convert("RGB").getcolors(picture.width * picture.height) or []
        counts.update({color: n for n, color in colors})
    ranked = [color for color, _ in counts.most_common()]
    main, others = ranked[:MAIN_COLORS], ranked[MAIN_COLORS:]
    if len(ranked) > COLORS:
        row = Image.new("RGB", (len(others), 1))
        row.putdata(others)
        reduced = row.quantize(COLORS - MAIN_COLORS).convert("RGB").getcolors() or []
        others = [color for _, color in reduced]
    palette = Image.new("P", (1, 1))
    palette.putpalette([channel for color in dict.fromkeys(main + others) for channel in color])
    return palette
