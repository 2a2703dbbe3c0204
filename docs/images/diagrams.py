"""The documentation's diagrams as SVG: `python docs/images/diagrams.py` writes them again."""

import re
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
STYLE = """
  .ground { fill: #fbfbfa }
  .box { fill: #ffffff; stroke: #6b7280; stroke-width: 1.2 }
  .strong { fill: #fdf3e1; stroke: #b45309 }
  text { font: 14px system-ui, sans-serif; fill: #1f2937; text-anchor: middle }
  .small { font-size: 11.5px; fill: #4b5563 }
  .arrow { stroke: #6b7280; stroke-width: 1.4; fill: none; marker-end: url(#head) }
""".strip("\n")


class Box(NamedTuple):
    """A rectangle with a title and lines below it; its centre is at (x, y)."""

    title: str
    lines: tuple[str, ...]
    x: float
    y: float
    width: float = 150
    strong: bool = False

    @property
    def height(self) -> float:
        """As its lines need."""
        return 34 + 16 * len(self.lines)


class Arrow(NamedTuple):
    """From one box's edge to another's."""

    start: Box
    end: Box


def svg(title: str, boxes: list[Box], arrows: list[Arrow], width: int, height: int) -> str:
    """A picture with a ground of its own, so that it can be read on a light and on a dark page."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{STYLE}\n</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#6b7280"/></marker></defs>',
        f'<rect class="ground" width="{width}" height="{height}" rx="10"/>',
        *(_arrow(arrow) for arrow in arrows),
        *(part for box in boxes for part in _box(box)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _box(box: Box) -> list[str]:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    kind = "box strong" if box.strong else "box"
    size = f'x="{left:g}" y="{top:g}" width="{box.width:g}" height="{box.height:g}"'
    rows = [f'<text x="{box.x:g}" y="{top + 22:g}">{escape(box.title)}</text>']
    rows += [
        f'<text class="small" x="{box.x:g}" y="{top + 40 + 16 * i:g}">{escape(line)}</text>'
        for i, line in enumerate(box.lines)
    ]
    return [f'<rect class="{kind}" {size} rx="6"/>', *rows]


def _arrow(arrow: Arrow) -> str:
    (x1, y1), (x2, y2) = _edge(arrow.start, arrow.end), _edge(arrow.end, arrow.start)
    return f'<path class="arrow" d="M{x1:g} {y1:g}L{x2:g} {y2:g}"/>'


def _edge(box: Box, towards: Box) -> tuple[float, float]:
    """Where the line between two centres leaves the first box, a little outside of it."""
    dx, dy = towards.x - box.x, towards.y - box.y
    share = min(
        (box.width / 2 + 3) / abs(dx) if dx else float("inf"),
        (box.height / 2 + 3) / abs(dy) if dy else float("inf"),
    )
    return round(box.x + share * dx, 1), round(box.y + share * dy, 1)


def method() -> str:
    """From an episode to a weight."""
    play = Box("play", ("ε-greedy utilities",), 90, 150)
    replay = Box("replay buffer", ("whole episodes, μ",), 290, 150)
    target = Box("y", ("target networks, λ-return",), 510, 60, 170)
    value = Box("Q_k", ("agents, monotonic mixer",), 510, 150, 170)
    star = Box("Q*", ("agents, free mixer",), 510, 240, 170)
    bellman = Box("|Q_k − y|", ("Bellman error",), 730, 60, 160, strong=True)
    joint = Box("f(π)", ("collective term, Eq. 7",), 730, 150, 160, strong=True)
    near = Box("exp(−|Q_k − Q*|)", ("value enhancement",), 730, 240, 160, strong=True)
    weight = Box("w_k", ("product, mean one",), 920, 150, 140, strong=True)
    loss = Box("loss", ("mean of w_k (Q_k − y)²", "+ ½ (Q* − y)²"), 730, 350, 180)
    learn = Box("new parameters", ("targets follow later",), 290, 350, 170)
    boxes = [play, replay, value, star, target, bellman, near, joint, weight, loss, learn]
    pairs = [
        *((play, replay), (replay, target), (replay, value), (replay, star)),
        *((target, bellman), (value, bellman), (value, joint), (value, near), (star, near)),
        *((bellman, weight), (joint, weight), (near, weight), (weight, loss), (star, loss)),
        *((loss, learn), (learn, play)),
    ]
    title = "An episode is stored, drawn, valued, weighed by three factors, and learned from"
    return svg(title, boxes, [Arrow(*pair) for pair in pairs], 1010, 410)


def rooms() -> str:
    """The package's rooms in the order in which they may import each other."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(r"```\n(errors, .*?)```", page, re.DOTALL)
    assert found is not None
    columns = [part.strip() for part in found[1].split("→")]
    per_row, boxes = 6, list[Box]()
    for i, column in enumerate(columns):
        title, *lines = _wrapped(column.split(", "))
        row, place = divmod(i, per_row)
        place = per_row - 1 - place if row % 2 else place  # back and forth
        boxes.append(Box(title, tuple(lines), 90 + 166 * place, 60 + 95 * row, 146))
    arrows = [Arrow(a, b) for a, b in pairwise(boxes)]
    title = "Rooms of the package: each imports only from those before it"
    return svg(title, boxes, arrows, 1010, int(boxes[-1].y) + 60)


def _wrapped(names: list[str]) -> list[str]:
    """The names, at most two and 20 letters a line."""
    lines = [names[0]]
    for name in names[1:]:
        both = f"{lines[-1]}, {name}"
        lines[-1:] = [both] if len(both) <= 20 and "," not in lines[-1] else [lines[-1], name]
    return lines


DIAGRAMS = {"method.svg": method, "rooms.svg": rooms}

if __name__ == "__main__":
    for name, make in DIAGRAMS.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")
