"""The page on the method names what the code has, and its lines run."""

import contextlib
import io
import re

import pytest

from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
SYMBOLS = [
    row.split(" | ")[2:4] for row in PAGE.splitlines() if row.startswith("| $") and "../src/" in row
]


@pytest.mark.parametrize(("names", "link"), SYMBOLS)
def test_a_symbol_stands_in_the_code_under_the_name_that_the_page_gives(
    names: str, link: str
) -> None:
    (path,) = re.findall(r"\]\(\.\./(.*?)\)", link)
    code = (ROOT / path).read_text(encoding="utf-8")
    for name in re.findall(r"`(\w+)`", names):
        assert re.search(rf"\b{name}\b", code), f"{path} has no {name}"


def test_the_collective_term_by_hand_is_what_the_code_prints() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})  # the page is ours
    assert printed.getvalue() == shown
