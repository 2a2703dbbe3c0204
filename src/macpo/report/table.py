"""A summary of a run in a few numbers."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from macpo.report import records
from macpo.report.records import Row, series
from macpo.terminal import fitting

LAST_EVALUATIONS = 3
LAST_ITERATIONS = 10
"""Iterations over which the noisy training return is averaged."""
NOTHING = "–"
_OUTCOME = re.compile("test_(?!return_|ep_length_)(.+)_mean")


def summary_rows(run_dir: Path) -> list[tuple[str, str]]:
    """The run in (name, value) pairs: one seed's values, or mean (smallest to largest) of several.

    Raises UsageError if the directory holds no metrics.
    """
    seeds = _by_seed(run_dir)
    return [
        (quantity.name, _show(quantity, list(seeds.values()))) for quantity in _quantities(seeds)
    ]


def print_summary(console: Console, run_dir: Path) -> None:
    """Print a line for each seed and, if there are several, their mean, smallest and largest.

    Columns that do not fit beside the others follow in a table of their own: no number is cut.
    """
    experiment, seeds = records.read_experiment(run_dir), _by_seed(run_dir)
    several = [name for name, _ in OVER_SEEDS] if len(seeds) > 1 else []
    names = _Column("seed", [*map(str, seeds), *several])
    columns = [_column(quantity, list(seeds.values())) for quantity in _quantities(seeds)]
    tables = _beside(names, columns, console.width)
    tables[0].title = Text(records.title(experiment), "bold")
    notes = [*records.changed_settings(experiment), "± standard deviation over episodes"]
    tables[-1].caption = Text("; ".join(notes))
    for table in tables:
        console.print(table)


class _Column(NamedTuple):
    head: str
    cells: list[str]

    @property
    def width(self) -> int:
        return max(map(cell_len, [*self.head.splitlines(), *self.cells]))


OVER_SEEDS: tuple[tuple[str, Callable[[Float[np.ndarray, " K"]], float]], ...] = (
    ("mean", np.mean),
    ("min", np.min),
    ("max", np.max),
)


def _column(quantity: "Quantity", seeds: Sequence[Sequence[Row]]) -> _Column:
    cells = [_show(quantity, [rows]) for rows in seeds]
    if len(seeds) > 1:
        values = np.array([quantity.of(rows) for rows in seeds])
        cells += [_text(quantity.form, float(over(values))) for _, over in OVER_SEEDS]
    return _Column(quantity.head, cells)


def _beside(names: _Column, columns: Sequence[_Column], width: int) -> list[Table]:
    """Tables of at most this width if possible, each beginning with the names."""
    parts = fitting(names.width, [column.width for column in columns], width)
    return [_table([names, *(columns[j] for j in part)]) for part in parts]


def _table(columns: Sequence[_Column]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in columns:
        table.add_column(Text(column.head), justify="right", no_wrap=True, min_width=column.width)
    rows = list(zip(*(column.cells for column in columns), strict=True))
    for i, row in enumerate(rows):
        table.add_row(*map(Text, row), end_section=i + 1 == len(rows) - len(OVER_SEEDS))
    return table


# --- quantities of one seed -----------------------------------------------------------------------


class Quantity(NamedTuple):
    """A number computed from the rows of one seed; NaN while they do not contain it."""

    name: str
    head: str
    """The name as a narrow column's heading."""
    of: Callable[[Sequence[Row]], float]
    form: str
    spread: Callable[[Sequence[Row]], float] | None = None


def _count(name: str) -> Callable[[Sequence[Row]], float]:
    return lambda rows: max(row.get(name, 0) for row in rows)


def _reduced(
    reduce: Callable[[Float[np.ndarray, " T"]], float],
    metric: str,
    kind: Literal["train", "test"] = "test",
) -> Callable[[Sequence[Row]], float]:
    def of(rows: Sequence[Row]) -> float:
        curves = list(series(rows, kind, metric).values())
        return float(reduce(curves[0][1])) if curves else np.nan

    return of


QUANTITIES = (
    Quantity("env steps", "env\nsteps", _count("env_steps"), "{:,.0f}"),
    Quantity("episodes", "\nepisodes", _count("episodes"), "{:,.0f}"),
    Quantity("updates", "\nupdates", _count("updates"), "{:,.0f}"),
    Quantity(
        "final greedy return",
        "final\ngreedy",
        _reduced(lambda y: y[-1], "test_return_mean"),
        "{:.2f}",
        _reduced(lambda y: y[-1], "test_return_std"),
    ),
    Quantity(
        "best greedy return", "best\ngreedy", _reduced(np.fmax.reduce, "test_return_mean"), "{:.2f}"
    ),
    Quantity(
        f"mean of last {LAST_EVALUATIONS} evaluations",
        f"last {LAST_EVALUATIONS}\ngreedy",
        _reduced(lambda y: y[-LAST_EVALUATIONS:].mean(), "test_return_mean"),
        "{:.2f}",
    ),
    Quantity(
        f"training return, last {LAST_ITERATIONS} iterations",
        "\ntraining",
        _reduced(lambda y: y[-LAST_ITERATIONS:].mean(), "return_mean", "train"),
        "{:.2f}",
    ),
)


def _quantities(seeds: Mapping[int, Sequence[Row]]) -> tuple[Quantity, ...]:
    """The quantities of every run, and the final value of each outcome that this run reports."""
    names = {
        match[1]
        for rows in seeds.values()
        for row in rows
        for match in map(_OUTCOME.fullmatch, row)
        if match
    }
    outcomes = (
        Quantity(
            f"final greedy {name}",
            f"final\n{name}",
            _reduced(lambda y: y[-1], f"test_{name}_mean"),
            "{:.2f}",
        )
        for name in sorted(names)
    )
    return (*QUANTITIES, *outcomes)


def _show(quantity: Quantity, seeds: Sequence[Sequence[Row]]) -> str:
    """One seed's value (± spread), or mean (range) of several."""
    values = np.array([quantity.of(rows) for rows in seeds])
    mean, low, high = (_text(quantity.form, x) for x in (values.mean(), values.min(), values.max()))
    if low != high:
        return f"{mean} ({low} to {high})"
    if len(seeds) == 1 and quantity.spread and mean != NOTHING:
        return f"{mean} ± {_text(quantity.form, quantity.spread(seeds[0]))}"
    return mean


def _text(form: str, value: float) -> str:
    return NOTHING if np.isnan(value) else form.format(value)


def _by_seed(run_dir: Path) -> dict[int, list[Row]]:
    seeds: dict[int, list[Row]] = {}
    for row in records.read_nonempty_metrics(run_dir):
        seeds.setdefault(row["seed"], []).append(row)
    return dict(sorted(seeds.items()))
