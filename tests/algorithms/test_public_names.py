"""The algorithms as a user imports them."""

import doctest
import importlib
import inspect

import pytest

from macpo import algorithms, registry


def test_every_algorithm_found_has_a_public_class_name():
    found = {config.__name__ for config in registry.discover("algorithms").values()}
    assert found == set(algorithms.__all__)


@pytest.mark.parametrize("name", algorithms.__all__)
def test_the_example_in_its_docstring_runs(name: str):
    cls = getattr(algorithms, name)
    module = importlib.import_module(cls.__module__)
    assert ">>>" in (inspect.getdoc(cls) or "")
    assert doctest.testmod(module).failed == 0
