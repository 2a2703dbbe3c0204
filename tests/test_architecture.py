"""Data flows one way: a module imports only from its left."""

import ast
import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

SOURCE = ROOT / "src" / "macpo"
ORDER = [
    "errors",
    "field_types",
    "bounds",
    "lazy",
    "terminal",
    "types",
    "machine",
    "cluster",
    "nets",
    "kernels",
    "envs",
    "interop",
    "replay",
    "weighting",
    "learners",
    "algorithms",
    "experiment",
    "presets",
    "training",
    "runs",
    "conformance",
    "render",
    "statistics",
    "study",
    "report",
    "search",
    "reproduce",
    "bench",
    "doctor",
    "cli",
    "__main__",
]
ANYWHERE = {"registry"}  # finds plug-ins by name, so that nobody imports them
PURE = {"types", "nets", "kernels", "envs", "replay", "weighting", "learners", "algorithms"}
# an environment that is not JAX may hold its world in a package of its own: a game, its files
OUTSIDE = {Path("envs/smac")}
MODULES = sorted(p.relative_to(SOURCE) for p in SOURCE.rglob("*.py"))


def room(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Rooms of macpo, and other top-level packages prefixed with a colon, that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((SOURCE / path).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "macpo":
                names = [f"macpo.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            found.add(rest.split(".")[0] if top == "macpo" and rest else f":{top}")
    return found


@pytest.mark.parametrize("path", [p for p in MODULES if room(p) in ORDER], ids=str)
def test_a_module_imports_only_from_its_left(path: Path):
    here = ORDER.index(room(path))
    rooms = {name for name in imported(path) if name in ORDER}
    assert {name for name in rooms if ORDER.index(name) > here} == set()


def test_every_module_has_its_place_in_the_order():
    rooms = {room(p) for p in MODULES}
    assert rooms - set(ORDER) - ANYWHERE == {"__init__"}


@pytest.mark.parametrize(
    "path", [p for p in MODULES if room(p) in PURE and p.parent not in OUTSIDE], ids=str
)
def test_pure_modules_touch_neither_disk_nor_clock_nor_terminal(path: Path):
    effects = {":os", ":pathlib", ":time", ":rich", ":subprocess", ":sys", ":json"}
    assert imported(path) & effects == set()
    assert "print(" not in (SOURCE / path).read_text()


def test_torch_is_imported_nowhere_but_where_torch_arrays_have_come_in():
    assert [str(p) for p in MODULES if ":torch" in imported(p)] == ["weighting/arrays.py"]


def test_other_projects_environments_are_imported_by_nobody_who_does_not_use_them():
    theirs = {":pettingzoo", ":gymnasium", ":jaxmarl"}
    assert [p for p in MODULES if imported(p) & theirs] == []


def test_the_hubs_client_is_imported_where_something_is_pushed_or_pulled_and_only_then():
    theirs = {
        p: text
        for p in MODULES
        if ":huggingface_hub" in imported(p)
        for text in [(SOURCE / p).read_text()]
    }
    assert {p.parent for p in theirs} == {Path("runs/hub")}
    at_once = re.compile(r"^(from|import) huggingface_hub", re.M)
    assert [str(p) for p, text in theirs.items() if at_once.search(text)] == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_the_pages_tell_the_same_order(page: str):
    told = re.search(r"errors[ ,→]+field_types.*?\bcli\b", (ROOT / page).read_text(), re.DOTALL)
    assert told is not None
    assert re.findall(r"\w+", told[0]) == [name for name in ORDER if name != "__main__"]
