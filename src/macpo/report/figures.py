"""The figures of a report, for papers: what its page draws, as files."""

# matplotlib leaves the types of its keyword arguments open
# pyright: reportUnknownMemberType=false

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from macpo.report.contents import Report, Scores, TaskReport
from macpo.report.style import INK, PALETTE, STYLES, decorate

Look: TypeAlias = dict[str, Any]
"""Keywords of matplotlib's lines: a method's colour and style."""


def curves_figure(report: Report, task: TaskReport) -> Figure:
    """Learning curves: seeds thin, their IQM thick, its interval as a band where there is one."""

    def draw(axes: Axes, scores: Scores, label: str, look: Look) -> None:
        band, several = scores.band, len(scores.seeds) > 1
        for seed in scores.seeds if several else ():
            axes.plot(*seed.curve, **look, lw=0.7, alpha=0.4 if band.low is None else 0.2)
        marker = "o" if len(band.middle) == 1 else None
        axes.plot(band.env_steps, band.middle, **look, lw=2.2, marker=marker, label=label)
        if band.low is not None and band.high is not None:
            color = look["color"]
            axes.fill_between(band.env_steps, band.low, band.high, color=color, alpha=0.16, lw=0)

    figure, axes = _drawn(report, task, draw)
    decorate(axes)
    if task.range is not None:
        axes.set_ylim(*task.range)
    axes.set_xlabel(task.unit, color=INK)
    axes.set_ylabel(_literal(task.axis), color=INK)
    return figure


def profile_figure(report: Report, task: TaskReport) -> Figure:
    """Performance profiles: the share of seeds above each final score."""

    def draw(axes: Axes, scores: Scores, label: str, look: Look) -> None:
        axes.step(task.thresholds, scores.profile, **look, where="post", lw=2, label=label)

    figure, axes = _drawn(report, task, draw)
    decorate(axes)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(task.thresholds[0], task.thresholds[-1])
    axes.set_ylim(-0.03, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("final score τ", color=INK)
    axes.set_ylabel("share of seeds above τ", color=INK)
    return figure


def improvement_figure(report: Report, task: TaskReport) -> Figure:
    """Probability of improvement of the row's over the column's method."""
    labels = [_literal(report.methods[scores.method].label) for scores in task.scores]
    better = np.array([scores.better for scores in task.scores])
    np.fill_diagonal(better, np.nan)
    side = 1.6 + 0.55 * len(labels)
    figure = Figure(figsize=(side + 1.5, side), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.imshow(better, cmap="RdBu", vmin=-0.4, vmax=1.4)  # pale: numbers stay readable
    for (i, j), p in np.ndenumerate(better):
        axes.text(j, i, "" if np.isnan(p) else f"{p:.2f}", ha="center", va="center", color=INK)
    axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(f"{_literal(task.title)}: row above column", loc="left", size=11, color=INK)
    return figure


def _drawn(
    report: Report, task: TaskReport, draw: Callable[[Axes, Scores, str, Look], None]
) -> tuple[Figure, Axes]:
    """Every method in its colour and style, with a title and a legend that hides no curve."""
    figure = Figure(figsize=(8, 4.5), dpi=150, layout="constrained")
    axes = figure.subplots()
    for scores in task.scores:
        i = scores.method
        look = {"color": PALETTE[i % len(PALETTE)], "ls": STYLES[i // len(PALETTE) % len(STYLES)]}
        n = len(scores.seeds)
        label = f"{_literal(report.methods[i].label)} ({n} seed{'s' * (n > 1)})"
        draw(axes, scores, label, look)
    axes.set_title(_literal(task.title), loc="left", size=13, weight="bold", color=INK, pad=10)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8, labelcolor=INK)
    return figure, axes


def _literal(text: str) -> str:
    """Text that is no formula to matplotlib, and is not left out of the legend."""
    return text.replace("$", r"\$").lstrip("_")
