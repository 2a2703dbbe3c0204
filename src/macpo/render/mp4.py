"""Films as MP4 (H.264), which browsers and slides play (needs the extra `video`)."""

import importlib
import io
from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageOps

from macpo.render.ink import LAST_PICTURE_SECONDS, PAPER, Picture

av: Any = importlib.import_module("av")  # `frames.encoder` reports an ImportError
QUALITY = "18"  # x264's constant rate factor; smaller is better


def encode(pictures: Sequence[Picture], fps: int) -> bytes:
    """The film; the last picture stays longer."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as film:
        stream = film.add_stream("libx264", rate=fps, options={"crf": QUALITY})
        stream.width, stream.height = _even(pictures[0]()).size
        stream.pix_fmt = "yuv420p"  # the format that all players support
        colors = av.video.reformatter.Colorspace.ITU709
        stream.codec_context.colorspace = colors
        last = len(pictures) - 1
        for i, draw in enumerate(pictures):
            frame = av.VideoFrame.from_image(_even(draw())).reformat(
                format="yuv420p", dst_colorspace=colors
            )
            for _ in range(round(fps * LAST_PICTURE_SECONDS) if i == last else 1):
                frame.pts = None
                film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return buffer.getvalue()


def _even(picture: Image.Image) -> Image.Image:
    """Extend odd sides by one pixel: H.264 stores colour for pairs of pixels."""
    width, height = picture.size
    return ImageOps.expand(picture.convert("RGB"), (0, 0, width % 2, height % 2), PAPER)
