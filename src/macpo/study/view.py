"""The live view of a sweep: all its runs, and the time left."""

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from macpo.runs.record.pace import clock
from macpo.study.directory import Outcome
from macpo.study.progress import Progress
from macpo.study.study import PlannedRun, Study
from macpo.terminal import say

WINDOW = 120.0
"""Seconds of the past from which the time left is estimated."""
PAUSE = 60.0
"""Seconds between two lines about the whole study, without a terminal."""


class _Moment(NamedTuple):
    seconds: float
    done: int
    """By all runs of the study, of what they count to their ends."""


class SweepView:
    """A line per running run under a bar; without a terminal, a line now and then."""

    def __init__(self, console: Console, study: Study, n_finished: int) -> None:
        self.console, self.study = console, study
        self.n_runs, self.n_ended = len(study.runs()), n_finished
        self.total = sum(map(study.length, study.runs()))
        self._past = deque[_Moment]()
        self._begun = set[PlannedRun]()
        self._said = -math.inf
        self._bar = Bar(
            TextColumn("[bold]study"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
        )
        self._task = self._bar.add_task("", total=self.total, left="")
        self._live = Live(self._bar, console=console, transient=True, refresh_per_second=4)
        if console.is_terminal:
            self._live.start()

    def ended(self, outcome: Outcome) -> None:
        """Say how a run has ended."""
        self.n_ended += 1
        style = {"failed": "red", "stopped": "yellow"}.get(outcome.status, "")
        reason = f": {outcome.message}" if outcome.message else ""
        say(
            self.console,
            f"{outcome.run.title} {outcome.status} after {clock(outcome.seconds)} "
            f"({self.n_ended} of {self.n_runs}){reason}",
            style,
        )

    def update(
        self, running: Sequence[PlannedRun], progress: Mapping[PlannedRun, Progress], now: float
    ) -> None:
        """Show what is running now; `progress` of every run of the study."""
        for run in running:
            if run not in self._begun:
                self._begun.add(run)
                say(self.console, f"{run.title} begun")
        done = sum(self._done(run, x) for run, x in progress.items())
        self._past.append(_Moment(now, done))
        while now - self._past[0].seconds > WINDOW:
            self._past.popleft()
        self._bar.update(self._task, completed=done, left=self._left(done))
        if self.console.is_terminal:
            self._live.update(Group(self._bar, self.table(running, progress)))
        elif now - self._said >= PAUSE:
            self._said = now
            say(self.console, self._left(done))

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live.is_started:
            self._live.stop()

    def _done(self, run: PlannedRun, progress: Progress) -> int:
        """Of all seeds of a run, which go on side by side."""
        return min(progress.done * run.n_seeds, self.study.length(run))

    def _left(self, done: int) -> str:
        first = self._past[0]
        speed = (done - first.done) / max(self._past[-1].seconds - first.seconds, 1e-9)
        ended = f"{self.n_ended} of {self.n_runs} runs"
        if speed <= 0:
            return ended
        left = clock((self.total - done) / speed)
        return f"{ended} · {speed:,.0f} {self.study.unit}/s · {left} left"

    def table(
        self, running: Sequence[PlannedRun], progress: Mapping[PlannedRun, Progress]
    ) -> Table:
        """A row for each running run: how far it is, and its newest evaluation."""
        table = Table(box=None, pad_edge=False)
        for name in ("running", self.study.unit, "of", "newest evaluation"):
            table.add_column(name, justify="left" if name == "running" else "right")
        for run in running:
            now = progress[run]
            result = "–" if math.isnan(now.result) else f"{now.result:.3g}"
            done, length = now.done * run.n_seeds, self.study.length(run)
            table.add_row(Text(run.title), f"{done:,}", f"{length:,}", result)
        return table


def print_outcomes(console: Console, study: Study, outcomes: Sequence[Outcome]) -> None:
    """A table of how the runs of each arm have ended, and what went wrong in those that failed."""
    table = Table()
    for name in ("arm", "finished", "failed", "not ended"):
        table.add_column(name, justify="left" if name == "arm" else "right")
    for arm in study.arms:
        count = Counter(outcome.status for outcome in outcomes if outcome.run.arm == arm)
        finished, failed = count["finished"], count["failed"]
        others = len(study.seeds) // study.seeds_together - finished - failed
        table.add_row(Text(arm), *map(str, (finished, failed, others)))
    console.print(table)
    for outcome in outcomes:
        if outcome.status == "failed":
            say(console, f"{outcome.run.title} failed: {outcome.message}", "red")
