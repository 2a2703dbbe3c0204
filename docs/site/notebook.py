"""The tutorial as a notebook: `python docs/site/notebook.py` writes docs/tutorial.ipynb.

Its source is docs/tutorial.md: blocks of `bash` and `python` become cells, `text` is what the cell
before prints, and `console` is what only a person types.
"""

import json
import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"
NOTEBOOK = TUTORIAL.with_suffix(".ipynb")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
INSTALL = "%pip install --quiet .."
"""From the checkout, in whose folder docs/ Jupyter opens the notebook."""
NOT_FOR_TESTS = "skip-execution"
"""The tag of the cell that installs macpo: it is there where a test runs the others."""


class Block(NamedTuple):
    """A part of a Markdown page: prose ("") or a fenced block of a language."""

    language: str
    text: str


def blocks(page: str) -> list[Block]:
    """The page's parts, in order."""
    found, end = [], 0
    for match in BLOCK.finditer(page):
        found += [Block("", page[end : match.start()]), Block(match[1], match[2])]
        end = match.end()
    return [block for block in [*found, Block("", page[end:])] if block.text.strip()]


def cells(page: str, install: str = INSTALL) -> list[dict[str, Any]]:
    """The notebook's cells, without outputs; what installs macpo comes first."""
    made = [_code(install, tags=[NOT_FOR_TESTS])]
    for language, text in blocks(page):
        if language == "bash":
            made.append(_code("%%bash\n" + text.strip()))
        elif language == "python":
            made.append(_code(text.strip()))
        elif language == "console":
            made.append(_prose(f"```console\n{text}```"))
        elif not language:
            made.append(_prose(text.strip()))
    return [{"id": f"cell-{number}", **cell} for number, cell in enumerate(made)]


def printed(page: str) -> list[str]:
    """What each cell of code that the page runs should print, in order."""
    expected: list[str] = []
    for language, text in blocks(page):
        if language in ("bash", "python"):
            expected.append("")
        elif language == "text":
            expected[-1] = text
    return expected


def notebook(page: str, repository: str | None = None) -> str:
    """The notebook of a page; of a public repository it opens in Colab by a button."""
    made = cells(page, INSTALL if repository is None else f"%pip install --quiet git+{repository}")
    if repository is not None:
        path = f"{repository.removeprefix('https://')}/blob/main/docs/{NOTEBOOK.name}"
        address = f"https://colab.research.google.com/{path.replace('github.com', 'github', 1)}"
        made.insert(0, {"id": "colab", **_prose(f"[Open in Colab]({address})")})
    content = {
        "cells": made,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def repository() -> str | None:
    """Where the project says that it is public, if it does."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project.get("urls", {}).get("Repository")


def _code(source: str, tags: list[str] | None = None) -> dict[str, Any]:
    metadata = {"tags": tags} if tags else {}
    lines = source.splitlines(keepends=True)
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": metadata,
        "outputs": [],
        "source": lines,
    }


def _prose(source: str) -> dict[str, Any]:
    return {
        "cell_type": "markdown",
        "metadata": {},
        "source": source.splitlines(keepends=True),
    }


if __name__ == "__main__":
    page = TUTORIAL.read_text(encoding="utf-8")
    NOTEBOOK.write_text(notebook(page, repository()), encoding="utf-8")
