"""From runs to a report: collect, summarise, draw, write; once, or whenever records change.

from macpo.report.writing import write_report

files = write_report(["runs/mine", "studies/other"])
files.page
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from macpo.errors import UsageError
from macpo.report import microscope, tables
from macpo.report.collection import Collection, collect
from macpo.report.contents import Report
from macpo.report.directory import ReportDirectory
from macpo.report.drawing import MIN_RUNS, draw_figures, named_tasks, second_process
from macpo.report.page import Film, render_page
from macpo.report.places import places, signature
from macpo.report.plain import to_json
from macpo.report.summary import summarise
from macpo.runs.directory import RunDirectory
from macpo.runs.files import write_atomically

WATCH_INTERVAL = 10
"""Seconds between two looks at the records, and between two loads of a watched page."""


class Written(NamedTuple):
    """A report that was written."""

    files: ReportDirectory
    report: Report


def write_report(
    paths: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None = None,
    *,
    metric: str | None = None,
    films: int = 1,
    refresh: int | None = None,
) -> Written:
    """Write a report on runs, studies, or folders that hold some.

    `metric` is of evaluations and replaces the usual one (battles won, else the return); at most
    `films` episodes of each method on each task are in the page (0: neither films nor pictures),
    which with `refresh` loads itself again after so many seconds. An earlier report in `out` is
    replaced.

    Raises UsageError if nothing can be read, for a metric that no run has, and for a directory that
    holds anything but a report. The report names what could not be read.
    """
    roots = [Path(path) for path in paths]
    if not roots:
        raise UsageError("a report needs at least one directory of runs.")
    files = ReportDirectory.default(roots) if out is None else ReportDirectory(out)
    files.require_ours()
    runs = islice((place for root in roots for place in places(root, [])), MIN_RUNS)
    with second_process(sum(1 for _ in runs)) as second:
        collection = collect(roots)
        recordings, replay_notes = microscope.find_recordings(collection)
        pictures, picture_notes = microscope.draw_pictures(recordings if films else ())
        report = summarise(collection, metric)
        report = replace(
            report,
            notes=(*report.notes, *replay_notes, *picture_notes),
            replays=tuple(map(microscope.numbers, recordings)),
        )
        files.make()
        data = to_json(report)
        # the mark of a report comes first: one that is killed here can be written again
        write_atomically(files.data, f"{data}\n".encode())
        drawn = draw_figures(report, files.figures, second)
    files.remove_others([*drawn, *_write_tables(report, files.tables)])
    page = render_page(report, data, films_of(collection, films), refresh, pictures)
    write_atomically(files.page, page.encode())
    return Written(files, report)


def watch(
    paths: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None = None,
    *,
    metric: str | None = None,
    films: int = 1,
    interval: float = WATCH_INTERVAL,
) -> Iterator[Written | UsageError]:
    """Write a report now and whenever records have changed; what was written, or why it was not.

    It never ends by itself. Raises UsageError if the first report cannot be written.
    """
    roots, refresh = [Path(path) for path in paths], max(1, round(interval))
    last = signature(roots)
    yield write_report(paths, out, metric=metric, films=films, refresh=refresh)
    while True:
        time.sleep(interval)
        now = signature(roots)
        if now != last:
            last = now
            try:
                yield write_report(paths, out, metric=metric, films=films, refresh=refresh)
            except UsageError as error:
                yield error


def films_of(collection: Collection, n: int) -> list[Film]:
    """The films of at most `n` runs of each method on each task."""
    found: list[Film] = []
    for (task, method), seeds in collection.seeds.items():
        runs = dict.fromkeys(RunDirectory(seed.directory).episode for seed in seeds)
        names = collection.tasks[task].title, collection.methods[method].label
        found += [Film(file, *names) for file in [f for f in runs if f.is_file()][:n]]
    return found


def _write_tables(report: Report, folder: Path) -> Iterator[Path]:
    written = {
        "seeds": tables.seeds_table(report),
        "runs": tables.runs_table(report),
        "differences": tables.differences_table(report),
    }
    if report.overall:
        written["overall"] = tables.overall_table(report)
    for name, task in named_tasks(report):
        written[f"scores-{name}"] = tables.scores_table(report, task)
        written[f"improvement-{name}"] = tables.improvement_table(report, task)
    for stem, table in written.items():
        yield from tables.write_table(table, folder / stem)
