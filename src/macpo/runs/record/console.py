"""The live display: progress, speed, returns and remaining time."""

import time

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text

from macpo.runs.record import Row

_SHOWN = (
    ("env steps", "env_steps", "{:,.0f}"),
    ("episodes", "episodes", "{:,.0f}"),
    ("updates", "updates", "{:,.0f}"),
    ("return", "return_mean", "{:.1f}"),
    ("test return", "test_return_mean", "{:.1f}"),
    ("won", "battle_won_mean", "{:.0%}"),
    ("test won", "test_battle_won_mean", "{:.0%}"),
    ("lost", "lost", "{:,.0f}"),
    ("epsilon", "epsilon", "{:.2f}"),
    ("mean weight", "weight_raw_mean", "{:.3f}"),
    ("loss", "loss_td", "{:.3g}"),
)
_LOST = ("episodes_lost", "test_episodes_lost")
"""Added up, and shown as `lost` once the sum is above 0."""


class ConsoleDisplay:
    """One line per seed under a progress bar; without a terminal, a line at each evaluation."""

    def __init__(self, console: Console, steps: int, seeds: int, done: int) -> None:
        self.console, self.steps, self.seeds = console, steps, seeds
        self._rows: dict[int, Row] = {}
        self._start, self._done_at_start = time.monotonic(), done
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
        """Show the newest values; print a line for an evaluation."""
        seed = int(row["seed"])
        shown = self._rows.get(seed, {})
        lost = sum(int(row.get(key, 0)) for key in _LOST) + int(shown.get("lost", 0))
        self._rows[seed] = shown | row | ({"lost": lost} if lost else {})
        if row["kind"] == "test":
            self.console.print(self._line(seed), highlight=False)

    def refresh(self) -> None:
        """Redraw after a chunk."""
        done = min((int(r["env_steps"]) for r in self._rows.values()), default=0)
        self._progress.update(self._task, completed=min(done, self.steps), speed=self._speed(done))
        if self.console.is_terminal:
            self._live.update(self._view())

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live.is_started:
            self._live.stop()

    def _speed(self, done: int) -> str:
        rate = (done - self._done_at_start) / max(time.monotonic() - self._start, 1e-9)
        if rate <= 0:
            return ""
        minutes, seconds = divmod(int(max(self.steps - done, 0) / rate), 60)
        return f"{rate * self.seeds:,.0f} env steps/s · {minutes}:{seconds:02d} left"

    def _line(self, seed: int) -> Text:
        row = self._rows[seed]
        done = int(row["env_steps"])
        parts = [f"seed {seed}"] if self.seeds > 1 else []
        parts += [f"{name} {form.format(row[key])}" for name, key, form in _SHOWN if key in row]
        return Text(" · ".join([*parts, self._speed(done)]).strip(" ·"))

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
