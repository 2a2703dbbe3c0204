"""What `macpo list` shows, without importing JAX unless it is asked for battles."""

import importlib
from collections.abc import Mapping

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from macpo import registry
from macpo.cli import LISTS
from macpo.cli.described import Described, described_plugins, described_presets
from macpo.errors import UsageError, nearest, shown
from macpo.field_types import Settings
from macpo.terminal import fitting, stdout_console

MAX_CELL = 24
"""Columns of a terminal that a cell takes; a longer one goes on in the next line."""
_SHOWN_UNASKED = tuple(name for name in LISTS if name != "battles")
_console = stdout_console()
_PLUGINS: Mapping[str, registry.Kind] = {
    "environments": "envs",
    "algorithms": "algorithms",
    "weightings": "weighting",
}


def show(arguments: list[str]) -> None:
    """`macpo list`."""
    for word in arguments:
        if word not in LISTS:
            raise UsageError(
                f"macpo list has no {shown(word)}; {nearest(word, LISTS)} "
                f"Known: {', '.join(LISTS)}."
            )
    for title in arguments or _SHOWN_UNASKED:
        if title == "algorithms":
            _print_algorithms()
            continue
        if title == "battles":
            for table in importlib.import_module("macpo.cli.battles").tables():
                _console.print(table)
            continue
        table = _table(title)
        table.add_column("what it is")
        for name, each in _known(title).items():
            table.add_row(Text(name), Text(each.summary))
        if title == "environments":
            table.add_row("module:factory", "One of your own, or of another library.")
            table.caption = "maps of the three with StarCraft, and their sizes: macpo list battles"
            table.caption_justify = "left"
        _console.print(table)


def _known(title: str) -> Mapping[str, Described]:
    return described_plugins(_PLUGINS[title]) if title in _PLUGINS else described_presets()


def _print_algorithms() -> None:
    """Columns that do not fit beside the others follow after the same names."""
    head = ("learns", "agents", "critic", "mixer", "extra networks", "paper")
    rows = [(name, *_cells_of_algorithm(each.about)) for name, each in _known("algorithms").items()]
    names = max(len(name) for name, *_ in rows)
    columns = zip(head, *(cells for _, *cells in rows), strict=True)
    widths = [min(max(map(cell_len, column)), MAX_CELL) for column in columns]
    for i, part in enumerate(fitting(names, widths, _console.width)):
        table = _table(None if i else "algorithms")
        for j in part:
            table.add_column(head[j], width=widths[j])
        for name, *cells in rows:
            table.add_row(*map(Text, (name, *(cells[j] for j in part))))
        _console.print(table)


def _cells_of_algorithm(about: Settings) -> tuple[str, ...]:
    learns = "on-policy" if about.get("on_policy") else "from replay"
    return learns, *(about[name] for name in ("agents", "critic", "mixer", "extra", "paper"))


def _table(title: str | None) -> Table:
    """With a column of names, and no rows yet."""
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("name", no_wrap=True)
    return table
