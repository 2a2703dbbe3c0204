"""Films as animated GIFs."""

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from PIL import Image

from macpo.render.ink import LAST_PICTURE_SECONDS, Picture

COLORS, MAIN_COLORS = 39, 32  # more would make files larger
MIN_DIFFERENCE = 8  # Pillow tells the nearer of two colours only if they differ by more
SAMPLE = 100  # pictures from which the colours are chosen
SEGMENT = 128  # pictures in memory at a time, whatever the length of the film
_LOOP = b"!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
_TRAILER = b";"

Color: TypeAlias = tuple[int, int, int]


def encode(pictures: Sequence[Picture], fps: int) -> bytes:
    """The film as an endless loop; the last picture stays longer."""
    # drawn again for the colours: cheaper than holding an episode of pictures in memory
    every = -(-len(pictures) // SAMPLE)
    palette = common_palette(draw() for draw in pictures[::-every])
    pause = round(100 / fps) * 10  # GIF counts in hundredths of a second
    durations = [pause] * (len(pictures) - 1) + [round(1000 * LAST_PICTURE_SECONDS)]
    film = io.BytesIO()
    for start in range(0, len(pictures), SEGMENT):
        part = slice(start, start + SEGMENT)
        segment = _encode_segment(pictures[part], durations[part], palette)
        film.write(segment[:-1] if start == 0 else _images(segment))
    film.write(_TRAILER)
    return film.getvalue()


def _encode_segment(
    pictures: Sequence[Picture], durations: Sequence[int], palette: Image.Image
) -> bytes:
    """Successive pictures as a film of their own; Pillow holds all of them at once."""
    first, *others = (
        draw().quantize(palette=palette, dither=Image.Dither.NONE) for draw in pictures
    )
    segment = io.BytesIO()
    first.save(
        segment,
        "GIF",
        save_all=True,
        append_images=others,
        duration=list(durations),
        palette=bytes(palette.getpalette() or []),
        optimize=True,  # leaves out unchanged pixels
        loop=0,
    )
    return segment.getvalue()


def _images(film: bytes) -> bytes:
    """The images of a film whose header, colours and loop are those of the film they join."""
    packed = film[10]
    n_colors = 2 ** ((packed & 0b111) + 1)
    return film[13 + 3 * n_colors + len(_LOOP) : -len(_TRAILER)]


def common_palette(pictures: Iterable[Image.Image]) -> Image.Image:
    """At most `COLORS` colours for all pictures: the main ones exactly, the others approximately.

    There are many blends at the edges of shapes, each of few pixels; quantised together with the
    rest they would spoil the colours of the large areas.
    """
    counts: Counter[Color] = Counter()
    for picture in pictures:
        # typed as colours of all modes
        colors: Any = picture.convert("RGB").getcolors(picture.width * picture.height)
        counts.update({color: n for n, color in colors})
    ranked = [color for color, _ in counts.most_common()]
    main = _apart(ranked, COLORS if len(ranked) <= COLORS else MAIN_COLORS)
    row = Image.new("RGB", (len(ranked), 1))
    row.putdata(ranked)
    reduced: Any = row.quantize(COLORS - MAIN_COLORS).convert("RGB").getcolors()  # as above
    chosen = _apart([*main, *(color for _, color in reduced)], COLORS)
    palette = Image.new("P", (1, 1))
    palette.putpalette([channel for color in chosen for channel in color])
    return palette


def _apart(colors: Iterable[Color], maximum: int) -> list[Color]:
    """The first colours that each differ by `MIN_DIFFERENCE` from all kept before."""
    kept: list[Color] = []
    for color in colors:
        if len(kept) == maximum:
            break
        if all(
            max(abs(a - b) for a, b in zip(color, other, strict=True)) >= MIN_DIFFERENCE
            for other in kept
        ):
            kept.append(color)
    return kept
