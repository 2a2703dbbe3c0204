"""The learning curve of a run as a picture.

Figures are built from matplotlib's objects, without pyplot: nothing global changes, and no display
is needed. The file's extension (.png, .svg or .pdf) determines the format.
"""

# matplotlib leaves the types of its keyword arguments open
# pyright: reportUnknownMemberType=false

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter
from matplotlib.typing import LineStyleType

from macpo.report import records
from macpo.report.records import Row, Series, series
from macpo.report.style import FAINT, INK, PALETTE, check_format, decorate, save

WON = ("battle_won_mean", "battles won")
DIAGNOSTICS = (
    ("f_mean", "joint term f, mean", PALETTE[1]),
    ("weight_ess_fraction", "effective sample fraction", PALETTE[2]),
    ("epsilon", "exploration ε", FAINT),
)
"""Metrics of training rows that have a panel each, since their scales differ."""


class Band(NamedTuple):
    """A metric over env steps, summarised over seeds."""

    env_steps: Float[np.ndarray, " T"]
    mean: Float[np.ndarray, " T"]
    low: Float[np.ndarray, " T"]
    high: Float[np.ndarray, " T"]


def draw_learning_curve(
    run_dir: Path, file: Path, return_bounds: tuple[float, float] | None = None
) -> None:
    """Draw greedy return over env steps, of a run that has learned offline over updates; below it
    the battles won, where an environment reports them, and diagnostics of weights and exploration.

    `return_bounds` (`Spec.return_bounds`) marks the largest possible return. Raises UsageError if
    nothing is recorded yet.
    """
    check_format(file)
    experiment = records.read_experiment(run_dir)
    rows = records.read_nonempty_metrics(run_dir)
    panels = [
        _Panel(_RETURNS_HEIGHT, lambda axes: _draw_returns(axes, rows, return_bounds)),
        *_won_panel(rows),
        *_diagnostic_panels(rows),
    ]
    heights = [panel.height for panel in panels]
    figure = Figure(figsize=(8, 1.5 + sum(heights)), dpi=150, layout="constrained")
    column = figure.subplots(len(panels), 1, sharex=True, height_ratios=heights, squeeze=False)
    for panel, axes in zip(panels, column[:, 0], strict=True):
        panel.draw(axes)
    is_offline = not any(row["env_steps"] for row in rows)
    if not is_offline:
        _draw_updates(column[0, 0], rows)
    column[-1, 0].set_xlabel("updates (gradient steps)" if is_offline else "env steps", color=INK)
    figure.suptitle(records.title(experiment), x=0.01, ha="left", size=13, weight="bold", color=INK)
    changes = "   ".join(records.changed_settings(experiment))
    changes = textwrap.shorten(changes, 60, placeholder=" …")
    figure.text(0.99, 0.98, changes, ha="right", va="top", size=9, color=INK)
    save(figure, file)


def mean_and_range(curves: Series) -> Band:
    """Mean and range over seeds of their k-th values; longer curves are cut to the shortest.

    The env steps of the k-th values differ between seeds, as episode lengths do; they are averaged
    too.
    """
    n = min(len(steps) for steps, _ in curves.values())
    steps = np.stack([steps[:n] for steps, _ in curves.values()])
    values = np.stack([values[:n] for _, values in curves.values()])
    return Band(steps.mean(0), values.mean(0), values.min(0), values.max(0))


# --- the parts of a picture -----------------------------------------------------------------------


class _Panel(NamedTuple):
    """One of the axes of a learning curve."""

    height: float
    """In inches."""
    draw: Callable[[Axes], None]


_RETURNS_HEIGHT, _WON_HEIGHT, _DIAGNOSTIC_HEIGHT = 3.2, 1.6, 0.8


def _draw_returns(
    axes: Axes, rows: Sequence[Row], return_bounds: tuple[float, float] | None
) -> None:
    testing = series(rows, "test", "test_return_mean")
    training = series(rows, "train", "return_mean")
    _draw_greedy_and_training(axes, testing, training, "return", ".1f")
    if return_bounds:
        label = "largest possible return"
        axes.axhline(return_bounds[1], color=INK, lw=0.9, ls=(0, (1, 3)), label=label)
    decorate(axes)
    axes.set_ylabel("return of an episode", color=INK)
    _draw_legend(axes)


