"""What is drawn into the figures of a report."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from macpo.report.contents import Report
from macpo.report.figures import curves_figure, improvement_figure, profile_figure
from macpo.report.style import save
from macpo.report.summary import FEW_SEEDS, summarise
from tests.report.test_summary import collection, returns


def drawn(draw: object, report: Report) -> Figure:
    assert callable(draw)
    return draw(report, report.tasks[0])


def test_few_seeds_are_lines_and_more_have_a_band() -> None:
    few, many = returns([1, 2], [3, 4]), returns(*[[float(i), 9] for i in range(FEW_SEEDS)])
    axes = drawn(curves_figure, summarise(collection(few, many))).axes[0]
    assert len(axes.lines) == (2 + 1) + (FEW_SEEDS + 1)
    assert len(axes.collections) == 1
    np.testing.assert_array_equal(np.asarray(axes.lines[2].get_ydata()), [2, 3])


def test_a_picture_of_curves_has_the_range_of_the_page() -> None:
    report = summarise(collection(returns([-1000.0, *np.linspace(0, 10, 99).tolist()])))
    assert drawn(curves_figure, report).axes[0].get_ylim() == report.tasks[0].range


def test_a_profile_is_a_line_for_each_method() -> None:
    axes = drawn(profile_figure, summarise(collection(returns([0]), returns([10])))).axes[0]
    assert [np.asarray(line.get_ydata())[0] for line in axes.lines] == [0, 1]


def test_improvement_is_told_in_numbers() -> None:
    axes = drawn(
        improvement_figure, summarise(collection(returns([3], [3]), returns([1], [3])))
    ).axes[0]
    assert [text.get_text() for text in axes.texts] == ["", "0.75", "0.25", ""]


@pytest.mark.parametrize("label", ["$x_{", "cost $5$", "_hidden", "方法", "<b>&amp;"])
@pytest.mark.parametrize("draw", [curves_figure, profile_figure, improvement_figure])
def test_any_text_can_be_drawn(label: str, draw: object, tmp_path: Path) -> None:
    report = summarise(collection(returns([1]), returns([2])))
    named = replace(report.methods[0], label=label)
    tasks = (replace(report.tasks[0], title=label),)
    save(drawn(draw, replace(report, methods=(named, named), tasks=tasks)), tmp_path / "figure.svg")


@pytest.mark.parametrize("value", [5.0, 0.0])
@pytest.mark.parametrize("draw", [curves_figure, profile_figure, improvement_figure])
def test_equal_scores_can_be_drawn(value: float, draw: object, tmp_path: Path) -> None:
    report = summarise(collection(returns([value]), returns([value])))
    save(drawn(draw, report), tmp_path / "figure.png")


def test_diverged_scores_can_be_drawn(tmp_path: Path) -> None:
    report = summarise(collection(returns([np.nan, np.inf]), returns([1, 2])))
    for draw in (curves_figure, profile_figure, improvement_figure):
        save(drawn(draw, report), tmp_path / "figure.svg")
