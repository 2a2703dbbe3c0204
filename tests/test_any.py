"""`Any` tells a reader nothing: each has its reason where it is read, and they are few.

The reason is a comment on the same line, a comment right above the statement, or what is said of
a type alias (`X: TypeAlias = Any`) by a comment on its line or by the text below it.
"""

import ast
import io
import itertools
import re
import tokenize
from collections.abc import Iterator

import pytest

from tests.support.paths import ROOT

SOURCE = ROOT / "src" / "macpo"
MODULES = sorted(SOURCE.rglob("*.py"))
PER_1000_LINES = 10
_FOR_TOOLS = re.compile(r"# *(noqa|type:|pyright:|fmt:)")


def uses(tree: ast.AST) -> set[int]:
    """The lines on which `Any` is used, in annotations that are text too."""
    found: set[int] = set()
    for node in ast.walk(tree):
        name = getattr(node, "id", None) or getattr(node, "attr", None)
        if isinstance(node, ast.Name | ast.Attribute) and name == "Any":
            found.add(node.lineno)
        for hint in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            for part in ast.walk(hint) if isinstance(hint, ast.AST) else ():
                is_text = isinstance(part, ast.Constant) and isinstance(part.value, str)
                if is_text and re.search(r"\bAny\b", part.value):
                    found.add(part.lineno)
    return found


def comments(text: str) -> tuple[set[int], set[int]]:
    """The lines with a comment for readers, and those that hold nothing else."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    found = [t for t in tokens if t.type == tokenize.COMMENT and not _FOR_TOOLS.match(t.string)]
    return {t.start[0] for t in found}, {t.start[0] for t in found if t.line.lstrip()[0] == "#"}


def statements(tree: ast.AST) -> Iterator[tuple[ast.stmt, bool]]:
    """Each statement, after those that it is within, and whether text is right below it."""
    for node in ast.walk(tree):
        for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            body = block if isinstance(block, list) else []
            for this, below in itertools.zip_longest(body, body[1:]):
                is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
                yield this, is_text


def without_reason(text: str) -> list[int]:
    """The lines that use `Any` and have no reason beside it."""
    tree = ast.parse(text)
    on_line, alone = comments(text)
    found: list[int] = []
    owner = {line: each for each in statements(tree) for line in _lines(each[0])}
    for line in uses(tree) - on_line:
        statement, has_text = owner[line]
        is_alias = isinstance(statement, ast.AnnAssign) and "TypeAlias" in ast.unparse(
            statement.annotation
        )
        if not (is_alias and has_text) and _lines(statement)[0] - 1 not in alone:
            found.append(line)
    return sorted(found)


def _lines(statement: ast.stmt) -> range:
    decorators = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(each.lineno for each in decorators)])
    return range(first, (statement.end_lineno or first) + 1)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("x: Any = 1", [1]),
        ("x: Any = 1  # JSON may hold anything", []),
        ("x: Any = 1  # noqa: B018", [1]),
        ("# JSON may hold anything\nx: Any = 1", []),
        ("# JSON may hold anything\n\nx: Any = 1", [3]),
        ("y = 1  # one\nx: Any = 1", [2]),
        ("Json: TypeAlias = Any\n'''What JSON may hold.'''", []),
        ("Json: TypeAlias = Any", [1]),
        ("from typing import Any", []),
        ("'''Any.'''\nx = 'Any'", []),
        ("def f(x: 'list[Any]') -> 'Any':\n  y = cast(Any, x)", [1, 2]),
        ("def f(\n  x: Any,  # JSON may hold anything\n  y: typing.Any,\n): ...", [3]),
        ("# of any type\n@property\ndef f(x: Any):\n  ...", []),
    ],
)
def test_a_reason_is_a_comment_on_the_line_or_above_it_or_the_text_of_an_alias(
    text: str, lines: list[int]
):
    assert without_reason(text) == lines


def test_every_any_has_its_reason_where_it_is_read():
    found = [
        f"{module.relative_to(ROOT)}:{line}"
        for module in MODULES
        for line in without_reason(module.read_text())
    ]
    assert found == [], "\n".join(found)


def test_any_is_written_out_in_at_most_ten_of_a_thousand_lines():
    texts = {module: module.read_text() for module in MODULES}
    found = [
        f"{module.relative_to(ROOT)}:{line}"
        for module, text in texts.items()
        for line in sorted(uses(ast.parse(text)))
    ]
    n_lines = sum(text.count("\n") for text in texts.values())
    assert len(found) <= PER_1000_LINES * n_lines / 1000, "\n".join(found)
