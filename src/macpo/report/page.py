"""A report as one page of HTML that needs nothing else: no network, no other file."""

import base64
import functools
import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from string import Template
from typing import NamedTuple

from plotly.offline import get_plotlyjs

from macpo.report import tables
from macpo.report.contents import Report, TaskReport
from macpo.report.glossary import GLOSSARY
from macpo.report.labels import in_words
from macpo.report.microscope import Picture, data_url
from macpo.report.plain import to_json
from macpo.report.style import DARK_PALETTE, PALETTE
from macpo.report.summary import FEW_SEEDS, LEVEL
from macpo.report.tables import Table

DASHES = ("", "9 4", "2 3", "9 3 2 3")
"""Of the legend's lines, as the charts have them."""
MAX_FILM = 5 * 2**20
MAX_FILMS = 24 * 2**20
"""Bytes of one film, and of all in a page."""
_NUMBER = re.compile(r"[^A-Za-z]*[\d–][^A-Za-z]*")


class Film(NamedTuple):
    """An episode of a trained method."""

    file: Path
    task: str
    method: str


def render_page(
    report: Report,
    data: str,
    films: Sequence[Film] = (),
    refresh: int | None = None,
    pictures: Sequence[Picture] = (),
) -> str:
    """The page; `data` is the report as JSON, with `refresh` the page is reloaded every so often.

    `pictures` are those of listed steps of replay. Its charts are drawn from `data`, its tables
    are plain HTML.
    """
    overall = _table(tables.overall_table(report)) if report.overall else ""
    sections = [
        *_optional("overall", "All tasks", overall),
        *((f"task-{i}", task.title, _task(report, i, task)) for i, task in enumerate(report.tasks)),
        *_optional("replay", "Replay microscope", _replays(report)),
        *_optional("films", "Films", _films(films)),
        *_optional("settings", "Differences of configuration", _differences(report)),
        ("runs", "Runs, versions, commands", _runs(report)),
        ("glossary", "Glossary", _glossary()),
    ]
    return Template(_asset("page.html")).substitute(
        title=escape(_title(report)),
        about=_about(report),
        palette=len(PALETTE),
        refresh="" if refresh is None else f'<meta http-equiv="refresh" content="{refresh}">',
        colours=_colours(),
        css=_asset("page.css"),
        notes=_notes(report.notes),
        navigation="\n".join(
            f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title, _ in sections
        ),
        legend=_legend(report),
        body="\n".join(
            f'<section id="{name}">\n<h2>{escape(title)}</h2>\n{html}\n</section>'
            for name, title, html in sections
        ),
        data=in_script(data),
        pictures=in_script(to_json([{**p._asdict(), "png": data_url(p.png)} for p in pictures])),
        plotly=_plotly(),
        script=_asset("page.js") + _asset("microscope.js") * bool(report.replays),
    )


def in_script(text: str) -> str:
    """JSON that cannot end the script element that holds it.

    >>> in_script('"</script>"')
    '"\\\\u003c/script>"'
    """
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


# --- the top --------------------------------------------------------------------------------------


def _title(report: Report) -> str:
    n_seeds = sum(len(scores.seeds) for task in report.tasks for scores in task.scores)
    counts = (n_seeds, "trained seed"), (len(report.methods), "method"), (len(report.tasks), "task")
    seeds, methods, on = (f"{n} {noun}{'s' * (n != 1)}" for n, noun in counts)
    return f"{seeds}: {methods} on {on}"


def _about(report: Report) -> str:
    return escape(
        f"Made by macpo {report.macpo} on {report.made}. Every number is in data.json beside this "
        "page, figures and tables for papers are in figures/ and tables/."
    )


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    items = "\n".join(f"<li>{escape(note)}</li>" for note in notes)
    return (
        f'<div class="notes" role="note"><strong>Before you compare</strong><ul>{items}</ul></div>'
    )


def _legend(report: Report) -> str:
    labels = "\n".join(
        f'<label><input type="checkbox" checked data-method="{i}">'
        f'<svg width="30" height="8" aria-hidden="true"><line x2="30" y1="4" y2="4" '
        f'stroke="var(--c{i % len(PALETTE)})" '
        f'stroke-dasharray="{DASHES[i // len(PALETTE) % len(DASHES)]}"/></svg>'
        f"{escape(method.label)}</label>"
        for i, method in enumerate(report.methods)
    )
    return (
        f'<div class="legend" role="group" aria-label="Methods shown">\n{labels}\n'
        '<button type="button" data-shown="all">all</button>'
        '<button type="button" data-shown="none">none</button>\n</div>'
    )


