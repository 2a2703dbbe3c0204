"""The live display: progress, speed, returns and remaining time."""

import math
import time

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from macpo.runs.record import Row
from macpo.runs.record.pace import Pace, clock
from macpo.terminal import say

_SHOWN = (
    ("env steps", "env_steps", "{:,.0f}"),
    ("episodes", "episodes", "{:,.0f}"),
    ("updates", "updates", "{:,.0f}"),
    ("return", "return_mean", "{:.1f}"),
    ("test return", "test_return_mean", "{:.1f}"),
    ("won", "battle_won_mean", "{:.0%}"),
    ("test won", "test_battle_won_mean", "{:.0%}"),
    ("episodes lost", "lost", "{:,.0f}"),
    ("epsilon", "epsilon", "{:.2f}"),
    ("raw weight", "weight_raw_mean", "{:.3f}"),
    ("TD loss", "loss_td", "{:.3g}"),
)
_LOST = ("episodes_lost", "test_episodes_lost")
"""Added up, and shown as `lost` once the sum is above 0."""


class ConsoleDisplay:
    """One line per seed under a progress bar; without a terminal, a line at each evaluation."""

    def __init__(self, console: Console, steps: int, seeds: int, done: int) -> None:
        self.console, self.steps, self.seeds = console, steps, seeds
        self._rows: dict[int, Row] = {}
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
        self._live = Live(self._view(), console=console, transient=True, refresh_per_second=4)
        if console.is_terminal:
            self._live.start()

    def write(self, row: Row) -> None:
        """Show the newest values; print a line for an evaluation and for what became non-finite."""
        seed = int(row["seed"])
        shown = self._rows.get(seed, {})
        lost = sum(int(row.get(key, 0)) for key in _LOST) + int(shown.get("lost", 0))
        self._rows[seed] = shown | row | ({"lost": lost} if lost else {})
        self._tell_non_finite(seed, row)
        if row["kind"] == "test":
            say(self.console, self._line(seed))

    def refresh(self) -> None:
        """Redraw after a chunk."""
        done = min((int(r["env_steps"]) for r in self._rows.values()), default=0)
        learns = bool(self._rows) and all(row["updates"] for row in self._rows.values())
        self._pace.note(done, learns, time.monotonic())
        self._progress.update(self._task, completed=min(done, self.steps), speed=self._speed(done))
        if self.console.is_terminal:
            self._live.update(self._view())

    def show_absolute(self, done: int, times: int) -> None:
        """Show how many evaluations of the absolute metric are done."""
        told = f"evaluating the best parameters: {done} of {times}"
        self._progress.update(self._task, speed=told)
        if self.console.is_terminal:
            self._live.update(self._view())

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live.is_started:
            self._live.stop()

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
            where = f"{self._name(seed)}{row['env_steps']:,} env steps"
            say(self.console, f"{where}: not finite: {values}", "yellow")

    def _speed(self, done: int) -> str:
        now = time.monotonic()
        speed, left = self._pace.speed(done, now), self._pace.seconds_left(done, now)
        if speed <= 0:
            return ""
        told = "time left not known yet" if left is None else f"{clock(left)} left"
        return f"{speed * self.seeds:,.0f} env steps/s · {told}"

    def _name(self, seed: int) -> str:
        return f"seed {seed} · " if self.seeds > 1 else ""

    def _line(self, seed: int) -> str:
        row = self._rows[seed]
        parts = [f"{name} {form.format(row[key])}" for name, key, form in _SHOWN if key in row]
        parts = filter(None, [*parts, self._speed(int(row["env_steps"]))])
        return self._name(seed) + " · ".join(parts)

    def _view(self) -> Group:
        table = Table(box=None, pad_edge=False)
        known = {key for row in self._rows.values() for key in row}
        shown = [column for column in _SHOWN if column[1] in known]
        for name in ("seed", *(name for name, _, _ in shown)):
            table.add_column(name, justify="right")
        for seed, row in sorted(self._rows.items()):
            values = [form.format(row[key]) if key in row else "–" for _, key, form in shown]
            table.add_row(str(seed), *values)
        return Group(self._progress, table)
