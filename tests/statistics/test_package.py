"""The package: what it exports, its examples, and that it needs no JAX."""

import doctest
import importlib
import pkgutil

import pytest

import macpo
from macpo import statistics
from tests.support.without_jax import run_without_jax

MODULES = [
    f"macpo.statistics.{module.name}" for module in pkgutil.iter_modules(statistics.__path__)
]


def test_everything_exported_exists():
    assert [name for name in statistics.__all__ if not hasattr(statistics, name)] == []
    assert macpo.statistics is statistics


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_give_the_numbers_printed_there(module: str):
    assert doctest.testmod(importlib.import_module(module)).failed == 0


WITHOUT = """
import macpo

scores = [30, 50, 40, 0, 40]
print(round(macpo.statistics.iqm(scores), 1), [round(x) for x in macpo.statistics.interval(scores)])
"""


def test_statistics_need_no_jax():
    done = run_without_jax(WITHOUT)
    assert done.stderr == ""
    assert done.stdout == "36.7 [10, 47]\n"
