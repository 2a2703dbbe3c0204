"""Tables of the hand-written pages are narrow enough to read in an editor."""

import itertools
from pathlib import Path

import pytest

from tests.support.paths import ROOT

WIDTH = 120
PAGES = sorted(
    itertools.chain(
        (ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        (ROOT / folder / "README.md" for folder in ("tests", "benchmarks")),
        (ROOT / "docs").rglob("*.md"),
        (ROOT / "results").glob("*.md"),
    )
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_line_of_a_table_is_wider_than_an_editor(page: Path) -> None:
    lines = enumerate(page.read_text(encoding="utf-8").splitlines(), start=1)
    wide = {
        f"{page.relative_to(ROOT)}:{number}": len(line)
        for number, line in lines
        if line.lstrip().startswith("|") and len(line) > WIDTH
    }
    assert wide == {}
