"""The documentation site as it is built: its links, and what a browser makes of it."""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import pytest

from tests.support.browser import Browser, chromium
from tests.support.paths import ROOT

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("zensical") is None, reason="needs the group docs: make docs"
    ),
]
RESULTS = "[...document.querySelectorAll('*')].map(e => e.shadowRoot).find(root => root)"


class Link(NamedTuple):
    """What an attribute of a tag names."""

    tag: str
    address: str


class Page(HTMLParser):
    """A page's links and the names that others can link to."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[Link] = []
        self.anchors: set[str] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name == "id":
                self.anchors.add(value)
            elif value and name in ("href", "src"):
                self.links.append(Link(tag, value))


@pytest.fixture(scope="module")
def site() -> Path:
    """Where `make docs` has built it."""
    subprocess.run([sys.executable, ROOT / "docs" / "site" / "build.py"], check=True)
    return ROOT / "build" / "site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {file: Page(file) for file in sorted(site.rglob("*.html"))}


@pytest.fixture(scope="module")
def browser(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if PROGRAM is None or importlib.util.find_spec("websocket") is None:
        pytest.skip("needs a browser: apt-get install chromium, pip install websocket-client")
    with chromium(PROGRAM, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def problem(file: Path, link: Link, pages: dict[Path, Page]) -> str | None:
    """What is wrong with a link."""
    address = urlsplit(link.address)
    if address.scheme or address.netloc:
        return None if link.tag == "a" else "is loaded from elsewhere"
    target = (file.parent / unquote(address.path)).resolve() if address.path else file
    if not target.is_file():
        return "names no file"
    known = pages[target].anchors if target in pages else {address.fragment}
    return None if not address.fragment or address.fragment in known else "names no heading"


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(
    pages: dict[Path, Page],
) -> None:
    assert len(pages) > 50
    broken = [
        f"{file.name}: {link.address} {what}"
        for file, page in pages.items()
        for link in page.links
        if (what := problem(file, link, pages)) is not None
    ]
    assert broken == []


def test_formulas_are_drawn_without_a_script(site: Path) -> None:
    html = (site / "docs" / "method.html").read_text(encoding="utf-8")
    assert "<mi>𝐮</mi>" in html and "<mi>ℬ</mi>" in html and "$" not in html


def test_the_star_of_q_star_is_no_emphasis(site: Path) -> None:
    html = (site / "docs" / "algorithms.html").read_text(encoding="utf-8")
    assert "an unrestricted Q*" in html and "<em>" not in html


def test_every_page_opens_on_a_telephone_without_a_complaint(
    browser: Browser, pages: dict[Path, Page]
) -> None:
    browser.resize(390, 844)
    wide: list[str] = []
    # pages of a kind, of which one will do; a report takes seconds
    alike = {"src", "weightings", "tables", "claims", "report.html"}
    kinds = {min(alike & {*file.parts}, default=file): file for file in pages}
    for file in kinds.values():
        browser.open(file)
        if browser.run("document.documentElement.scrollWidth > innerWidth"):
            wide.append(file.name)
    assert browser.complaints == [] and wide == []


def test_search_works_without_a_server(browser: Browser, site: Path) -> None:
    browser.resize(1300, 900)
    browser.open(site / "index.html")
    browser.wait_for("document.querySelector('.md-search__button')")
    browser.run("document.querySelector('.md-search__button').click()")
    browser.wait_for(RESULTS)
    browser.call("Input.insertText", text="prioritised")
    browser.wait_for(f"{RESULTS}.textContent.includes('per: what prioritised sampling does')")
    assert browser.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_the_theme_that_the_system_asks_for(
    browser: Browser, site: Path, scheme: str
) -> None:
    browser.prefer(scheme)
    browser.open(site / "docs" / "method.html")
    ground = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3)"
    light = browser.run(f"{ground}.every(each => each > 200)")
    assert light == (scheme == "light")


def test_words_are_spelled_as_in_the_dictionary() -> None:
    codespell = pytest.importorskip("codespell_lib", reason="needs the group docs")
    files = [*ROOT.glob("*.md"), *(ROOT / "results").glob("*.md"), *(ROOT / "src").rglob("*.py")]
    files += [*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.py")]
    assert codespell.main(*map(str, files)) == 0
