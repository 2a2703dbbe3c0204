"""The live display: progress, speed, returns and remaining time."""

import math
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from macpo.runs.record import Row, reached
from macpo.runs.record.pace import Pace, clock
from macpo.runs.record.spark import spark_line
from macpo.terminal import say


class _Shown(NamedTuple):
    """A metric as it is shown."""

    name: str
    metric: str
    form: str
    rank: int
    """In a line too narrow for all, those of the highest rank are left out first."""
    is_result: bool = False
    """Whether the spread between seeds is shown."""


_SHOWN = (
    _Shown("env steps", "env_steps", "{:,.0f}", 0),
    _Shown("episodes", "episodes", "{:,.0f}", 12),
    _Shown("updates", "updates", "{:,.0f}", 11),
    _Shown("return", "return_mean", "{:.1f}", 6),
    _Shown("test return", "test_return_mean", "{:.1f}", 1, is_result=True),
    _Shown("won", "battle_won_mean", "{:.0%}", 7),
    _Shown("test won", "test_battle_won_mean", "{:.0%}", 2, is_result=True),
    _Shown("episodes lost", "lost", "{:,.0f}", 4),
    _Shown("epsilon", "epsilon", "{:.2f}", 8),
    _Shown("raw weight", "weight_raw_mean", "{:.3f}", 10),
    _Shown("TD loss", "loss_td", "{:.3g}", 9),
)
_OFFLINE = (
    _Shown("updates", "updates", "{:,.0f}", 0),
    *(shown for shown in _SHOWN if shown.metric not in ("env_steps", "episodes", "updates")),
)
"""Of a run that learns offline, and plays nothing."""
_TIME_LEFT, _SPEED = 3, 5
"""The ranks of the columns about the run's pace."""
_LOST = ("episodes_lost", "test_episodes_lost")
"""Added up, and shown as `lost` once the sum is above 0."""
_CURVE, _CURVE_RANK, _CURVE_WIDTH = "test_return_mean", 3, 20
"""The metric whose way until now is shown, the rank of that column, and its characters."""
_UNLIMITED = 1_000  # columns of a terminal that has room for everything


