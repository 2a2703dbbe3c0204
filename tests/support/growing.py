"""Pages that write a plug-in from an empty file: what a block defines again is replaced."""

import ast
import re
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from macpo import registry


class Content(NamedTuple):
    """What a module consists of, in whatever order it is written."""

    imported: frozenset[str]
    """`module: name`."""
    defined: dict[str, str]
    """The last definition of each name, without its comments."""
    rest: tuple[str, ...]
    """All other statements but the module's docstring."""


def blocks(page: str, language: str) -> list[str]:
    """The contents of a page's fenced blocks in a language."""
    return re.findall(rf"```{language}\n(.*?)```", page, re.S)


def content(source: str) -> Content:
    """What the text of a module holds."""
    imported, defined, rest = set[str](), dict[str, str](), list[str]()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            imported |= {f"{alias.name}: {alias.asname or ''}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {f"{node.module}: {alias.name}" for alias in node.names}
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            defined[node.name] = ast.unparse(node)
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            rest.append(ast.unparse(node))
    return Content(frozenset(imported), defined, tuple(rest))


@contextmanager
def installed(page: str, folder: Path) -> Generator[None]:
    """Let the project in a page's TOML be installed in a folder from which Python imports."""
    (project,) = (tomllib.loads(block)["project"] for block in blocks(page, "toml"))
    about = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    about.mkdir()
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    (about / "entry_points.txt").write_text("\n".join([*lines, ""]))
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\n")
    registry.forget()
    try:
        yield
    finally:
        registry.forget()