def _colours() -> str:
    light, dark = (
        " ".join(f"--c{i}: {colour};" for i, colour in enumerate(palette))
        for palette in (PALETTE, DARK_PALETTE)
    )
    return (
        f":root {{ {light} }}\n@media screen and (prefers-color-scheme: dark) "
        f"{{ :root:not(.printing) {{ {dark} }} }}"
    )


# --- a task ---------------------------------------------------------------------------------------


def _task(report: Report, index: int, task: TaskReport) -> str:
    n_methods = len(task.scores)
    shown = ", ".join(
        f"{name.removeprefix('env.')}={in_words(value)}"
        for name, value in task.settings.items()
        if name != "env.name"
    )
    parts = [f'<p class="faint">{escape(shown)}</p>']
    if task.is_evaluated:
        parts += [
            "<h3>Learning curves</h3>",
            _chart("curves", index, 420, f"{task.axis} over {task.unit}, a curve for each method"),
            f'<p class="note">Thin: seeds. Thick: interquartile mean (IQM) over seeds, with the '
            f"{LEVEL:.0%} interval of a bootstrap over seeds from {FEW_SEEDS} seeds on."
            f"{_outside(task)}</p>",
            _folded("The curves in numbers", _table(tables.curves_table(report, task))),
            "<h3>Final scores</h3>",
            _chart("scores", index, 110 + 34 * n_methods, "final scores: seeds, IQM, interval"),
            _table(tables.scores_table(report, task)),
        ]
    if task.is_evaluated and n_methods > 1:
        parts += [
            "<h3>Performance profile</h3>",
            _chart("profile", index, 320, "share of seeds above each final score"),
            _folded("The profile in numbers", _table(tables.profile_table(report, task))),
            "<h3>Probability of improvement</h3>",
            _improvement(report, task),
        ]
    return "\n".join([*parts, _diagnostics(index, task)])


def _outside(task: TaskReport) -> str:
    n = task.outside
    said = "1 value lies" if n == 1 else f"{n} values lie"
    return f" {said} outside of the picture; double-click it to see them." * bool(n)


def _improvement(report: Report, task: TaskReport) -> str:
    """The matrix, shaded by how far it is from one half."""
    table = tables.improvement_table(report, task)
    shades = [
        ["", *(_shade(p, i == j) for j, p in enumerate(scores.better))]
        for i, scores in enumerate(task.scores)
    ]
    return _table(table, shades)


def _shade(probability: float, own: bool) -> str:
    if own or probability != probability:
        return ""
    colour = "0, 114, 178" if probability > 0.5 else "213, 94, 0"
    return f"background: rgba({colour}, {abs(probability - 0.5) * 1.2:.2f})"


def _diagnostics(index: int, task: TaskReport) -> str:
    charts = "\n".join(
        f"<figure><figcaption><code>{escape(each.metric)}</code>{_meaning(each.metric)}</figcaption>"
        f"{_chart('diagnostic', index, 210, each.metric, each.metric)}</figure>"
        for each in task.diagnostics
    )
    constant = ", ".join(f"{name} {value:g}" for name, value in task.constant.items())
    always = f'<p class="note">The same in all seeds at all times: {escape(constant)}.</p>'
    if not (charts or constant):
        return ""
    return (
        f'<h3>Weights and values over time</h3>\n<div class="grid">{charts}</div>\n'
        f'<p class="note">Metrics of training, averaged over spans of {task.unit}. '
        f"From {FEW_SEEDS} seeds on: IQM, and from the smallest to the largest seed.</p>"
        f"{always * bool(constant)}"
    )


def _chart(kind: str, task: int, height: int, what: str, metric: str = "") -> str:
    return (
        f'<div class="chart" role="img" aria-label="{escape(what)}" data-kind="{kind}" '
        f'data-task="{task}" data-height="{height}" data-metric="{escape(metric)}" '
        f'style="height: {height}px"></div>'
    )


# --- replay ---------------------------------------------------------------------------------------


def _replays(report: Report) -> str:
    if not report.replays:
        return ""
    about = (
        "What the steps of a batch of replay weighed, and why, at moments of training. A point is "
        "a step of a stored episode, a diamond one that is listed. The raw weight is the product "
        "of the factors; the weight is what is left of it in the loss, where weights are one on "
        "average unless the weighting is not normalised."
    )
    return "\n".join(
        [f'<p class="note">{about}</p>', *(_replay(report, i) for i in range(len(report.replays)))]
    )


