"""Names of a package that are imported when they are first used."""

import sys
from pathlib import Path

import pytest

from macpo.lazy import lazy_names


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package of two modules, neither of them imported."""
    folder = tmp_path / "sleepy"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "numbers.py").write_text("ONE = 1\n")
    (folder / "tools.py").write_text("tools = 'not this'\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("sleepy", "sleepy.numbers", "sleepy.tools"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return "sleepy"


MODULES = {"tools": "sleepy.tools", "ONE": "sleepy.numbers"}


def test_a_name_is_that_of_its_module(package: str):
    get, _ = lazy_names(package, MODULES)
    assert get("ONE") == 1


def test_nothing_is_imported_before_its_name_is_used(package: str):
    get, names = lazy_names(package, MODULES)
    names()
    assert "sleepy.numbers" not in sys.modules
    get("ONE")
    assert "sleepy.numbers" in sys.modules
    assert "sleepy.tools" not in sys.modules


def test_a_module_called_like_the_name_stands_for_itself(package: str):
    get, _ = lazy_names(package, MODULES)
    assert get("tools") is sys.modules["sleepy.tools"]


def test_an_unknown_name_is_an_attribute_error_as_of_any_module(package: str):
    get, _ = lazy_names(package, MODULES)
    with pytest.raises(AttributeError, match=r"^module 'sleepy' has no attribute 'TWO'$"):
        get("TWO")


def test_the_names_are_listed_in_order():
    _, names = lazy_names("sleepy", MODULES)
    assert names() == ["ONE", "tools"]
