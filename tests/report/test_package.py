"""The examples in the docstrings run as printed."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "module", ["compare", "formats.imported", "labels", "page", "plain", "score"]
)
def test_the_examples_of_a_module_run(module: str) -> None:
    loaded = importlib.import_module(f"macpo.report.{module}")
    result = doctest.testmod(loaded, extraglobs={"np": importlib.import_module("numpy")})
    assert result.failed == 0 < result.attempted
