"""How a figure becomes a file."""

from pathlib import Path

import pytest
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from macpo.report.style import save


def test_a_layout_is_found_once_for_all_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found: list[Figure] = []
    execute = ConstrainedLayoutEngine.execute

    def counted(self: ConstrainedLayoutEngine, figure: Figure) -> object:
        found.append(figure)
        return execute(self, figure)

    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", counted)
    figure = Figure(figsize=(2, 1), layout="constrained")
    axes = figure.subplots()
    axes.set_ylabel("a label that needs room")
    left = axes.get_position().x0
    for ending in (".png", ".svg", ".pdf"):
        save(figure, tmp_path / f"figure{ending}")
    assert found == [figure]
    assert axes.get_position().x0 > left


def test_a_figure_is_drawn_once_for_each_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    drawn: list[Figure] = []
    draw = Figure.draw

    def counted(self: Figure, renderer: RendererBase) -> None:
        drawn.append(self)
        draw(self, renderer)

    monkeypatch.setattr(Figure, "draw", counted)
    figure = Figure(figsize=(2, 1), layout="constrained")
    figure.subplots()
    for ending in (".png", ".svg", ".pdf"):
        save(figure, tmp_path / f"figure{ending}")
    assert drawn == 3 * [figure]
