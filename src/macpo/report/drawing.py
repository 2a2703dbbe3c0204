"""The files of a report's figures; of many runs, half are drawn by a second process.

That process is this module as a program, which draws what the one that started it sends.
"""

import os
import pickle
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, NamedTuple, TypeAlias, cast

from matplotlib import rcParams
from matplotlib.figure import Figure

from macpo.machine import available_cores, end_at_once, signal_at_end_of_parent
from macpo.report.contents import Report, TaskReport
from macpo.report.figures import curves_figure, improvement_figure, profile_figure
from macpo.report.style import save

MIN_RUNS = 40
"""From here on a second process saves a fifth of the time (measured). Of half as many runs it saves
a tenth, for a sixth more work."""

ENDINGS = (".png", ".svg")

Draw: TypeAlias = Callable[[Report, TaskReport], Figure]


class Drawing(NamedTuple):
    """A figure, and the name of its files without the extension."""

    stem: str
    draw: Draw
    task: TaskReport


class SecondProcess:
    """A Python process that preloads the drawing libraries, draws one request, and exits."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,  # Ctrl-C is for this process, which ends the other
        )
        self._pipe = cast(IO[bytes], self._process.stdin)

    def begin(self, report: Report, drawings: Sequence[Drawing], folder: Path) -> None:
        """Send what to draw, and in which style; returns at once, for it may not be ready."""
        style = {name: rcParams[name] for name in rcParams if name != "backend"}
        work = pickle.dumps((style, report, drawings, folder))
        threading.Thread(target=self._send, args=(work,), daemon=True).start()

    def _send(self, work: bytes) -> None:
        with suppress(OSError, ValueError), self._pipe:  # it may have been ended, the pipe closed
            self._pipe.write(work)

    def succeeds(self) -> bool:
        """Wait for the figures; whether all are drawn."""
        return self._process.wait() == 0

    def end(self) -> None:
        """Kill the process, if it is still there."""
        self._process.kill()
        self._process.wait()
        with suppress(OSError):  # what was not sent cannot be
            self._pipe.close()


@contextmanager
def second_process(n_runs: int) -> Generator[SecondProcess | None]:
    """A process that is ready when so many runs have been read; None where it would not help."""
    process = None
    if n_runs >= MIN_RUNS and available_cores() > 1:
        with suppress(OSError):  # no process may be started, or there is no memory for it
            process = SecondProcess()
    try:
        yield process
    finally:
        if process is not None:
            process.end()


def draw_figures(report: Report, folder: Path, second: SecondProcess | None) -> list[Path]:
    """Draw every figure of a report, half of them in the second process; the files."""
    drawings = list(_drawings(report))
    ours, theirs = drawings[::2], drawings[1::2]
    if second is None or not theirs:
        return _draw(report, drawings, folder)
    # what the microscope shows is the most of a report, and in no figure
    second.begin(replace(report, replays=()), theirs, folder)
    files = _draw(report, ours, folder)
    # one that has failed is left to tell why by drawing here
    return files + (_files(theirs, folder) if second.succeeds() else _draw(report, theirs, folder))


def _draw(report: Report, drawings: Sequence[Drawing], folder: Path) -> list[Path]:
    for stem, draw, task in drawings:
        figure = draw(report, task)
        for ending in ENDINGS:
            save(figure, folder / f"{stem}{ending}")
    return _files(drawings, folder)


def _files(drawings: Sequence[Drawing], folder: Path) -> list[Path]:
    return [folder / f"{drawing.stem}{ending}" for drawing in drawings for ending in ENDINGS]


def _drawings(report: Report) -> Iterator[Drawing]:
    for name, task in named_tasks(report):
        if task.is_evaluated:
            yield Drawing(f"curves-{name}", curves_figure, task)
            if len(task.scores) > 1 and len(task.thresholds):
                yield Drawing(f"profile-{name}", profile_figure, task)
                yield Drawing(f"improvement-{name}", improvement_figure, task)


def named_tasks(report: Report) -> Iterator[tuple[str, TaskReport]]:
    """Each task with a name for its files."""
    taken: set[str] = set()
    for task in report.tasks:
        name = base = (
            re.sub(r"[^\w.-]+", "-", task.title.replace("=", ""))[:60].strip("-") or "task"
        )
        n = 1
        while name in taken:
            n += 1
            name = f"{base}-{n}"
        taken.add(name)
        yield name, task


def main() -> None:
    """Draw what standard input says, a pipe from the process that started this one."""
    end_at_once()
    signal_at_end_of_parent(signal.SIGKILL)
    style, *work = pickle.load(sys.stdin.buffer)
    rcParams.update(style)
    _draw(*work)


if __name__ == "__main__":
    main()
