"""The page as text: complete, escaped, and in need of nothing else."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from macpo.report import page
from macpo.report.collection import Collection, Method, Task
from macpo.report.contents import Report
from macpo.report.microscope import RecordedMoment, RecordedReplay
from macpo.report.page import Film, in_script, render_page
from macpo.report.plain import to_json
from macpo.report.summary import summarise
from tests.report.test_summary import collection, on_two_tasks, returns, seed

EVIL = '</script><script>alert(1)</script><img src=x onerror="alert(2)">'


def render(report: Report, *films: Film, refresh: int | None = None) -> str:
    """The page without Plotly's four megabytes."""
    return render_page(report, to_json(report), films, refresh).replace(get_plotlyjs(), "PLOTLY")


class Reader(HTMLParser):
    """Elements by name, text, and the addresses that are named."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.texts: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        if tag not in ("meta", "input", "img", "line"):
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        if tag != "line":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


@pytest.fixture
def report() -> Report:
    return summarise(collection(returns([1, 2], [3, 4]), returns([5, 6], [7, 8])))


def test_the_page_is_well_formed_and_names_no_other_file(report: Report) -> None:
    reader = Reader(render(report))
    assert reader.open == []
    assert [address for address in reader.addresses if not address.startswith("#")] == []


def test_plotly_is_embedded_once(report: Report) -> None:
    assert render(report).count("PLOTLY") == 1


def test_nothing_may_be_loaded_from_elsewhere(report: Report) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', render(report))
    assert policy.startswith("default-src 'none';") and "http" not in policy


def test_the_page_draws_from_the_data_that_is_given(report: Report) -> None:
    (data,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', render(report)
    )
    assert json.loads(data) == json.loads(to_json(report))


def test_numbers_can_be_read_without_javascript(report: Report) -> None:
    texts = Reader(render(report)).texts
    assert {"method 0", "method 1", "2.5", "6.5", "lr"} <= set(texts)
    assert "test_return_mean" in texts and "a note" in texts


def test_several_tasks_have_a_section_of_their_own_and_one_of_all() -> None:
    html = render(summarise(on_two_tasks("test_return_mean", ([1], [2]), ([3], [4]))))
    assert re.findall(r"<h2>(.*?)</h2>", html)[:3] == ["All tasks", "first", "second"]


def test_text_of_users_is_nowhere_markup() -> None:
    evil = Collection(
        (Task(EVIL, {"env.name": EVIL}),),
        (Method(EVIL, {EVIL: EVIL}), Method("b", {})),
        {(0, 0): (seed(0, {"test_return_mean": [1.0]}, {"f_mean": [1.0, 2.0]}),), (0, 1): ()},
        (EVIL,),
    )
    nothing = np.zeros(0)
    moment = RecordedMoment(1, 1, 1, 1, (EVIL,), {}, nothing, nothing)
    replay = RecordedReplay(0, 0, 0, EVIL, EVIL, "", 1, (moment,))
    report = replace(summarise(evil), replays=(replay,))
    html = render(report, Film(Path(__file__), EVIL, EVIL))
    assert "<script>alert" not in html and "<img src=x" not in html
    assert Reader(html).names.count("script") == 4


def test_json_cannot_end_the_script_that_holds_it() -> None:
    text = json.dumps({"a": "</script>\u2028", "b": "<!--"}, ensure_ascii=False)
    assert "<" not in in_script(text) and "\u2028" not in in_script(text)
    assert json.loads(in_script(text)) == json.loads(text)


def test_scores_that_are_not_finite_are_shown_as_unknown() -> None:
    report = summarise(collection(returns([np.nan], [1]), returns([np.inf], [2])))
    html = render(report).partition('<section id="runs">')[0]
    assert not re.search(r"\b(nan|inf|Infinity)\b", html, re.IGNORECASE) and ">–<" in html
    json.loads(to_json(report), parse_constant=pytest.fail)


def test_a_page_can_be_made_before_the_first_evaluation() -> None:
    html = render(summarise(collection([seed(0, {}, {"f_mean": [1.0, 2.0]})])))
    assert 'data-kind="diagnostic"' in html and 'data-kind="curves"' not in html


def test_only_a_watched_page_loads_itself_again(report: Report) -> None:
    assert 'http-equiv="refresh"' not in render(report)
    assert '<meta http-equiv="refresh" content="7">' in render(report, refresh=7)


def test_films_are_in_the_page_as_far_as_they_fit(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = tmp_path / "small.gif", tmp_path / "large.gif"
    small.write_bytes(b"GIF89a")
    large.write_bytes(b"GIF89a" * 100)
    monkeypatch.setattr(page, "MAX_FILM", 50)
    html = render(report, Film(small, "task", "a"), Film(large, "task", "b"))
    assert html.count("data:image/gif;base64,R0lGODlh") == 1
    assert "1 not shown: too large for this page, or gone." in html


def test_every_chart_has_words_and_a_table_near_it(report: Report) -> None:
    html = render(report)
    charts = re.findall(r'<div class="chart" role="img" aria-label="([^"]+)"', html)
    assert len(charts) == 3 and all(charts)
    assert html.count('role="region" tabindex="0"') >= len(charts)
