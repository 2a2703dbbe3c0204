"""The tables of a report: for a page, a paper, a spreadsheet and the terminal."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from macpo.report.contents import Estimate, Report, Scores, TaskReport
from macpo.report.labels import in_words
from macpo.report.summary import LEVEL
from macpo.report.table import LAST_EVALUATIONS, NOTHING
from macpo.runs.files import write_atomically
from macpo.terminal import fitting

_TEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
        **{"<": r"\textless{}", ">": r"\textgreater{}", "−": "$-$", "·": r"$\cdot$", "–": "--"},
    }
)


class Table(NamedTuple):
    """Words and numbers as they are shown."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str = ""


def scores_table(report: Report, task: TaskReport) -> Table:
    """What each method came to; its probability of improvement is against the first method."""
    several, absolute = len(task.scores) > 1, task.has_absolute
    interval = f"{LEVEL:.0%} interval"
    head = ("method", "seeds", "final, IQM", interval, "area, IQM")
    rows = [
        (
            report.methods[scores.method].label,
            str(len(scores.seeds)),
            *estimate(scores.final, task.digits),
            number(scores.area.value, task.digits),
            *(estimate(scores.absolute, task.digits) if absolute else ()),
            *(estimate(scores.better_than_first, 2) if several else ()),
        )
        for scores in task.scores
    ]
    note = (
        f"{task.axis} ({task.metric}). Final: a seed's mean over its last {LAST_EVALUATIONS} "
        "evaluations. Area: under its curve, divided by the env steps, which is the mean height. "
        "IQM: interquartile mean over seeds; its interval is a percentile bootstrap's over seeds, "
        "and with few seeds too narrow."
        + " Absolute: what the parameters of a seed's best evaluation earn in ten times as many "
        "episodes."
        * absolute
        + f" Seeds without it, imported, older or going on: {task.lacks_absolute}; their methods "
        "have a dash, so compare final scores."
        * (absolute and task.lacks_absolute > 0)
        + " Better than first: the probability of improvement over the first method." * several
    )
    return Table(
        f"Final scores: {task.title}",
        (
            *head,
            *(("absolute, IQM", interval) if absolute else ()),
            *(("better than first", interval) if several else ()),
        ),
        rows,
        note,
    )


def overall_table(report: Report) -> Table:
    """What each method came to on all tasks together."""
    interval = f"{LEVEL:.0%} interval"
    shares = np.isfinite([each.final.value for each in report.overall]).any()
    rows = [
        (
            report.methods[each.method].label,
            *(estimate(each.final, 2) if shares else ()),
            *estimate(each.better_than_first, 2),
        )
        for each in report.overall
    ]
    final = ("final, IQM", interval) if shares else ()
    note = (
        "Methods that were evaluated on every task. Better than first: the probability of "
        "improvement over the first method, mean over tasks."
        + " The IQM of final scores is over all seeds and tasks."
        * bool(shares)
    )
    return Table("All tasks", ("method", *final, "better than first", interval), rows, note)


def improvement_table(report: Report, task: TaskReport) -> Table:
    """The probability that a seed of the row's method ends above one of the column's."""
    labels = [report.methods[scores.method].label for scores in task.scores]
    rows = [
        (label, *(NOTHING if i == j else number(p, 2) for j, p in enumerate(scores.better)))
        for i, (label, scores) in enumerate(zip(labels, task.scores, strict=True))
    ]
    note = "How often a seed of the row's method ends above one of the column's; a tie counts half."
    return Table(f"Probability of improvement: {task.title}", ("method", *labels), rows, note)


def curves_table(report: Report, task: TaskReport, n: int = 10) -> Table:
    """The methods' curves at some env steps (offline: updates): the nearest evaluation of each."""
    end = max((s.band.env_steps[-1] for s in task.scores if len(s.band.env_steps)), default=0)
    stops = [end * (i + 1) / n for i in range(n)] if end else []
    head = (task.unit, *(report.methods[scores.method].label for scores in task.scores))
    rows = [
        (f"{stop:,.0f}", *(_at(scores, stop, end / n, task.digits) for scores in task.scores))
        for stop in stops
    ]
    return Table(f"Curves in numbers: {task.title}", head, rows, "IQM over seeds.")


