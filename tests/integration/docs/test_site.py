"""The documentation site, as far as it can be told without building it."""

import importlib.util
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from macpo.cli import COMMANDS
from tests.support.paths import ROOT

CONFIG: dict[str, Any] = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
ELSEWHERE = {"docs/status.md"}
"""Pages that are for contributors, and that others link to."""


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "site" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pages(entries: Any) -> Iterator[str]:
    """All pages of a navigation."""
    for entry in entries:
        if isinstance(entry, str):
            yield entry
        else:
            for target in entry.values():
                yield from pages([target] if isinstance(target, str) else target)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the pages are copied and written to."""
    build, folder = script("build"), tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "SOURCE", folder / "source")
        build.stage()
    yield folder / "source"


def test_the_navigation_names_pages_that_there_are(source: Path) -> None:
    assert [page for page in pages(CONFIG["nav"]) if not (source / page).is_file()] == []


def test_every_page_of_docs_is_in_the_navigation(source: Path) -> None:
    written = {f"docs/{file.name}" for file in (source / "docs").glob("*.md")}
    assert written - ELSEWHERE == {
        page for page in pages(CONFIG["nav"]) if page.startswith("docs/") and page.count("/") == 1
    }


def test_every_command_is_explained_with_its_flags(source: Path) -> None:
    text = (source / "reference" / "commands.md").read_text()
    for name in COMMANDS:
        part = text.partition(f"## macpo {name}\n")[2].partition("\n## ")[0]
        assert f"usage: macpo {name}" in part


def test_every_public_name_has_its_place(source: Path) -> None:
    weighting = (source / "reference" / "macpo.weighting.md").read_text()
    assert "\n::: macpo.weighting.MacPO\n" in weighting
    package = (source / "reference" / "macpo.md").read_text()
    assert "\n::: macpo.train\n" in package and "::: macpo.weighting\n" not in package


def test_nothing_is_fetched_from_elsewhere() -> None:
    assert CONFIG["theme"]["font"] is False


def test_a_doctest_without_a_fence_gets_one() -> None:
    markdown = pytest.importorskip("markdown", reason="needs the group docs: make docs")
    text = "What it does:\n\n>>> one()\n1\n\nMore.\n\n```pycon\n>>> two()\n```\n"
    fenced = markdown.Markdown(extensions=[script("doctests").Doctests(), "fenced_code"])
    html = fenced.convert(text)
    assert html.count("<pre>") == 2 and "<blockquote>" not in html


@pytest.mark.slow
def test_the_site_is_built_without_a_warning() -> None:
    pytest.importorskip("zensical", reason="needs the group docs: make docs")
    subprocess.run([sys.executable, ROOT / "docs" / "site" / "build.py"], check=True)
    assert "macpo train" in (ROOT / "build" / "site" / "index.html").read_text()
