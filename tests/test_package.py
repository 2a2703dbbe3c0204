"""`import macpo`: names that are imported when they are first used."""

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import macpo
from tests.support.paths import ROOT

PACKAGES = [
    "macpo",
    *("macpo.algorithms", "macpo.envs", "macpo.interop"),
    *("macpo.learners", "macpo.nets", "macpo.replay", "macpo.report"),
]
every_package = pytest.mark.parametrize("name", PACKAGES)


@every_package
def test_everything_promised_exists(name: str) -> None:
    package = importlib.import_module(name)
    assert [public for public in package.__all__ if not hasattr(package, public)] == []
    assert set(package.__all__) <= set(dir(package))


@every_package
def test_type_checkers_and_running_programs_find_the_same_names(name: str) -> None:
    """The imports under TYPE_CHECKING, which editors complete from, against the lazy ones."""
    package = importlib.import_module(name)
    (block,) = (
        node
        for node in ast.parse(Path(str(package.__file__)).read_text()).body
        if isinstance(node, ast.If)
    )
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    origin = {alias.name: str(node.module) for node in imports for alias in node.names}
    assert set(origin) == set(package.__all__)
    for public, module in origin.items():
        if module == name:
            assert getattr(package, public) is importlib.import_module(f"{name}.{public}")
        else:
            assert getattr(package, public) is getattr(importlib.import_module(module), public)


def test_train_is_a_function_and_no_module() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("macpo.train")
    assert callable(macpo.train)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'macpo' has no attribute 'tarin'"):
        macpo.tarin  # noqa: B018


def test_importing_macpo_imports_no_jax() -> None:
    code = "import sys, macpo; print(macpo.__version__, 'jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [macpo.__version__, "False"]


def test_the_package_its_citation_and_the_changelog_tell_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.M)
    released = re.search(r"^## \[?(\d[^\] ]*)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert citation is not None and released is not None
    assert macpo.__version__ == citation[1] == released[1] == project["version"]


def test_sources_that_are_not_installed_have_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert macpo.__version__ == "unknown"