def profile_table(report: Report, task: TaskReport) -> Table:
    """The performance profiles at a few thresholds."""
    picked = range(0, len(task.thresholds), max((len(task.thresholds) - 1) // 5, 1))
    head = ("method", *(f"> {number(task.thresholds[k], task.digits)}" for k in picked))
    rows = [
        (report.methods[scores.method].label, *(_percent(scores.profile[k]) for k in picked))
        for scores in task.scores
    ]
    return Table(
        f"Performance profile: {task.title}",
        head,
        rows,
        "Share of seeds with a higher final score.",
    )


def seeds_table(report: Report) -> Table:
    """Every trained seed."""
    head = ("task", "method", "seed", "final", "area", "absolute")
    head = (*head, "env steps", "updates", "directory")
    rows = [
        (
            task.title,
            report.methods[scores.method].label,
            str(seed.seed),
            number(seed.final, 4),
            number(seed.area, 4),
            number(seed.absolute, 4),
            str(seed.env_steps),
            str(seed.updates),
            seed.directory,
        )
        for task in report.tasks
        for scores in task.scores
        for seed in scores.seeds
    ]
    return Table("Seeds", head, rows)


def runs_table(report: Report) -> Table:
    """What was run, with which versions, for how long, and how to repeat it."""
    head = ("task", "method", "seeds", "env steps", "updates", "hours", "made by", "repeat")
    rows: list[tuple[str, ...]] = []
    for task in report.tasks:
        for scores in task.scores:
            for repeat in dict.fromkeys(seed.repeat for seed in scores.seeds):
                run = [seed for seed in scores.seeds if seed.repeat == repeat]
                rows.append(
                    (
                        task.title,
                        report.methods[scores.method].label,
                        ", ".join(str(seed.seed) for seed in run),
                        f"{min(seed.env_steps for seed in run):,}",
                        f"{min(seed.updates for seed in run):,}",
                        number(run[0].wall_s / 3600, 2),
                        run[0].made_by or NOTHING,
                        repeat,
                    )
                )
    return Table("Runs", head, rows, "Env steps and updates are a seed's; hours are a run's.")


def differences_table(report: Report) -> Table:
    """The settings that are not the same in all methods, the environment's apart."""
    rows = [
        (
            name,
            *(
                in_words(method.settings[name]) if name in method.settings else NOTHING
                for method in report.methods
            ),
        )
        for name in report.differences
    ]
    return Table(
        "Differences of configuration", ("setting", *(m.label for m in report.methods)), rows
    )


def number(value: float, digits: int) -> str:
    """A number as it is shown; a dash where it is not known."""
    return f"{round(value, digits) + 0.0:.{digits}f}" if np.isfinite(value) else NOTHING  # no -0


# --- forms ----------------------------------------------------------------------------------------


def markdown(table: Table) -> str:
    """The table in GitHub's Markdown."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    lines = [line(table.head), "|" + "---|" * len(table.head), *map(line, table.rows)]
    return "\n".join([f"**{table.title}**", "", *lines, "", table.note]).rstrip() + "\n"


def latex(table: Table) -> str:
    """The table for the package booktabs."""

    def line(cells: Sequence[str]) -> str:
        return f"  {' & '.join(cell.translate(_TEX) for cell in cells)} \\\\"

    return "\n".join(
        [
            f"% {table.title}".replace("\n", " "),
            f"\\begin{{tabular}}{{l{'r' * (len(table.head) - 1)}}}",
            "  \\toprule",
            line(table.head),
            "  \\midrule",
            *map(line, table.rows),
            "  \\bottomrule",
            "\\end{tabular}",
            "",
        ]
    )


def comma_separated(table: Table) -> str:
    """The table as CSV; an interval is two columns, the low and high end of the column before."""
    intervals = [j for j, head in enumerate(table.head) if head.endswith("interval")]

    def ends(cell: str) -> list[str]:
        return cell.strip("[]").split(", ") if cell.startswith("[") else [cell, cell]

    def split(row: Sequence[str], at: Sequence[Sequence[str]]) -> list[str]:
        cells = [[cell] for cell in row]
        for j, two in zip(intervals, at, strict=True):
            cells[j] = list(two)
        return [cell for some in cells for cell in some]

    names = [[f"{table.head[j - 1]}, {end}" for end in ("low", "high")] for j in intervals]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(split(table.head, names))
    writer.writerows(split(row, [ends(row[j]) for j in intervals]) for row in table.rows)
    return text.getvalue()


_FORMS: Mapping[str, Callable[[Table], str]] = {
    ".md": markdown,
    ".tex": latex,
    ".csv": comma_separated,
}


def write_table(table: Table, stem: Path) -> list[Path]:
    """Write the table in every form, in files of this name with the form's ending."""
    files = [stem.with_name(f"{stem.name}{ending}") for ending in _FORMS]
    for file, form in zip(files, _FORMS.values(), strict=True):
        write_atomically(file, form(table).encode())
    return files


MAX_NAME = 24
"""Columns of a terminal that a name takes; a longer one goes on in the next line."""


def print_table(console: Console, table: Table, max_name: int = MAX_NAME) -> None:
    """Print a table, no number cut; columns that do not fit follow after the same names."""
    names = min(max(map(cell_len, [table.head[0], *(row[0] for row in table.rows)])), max_name)
    heads, rows = table.head[1:], [row[1:] for row in table.rows]
    widths = [
        max(map(cell_len, [*head.split(), *(row[j] for row in rows)]))
        for j, head in enumerate(heads)
    ]
    title = Text(table.title, "bold")
    for i, part in enumerate(fitting(names, widths, console.width)):
        console.print(_part(table, names, {j + 1: widths[j] for j in part}, None if i else title))


def _part(table: Table, names: int, columns: Mapping[int, int], title: Text | None) -> RichTable:
    shown = RichTable(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        title=title,
        title_justify="left",
    )
    shown.add_column(Text(table.head[0]), overflow="fold", width=names)
    for j, width in columns.items():
        shown.add_column(Text(table.head[j]), justify="right", width=width)
    for row in table.rows:
        shown.add_row(*(Text(row[j]) for j in (0, *columns)))
    return shown


def estimate(of: Estimate, digits: int) -> tuple[str, str]:
    """A number and its interval as they are shown."""
    low, high = number(of.low, digits), number(of.high, digits)
    return number(of.value, digits), NOTHING if NOTHING in (low, high) else f"[{low}, {high}]"


def _at(scores: Scores, env_steps: float, within: float, digits: int) -> str:
    band = scores.band
    if not len(band.env_steps):
        return NOTHING
    nearest = int(np.abs(band.env_steps - env_steps).argmin())
    if abs(band.env_steps[nearest] - env_steps) > within:
        return NOTHING
    return number(band.middle[nearest], digits)


def _percent(share: float) -> str:
    return f"{share:.0%}" if np.isfinite(share) else NOTHING
