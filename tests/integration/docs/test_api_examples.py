"""Every public name has an example in its docstring, and the example runs."""

import doctest
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_engine import install
from tests.support.site import script

PACKAGES = script("build").PACKAGES


def public() -> Iterator[tuple[str, Any]]:
    """`package.name` and what it names; a dictionary or a type alias has no example."""
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isroutine(value):
                yield f"{package}.{name}", value


PUBLIC = dict(public())


@pytest.mark.parametrize("name", PUBLIC)
def test_the_example_of_a_public_name_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    install(monkeypatch)  # tests/study has real sweeps
    value = PUBLIC[name]
    globs = {value.__name__: value}
    (example,) = doctest.DocTestFinder(recurse=False).find(value, name, globs=globs)
    assert example.examples, f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    assert runner.run(example).failed == 0
