"""The documentation site, as far as it can be told without building it."""

import dataclasses
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from macpo import registry
from macpo.cli import COMMANDS
from macpo.experiment import PARTS
from tests.support.paths import ROOT
from tests.support.site import script

CONFIG: dict[str, Any] = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
ELSEWHERE = {"docs/status.md"}
"""Pages that are for contributors, and that others link to."""


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


def test_the_flags_of_every_part_are_there(source: Path) -> None:
    text = (source / "reference" / "flags.md").read_text()
    for part, kind in PARTS.items():
        for name, config in registry.discover(kind).items():
            flags = text.partition(f"### --{part} {name}\n")[2].partition("\n##")[0]
            for field in dataclasses.fields(config):
                flag = field.name.replace("_", "-")
                assert f"--{part}.{flag}" in flags, (name, field.name)


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


def test_a_formula_becomes_mathml_and_code_stays() -> None:
    markdown = pytest.importorskip("markdown", reason="needs the group docs: make docs")
    pytest.importorskip("latex2mathml", reason="needs the group docs: make docs")
    html = markdown.markdown(
        "Weigh $\\mathbf u_1$ but not `$OUT`, for 5 $ or 6 $.\n\n$$x = 1$$",
        extensions=[script("mathml").Formulas()],
    )
    assert html.count("<math") == 2 and html.count('display="block"') == 1
    assert "<mi>𝐮</mi>" in html and "<code>$OUT</code>" in html and "5 $ or 6 $." in html


def test_a_program_that_a_page_links_to_is_a_page_too(source: Path) -> None:
    text = (source / "docs" / "method.md").read_text(encoding="utf-8")
    assert "](../src/macpo/weighting/factors.py.md)" in text
    page = (source / "src" / "macpo" / "weighting" / "factors.py.md").read_text(encoding="utf-8")
    assert page.startswith("# `src/macpo/weighting/factors.py`") and "def joint_probability" in page


def test_diagrams_are_as_their_script_draws_them() -> None:
    diagrams = script("diagrams", ROOT / "docs" / "images")
    for name, draw in diagrams.DIAGRAMS.items():
        assert (ROOT / "docs" / "images" / name).read_text(encoding="utf-8") == draw()
