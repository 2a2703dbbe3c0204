"""How every figure looks, and how it becomes a file."""

# matplotlib leaves the types of its keyword arguments open
# pyright: reportUnknownMemberType=false

import io
import warnings
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from macpo.errors import require
from macpo.runs.files import write_atomically

# Okabe and Ito's colours, which colour-blind readers can distinguish; without yellow, which is too
# pale for a line on white
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
DARK_PALETTE = ("#56A8E8", "#FF8A4C", "#3FC79A", "#E39CC4", "#F0BC4E", "#9AD4F5", "#B4B9C0")
"""The same hues, light enough for a dark page."""
STYLES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
INK, FAINT, GRID = "#22272E", "#8A929C", "#E6E8EB"
FORMATS = (".png", ".svg", ".pdf")


def decorate(axes: Axes) -> None:
    """Grid, ticks and spines; the x axis counts env steps from 0."""
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.margins(x=0)
    axes.set_xlim(left=0)
    axes.tick_params(colors=INK, labelsize=9, length=3)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(FAINT)


def check_format(file: Path) -> None:
    """UsageError unless the file's extension is that of a format."""
    require(
        file.suffix.lower() in FORMATS,
        f"cannot draw {file}: a figure's extension must be one of {', '.join(FORMATS)}.",
    )


def save(figure: Figure, file: Path) -> None:
    """Write the figure, atomically, in the format of the file's extension; its layout is final."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # it is drawn as a box
        if layout := figure.get_layout_engine():
            # once: matplotlib would draw the figure twice for each format to find it
            layout.execute(figure)
            figure.set_layout_engine(None)
        figure.savefig(buffer, format=file.suffix.lower()[1:], facecolor="white")
    write_atomically(file, buffer.getvalue())