def _won_panel(rows: Sequence[Row]) -> list[_Panel]:
    metric, label = WON
    testing, training = series(rows, "test", f"test_{metric}"), series(rows, "train", metric)

    def draw(axes: Axes) -> None:
        _draw_greedy_and_training(axes, testing, training, label, ".0%")
        decorate(axes)
        axes.set_ylim(-0.03, 1.03)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.set_ylabel(label, color=INK)
        _draw_legend(axes)

    return [_Panel(_WON_HEIGHT, draw)] if testing or training else []


def _draw_greedy_and_training(
    axes: Axes, testing: Series, training: Series, what: str, form: str
) -> None:
    """What evaluations and exploring episodes gave; the last of the evaluations in digits."""
    if testing:
        _draw_mean(axes, testing, f"greedy {what}{_seeds(testing)}", PALETTE[0])
        _mark_last(axes, testing, PALETTE[0], form)
    if len(testing) > 1:
        for i, (steps, values) in enumerate(testing.values()):
            label = "one seed" if i == 0 else None
            axes.plot(steps, values, color=PALETTE[0], lw=0.8, alpha=0.55, label=label)
    if training:
        band = mean_and_range(training)
        label = f"training {what}{_seeds(training)}"
        axes.plot(
            band.env_steps, band.mean, color=FAINT, lw=0.8, alpha=0.55, label=label, zorder=1.5
        )


def _draw_mean(
    axes: Axes, curves: Series, label: str, color: str, style: LineStyleType = "-"
) -> None:
    """A thick mean, and the range over several seeds behind it."""
    band = mean_and_range(curves)
    marker = "o" if len(band.mean) == 1 else None
    axes.plot(band.env_steps, band.mean, color=color, lw=2.2, ls=style, marker=marker, label=label)
    if len(curves) > 1:
        axes.fill_between(band.env_steps, band.low, band.high, color=color, alpha=0.14, lw=0)


def _mark_last(axes: Axes, curves: Series, color: str, form: str) -> None:
    """The last mean as a number, right of its point."""
    band = mean_and_range(curves)
    if np.isfinite(band.mean[-1]):
        axes.annotate(
            f"{band.mean[-1]:{form}}",
            (band.env_steps[-1], band.mean[-1]),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=color,
            weight="bold",
            annotation_clip=False,
        )


def _draw_updates(axes: Axes, rows: Sequence[Row]) -> None:
    """A second axis on top: env steps again, labelled with the number of updates."""
    curves = series(rows, "train", "updates")
    top = axes.secondary_xaxis("top")
    top.set_xlabel("updates (gradient steps)", color=INK, fontsize=9)
    top.tick_params(colors=INK, labelsize=9, length=3)
    top.spines["top"].set_visible(False)
    if not curves:
        top.set_visible(False)
        return
    band = mean_and_range(curves)
    # the last env step with a given number of updates: 0 is where learning begins
    updates, index = np.unique(band.mean[::-1], return_index=True)
    env_steps = band.env_steps[::-1][index]
    ticks = np.asarray(MaxNLocator(6, integer=True).tick_values(0, max(updates[-1], 1)))
    ticks = ticks[(ticks >= updates[0]) & (ticks <= updates[-1])]
    top.set_xticks(np.interp(ticks, updates, env_steps), [_short(tick) for tick in ticks])


def _diagnostic_panels(rows: Sequence[Row]) -> list[_Panel]:
    def panel(label: str, color: str, curves: Series) -> _Panel:
        return _Panel(_DIAGNOSTIC_HEIGHT, lambda axes: _draw_diagnostic(axes, curves, label, color))

    return [
        panel(label, color, curves)
        for metric, label, color in DIAGNOSTICS
        for curves in [series(rows, "train", metric)]
        if curves
    ]


def _draw_diagnostic(axes: Axes, curves: Series, label: str, color: str) -> None:
    """On an axis of its own, which what is drawn fills."""
    band = mean_and_range(curves)
    axes.plot(band.env_steps, band.mean, color=color, lw=1.4)
    axes.fill_between(band.env_steps, band.low, band.high, color=color, alpha=0.14, lw=0)
    decorate(axes)
    axes.yaxis.set_major_locator(MaxNLocator(3, min_n_ticks=2))
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_title(label, loc="left", size=9, color=INK, pad=2)


def _draw_legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(framealpha=0.85, edgecolor="none", fontsize=9, labelcolor=INK)


def _seeds(curves: Series) -> str:
    return f", mean of {len(curves)} seeds" if len(curves) > 1 else ""


def _short(number: float) -> str:
    return EngFormatter(sep="")(number)
