"""What is imported when a test first uses it, for each of several workers collects every file."""

import functools
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import pytest


class Later:
    """Stands for the module that `load` returns, and loads it when a name of it is asked for."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = functools.cache(load)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # pytest looks for them in everything that a file holds
            raise AttributeError(name)
        return getattr(self._load(), name)


def needed(module: str, reason: str) -> Any:
    """The module, imported later; without its package the tests of the file are skipped."""
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        pytest.skip(reason, allow_module_level=True)
    return Later(lambda: importlib.import_module(module))
