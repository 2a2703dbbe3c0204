"""Films as MP4, read back."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

av = pytest.importorskip("av")

from macpo.render.mp4 import encode  # noqa: E402
from macpo.runs.files import write_atomically  # noqa: E402

BLUE, RED = (47, 75, 124), (215, 38, 61)


def read(file: Path) -> tuple[float, list[np.ndarray]]:
    """(pictures a second, pictures) of a film."""
    with av.open(str(file)) as film:
        stream = film.streams.video[0]
        assert stream.codec_context.name == "h264"
        return float(stream.average_rate), [
            f.to_ndarray(format="rgb24") for f in film.decode(video=0)
        ]


def filmed(file: Path, size: tuple[int, int] = (64, 48), fps: int = 10) -> Path:
    """A blue picture and a red one."""
    pictures = [lambda color=color: Image.new("RGB", size, color) for color in (BLUE, RED)]
    write_atomically(file, encode(pictures, fps))
    return file


def test_each_picture_is_shown_once_and_the_last_for_two_seconds(tmp_path: Path) -> None:
    rate, pictures = read(filmed(tmp_path / "a.mp4"))
    assert rate == 10
    assert len(pictures) == 1 + 20


def test_colours_are_kept(tmp_path: Path) -> None:
    _, (first, *_, last) = read(filmed(tmp_path / "a.mp4"))
    np.testing.assert_allclose(first[20, 20], BLUE, atol=4)
    np.testing.assert_allclose(last[20, 20], RED, atol=4)


def test_pictures_of_odd_sizes_get_a_line_more(tmp_path: Path) -> None:
    _, pictures = read(filmed(tmp_path / "a.mp4", size=(63, 47)))
    assert pictures[0].shape == (48, 64, 3)