class ConsoleDisplay:
    """A line at each evaluation of all seeds; in a terminal, also one per seed under a bar.

    `steps` and what is `done` of them are env steps, of a run that learns offline updates. A run
    that goes on has `earlier` rows, whose evaluations begin the curves of the seeds.
    """

    def __init__(
        self,
        console: Console,
        steps: int,
        seeds: int,
        done: int,
        earlier: Iterable[Row] = (),
        *,
        is_offline: bool = False,
    ) -> None:
        self.console, self.steps, self.seeds = console, steps, seeds
        self._shown = _OFFLINE if is_offline else _SHOWN
        self._unit = "updates" if is_offline else "env steps"
        self._rows: dict[int, Row] = {}
        self._curves: defaultdict[int, list[float]] = defaultdict(list)
        for row in earlier:
            self._add_to_curve(row)
        self._evaluated: set[int] = set()
        self._not_finite: dict[int, set[str]] = {}
        self._pace = Pace(steps, done, time.monotonic())
        self._progress = Progress(
            TextColumn("[bold]training"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[speed]}"),
            console=console,
        )
        self._task = self._progress.add_task("", total=steps, completed=done, speed="")
        self._live = Live(self.view(), console=console, transient=True, refresh_per_second=4)
        if console.is_terminal:
            self._live.start()

    def write(self, row: Row) -> None:
        """Show the newest values; tell an evaluation of all seeds, and what became non-finite."""
        seed = int(row["seed"])
        shown = self._rows.get(seed, {})
        lost = sum(int(row.get(key, 0)) for key in _LOST) + int(shown.get("lost", 0))
        self._rows[seed] = shown | row | ({"lost": lost} if lost else {})
        self._tell_non_finite(seed, row)
        self._add_to_curve(row)
        if row["kind"] == "test":
            self._evaluated.add(seed)
        if len(self._evaluated) == self.seeds:
            self._evaluated.clear()
            say(self.console, self._line())

    def refresh(self) -> None:
        """Redraw after a chunk."""
        done = min(map(reached, self._rows.values()), default=0)
        learns = bool(self._rows) and all(row["updates"] for row in self._rows.values())
        self._pace.note(done, learns, time.monotonic())
        self._progress.update(self._task, completed=min(done, self.steps), speed=self._speed(done))
        if self.console.is_terminal:
            self._live.update(self.view())

    def show_absolute(self, done: int, times: int) -> None:
        """Show how many evaluations of the absolute metric are done."""
        told = f"evaluating the best parameters: {done} of {times}"
        self._progress.update(self._task, speed=told)
        if self.console.is_terminal:
            self._live.update(self.view())

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live.is_started:
            self._live.stop()

    def _add_to_curve(self, row: Row) -> None:
        if _CURVE in row:
            self._curves[int(row["seed"])].append(float(row[_CURVE]))

    def _tell_non_finite(self, seed: int, row: Row) -> None:
        """Say of each metric once that it is not finite."""
        told = self._not_finite.setdefault(seed, set())
        new = {
            name: value
            for name, value in row.items()
            if isinstance(value, float) and not math.isfinite(value) and name not in told
        }
        if new:
            told.update(new)
            values = ", ".join(f"{name} ({value})" for name, value in new.items())
            where = f"{self._name(seed)}{reached(row):,} {self._unit}"
            say(self.console, f"{where}: not finite: {values}", "yellow")

    def _speed(self, done: int) -> str:
        return _SEPARATOR.join(part for _, part in self._pace_at(done))

    def _pace_at(self, done: int) -> list[tuple[int, str]]:
        """(rank, words) of speed and time left; none at the beginning."""
        now = time.monotonic()
        speed, left = self._pace.speed(done, now), self._pace.seconds_left(done, now)
        if speed <= 0:
            return []
        told = "time left not known yet" if left is None else f"{clock(left)} left"
        return [(_SPEED, f"{speed * self.seeds:,.0f} {self._unit}/s"), (_TIME_LEFT, told)]

    def _name(self, seed: int) -> str:
        return f"seed {seed}{_SEPARATOR}" if self.seeds > 1 else ""

    def _line(self) -> str:
        """The newest values of all seeds, as many as fit."""
        parts: list[tuple[int, str]] = []
        for shown in self._shown:
            values = [float(r[shown.metric]) for r in self._rows.values() if shown.metric in r]
            if values:
                parts.append((shown.rank, f"{shown.name} {_over_seeds(shown, values)}"))
        done = min(map(reached, self._rows.values()))
        return _fitting([*parts, *self._pace_at(done)], self.console.width)

    def view(self) -> Group:
        """The bar, and under it as many columns as fit."""
        ranks = sorted({_CURVE_RANK, *(x.rank for x in self._shown)}, reverse=True)
        tables = map(self._table, ranks)
        unlimited = self.console.options.update_width(_UNLIMITED)
        fitting = (
            table
            for table in tables
            if self.console.measure(table, options=unlimited).maximum <= self.console.width
        )
        return Group(self._progress, next(fitting, self._table(0)))

    def _table(self, last: int) -> Table:
        """A row for each seed, with the columns up to a rank."""
        known = {key for row in self._rows.values() for key in row}
        shown = [x for x in self._shown if x.metric in known and x.rank <= last]
        table = Table(box=None, pad_edge=False)
        for name in ("seed", *(column.name for column in shown)):
            table.add_column(name, justify="right", no_wrap=True)
        told = [x for curve in self._curves.values() for x in curve if math.isfinite(x)]
        has_curves = bool(told) and last >= _CURVE_RANK
        if has_curves:
            table.add_column(f"from {min(told):.1f} to {max(told):.1f}", no_wrap=True)
        for seed, row in sorted(self._rows.items()):
            values = [x.form.format(row[x.metric]) if x.metric in row else "–" for x in shown]
            if has_curves:
                curve = self._curves[seed]
                values.append(spark_line(curve, min(told), max(told), _CURVE_WIDTH))
            table.add_row(str(seed), *values)
        return table


_SEPARATOR = " · "


def _over_seeds(shown: _Shown, values: Sequence[float]) -> str:
    """The mean, and of a result in which seeds differ the smallest and largest value."""
    mean, low, high = (
        shown.form.format(x) for x in (sum(values) / len(values), min(values), max(values))
    )
    return f"{mean} ({low} to {high})" if shown.is_result and low != high else mean


def _fitting(parts: Sequence[tuple[int, str]], width: int) -> str:
    """The parts beside each other, without those of the highest ranks if they are too many."""
    for last in sorted((rank for rank, _ in parts), reverse=True):
        line = _SEPARATOR.join(words for rank, words in parts if rank <= last)
        if cell_len(line) <= width:
            return line
    return parts[0][1]
