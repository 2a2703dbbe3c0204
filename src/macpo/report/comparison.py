"""A comparison as it is printed: the seeds, the effect, the verdict, and how it could go on."""

from collections.abc import Iterator

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from macpo.report.compare import Comparison, Contest, paired
from macpo.report.table import NOTHING
from macpo.terminal import say

FEW_SEEDS = 20
"""More are not shown one by one."""


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Print a table and a few sentences for each task, then for all of them."""
    labels = comparison.labels
    of_both = [s for s in comparison.settings if NOTHING not in (s.a, s.b)]
    settings = ", ".join(f"{s.name} {s.a} / {s.b}" for s in of_both)
    if settings:
        say(console, f"{labels[0]} / {labels[1]} differ in: {settings}\n")
    for contest in (*comparison.tasks, *filter(None, [comparison.overall])):
        say(console, f"{contest.title}: {contest.axis} ({contest.metric})", "bold")
        console.print(_table(contest, labels))
        for line in _sentences(contest, labels):
            say(console, line)
        say(console, "")
    for note in comparison.notes:
        say(console, note, "yellow")


def _sentences(contest: Contest, labels: tuple[str, str]) -> Iterator[str]:
    low, high = contest.improvement_interval
    between = "" if np.isnan(low) else f" [{low:.2f}, {high:.2f}]"
    yield f"P(a seed of {labels[0]} scores higher): {contest.improvement:.2f}{between}"
    yield contest.verdict
    if contest.forecast:
        more, chance = contest.forecast
        within = f"{chance:.0%} of futures decide it within {contest.most_pairs} pairs"
        told = f"about {more} more of each would decide it" if more else "it may stay undecided"
        yield f"If further seeds are like these, {told} ({within})."


def _table(contest: Contest, labels: tuple[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(Text("seed"), no_wrap=True)
    for name in (*labels, "difference"):
        table.add_column(Text(name), justify="right", no_wrap=True)
    a, b, digits = contest.a, contest.b, contest.digits
    pairs = paired(a, b)
    seeds = sorted({*a, *b})
    for seed in seeds if len(seeds) <= FEW_SEEDS else []:
        values = (f"{of[seed]:.{digits}f}" if seed in of else NOTHING for of in (a, b))
        apart = f"{a[seed] - b[seed]:+.{digits}f}" if seed in pairs else NOTHING
        table.add_row(str(seed), *values, apart, end_section=seed == seeds[-1])
    value, low, high = contest.difference
    between = "" if np.isnan(low) else f" [{low:+.{digits}f}, {high:+.{digits}f}]"
    iqms = (f"{iqm:.{digits}f}" for iqm in contest.iqm)
    table.add_row("IQM", *iqms, f"{value:+.{digits}f}{between}")
    return table