def _replay(report: Report, index: int) -> str:
    """The frame of one recording, which the page's script fills."""
    replay = report.replays[index]
    method, task = report.methods[replay.method].label, report.tasks[replay.task].title
    last, what = len(replay.moments) - 1, "weight of each step over the size of its TD error"
    return (
        f'<div class="scope" data-replay="{index}">\n'
        f"<h3>{escape(f'{method} on {task}, seed {replay.seed}')}</h3>\n"
        f'<p class="note"><code>{escape(replay.summary)}</code></p>\n'
        '<div class="knobs"><label>moment of training '
        f'<input type="range" min="0" max="{last}" value="{last}"></label><output></output>'
        "<label>colour <select></select></label></div>\n"
        f'<div class="bench">{_chart("replay", replay.task, 470, what)}\n'
        '<figure class="found" aria-live="polite"></figure></div>\n'
        '<div class="lists"></div>\n</div>'
    )


# --- the rest -------------------------------------------------------------------------------------


def _films(films: Sequence[Film]) -> str:
    parts: list[str] = []
    left, omitted = MAX_FILMS, 0
    for film in films:
        data = _read(film.file, min(MAX_FILM, left))
        if data is None:
            omitted += 1
            continue
        left -= len(data)
        what = escape(f"{film.method} on {film.task}")
        parts.append(
            f"<details><summary>{what}</summary><figure>"
            f'<img loading="lazy" alt="an episode of {what}" '
            f'src="data:image/gif;base64,{base64.b64encode(data).decode()}">'
            f"<figcaption>{escape(str(film.file))}</figcaption></figure></details>"
        )
    if omitted:
        parts.append(f'<p class="note">{omitted} not shown: too large for this page, or gone.</p>')
    return "\n".join(parts)


def _read(file: Path, at_most: int) -> bytes | None:
    """The file, unless it is larger or cannot be read."""
    with suppress(OSError), file.open("rb") as handle:
        data = handle.read(at_most + 1)
        return data if len(data) <= at_most else None
    return None


def _differences(report: Report) -> str:
    return _table(tables.differences_table(report)) if report.differences else ""


def _runs(report: Report) -> str:
    everything = "\n".join(
        _folded(
            f"All settings of {method.label}",
            f"<pre>{escape(json.dumps(method.settings, indent=1, ensure_ascii=False))}</pre>",
            print_it=False,
        )
        for method in report.methods
    )
    seeds = _folded("Every seed in numbers", _table(tables.seeds_table(report)))
    return f"{_table(tables.runs_table(report))}\n{seeds}\n{everything}"


def _glossary() -> str:
    return "\n".join(
        _table(Table(title, ("metric", "unit", "meaning"), rows), titled=True)
        for title, metrics in GLOSSARY.items()
        for rows in [[(metric.names, metric.unit, metric.meaning) for metric in metrics]]
    )


def _meaning(name: str) -> str:
    found = (m.meaning for ms in GLOSSARY.values() for m in ms if name in m.names.split(", "))
    return f": {escape(next(found, ''))}"


# --- pieces ---------------------------------------------------------------------------------------


def _table(
    table: Table, styles: Sequence[Sequence[str]] | None = None, *, titled: bool = False
) -> str:
    """The table; its cells may have styles."""
    head = "".join(_cell("th", cell, ' scope="col"') for cell in table.head)
    rows = [
        "".join(
            _cell("td", cell, f' style="{styles[i][j]}"' if styles and styles[i][j] else "")
            if j
            else _cell("th", cell, ' scope="row"')
            for j, cell in enumerate(row)
        )
        for i, row in enumerate(table.rows)
    ]
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    caption = f"<caption>{escape(table.title)}</caption>" if titled else ""
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<div class="table" role="region" tabindex="0" aria-label="{escape(table.title)}">'
        f"<table>{caption}<thead><tr>{head}</tr></thead>"
        f"<tbody>\n{body}\n</tbody></table></div>{note}"
    )


def _cell(tag: str, text: str, attributes: str) -> str:
    kind = ' class="number"' if _NUMBER.fullmatch(text) else ""
    return f"<{tag}{kind}{attributes}>{escape(text)}</{tag}>"


def _folded(summary: str, html: str, *, print_it: bool = True) -> str:
    kind = ' class="for-print"' if print_it else ""
    return f"<details{kind}><summary>{escape(summary)}</summary>\n{html}\n</details>"


def _optional(name: str, title: str, html: str) -> Iterable[tuple[str, str, str]]:
    return [(name, title, html)] if html else []


@functools.cache
def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


@functools.cache
def _plotly() -> str:
    return get_plotlyjs()
