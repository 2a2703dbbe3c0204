"""`import macpo`: names that are imported when they are first used."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import macpo


def test_everything_promised_exists() -> None:
    assert [name for name in macpo.__all__ if not hasattr(macpo, name)] == []
    assert set(macpo.__all__) <= set(dir(macpo))


def test_type_checkers_and_running_programs_find_the_same_names() -> None:
    """The imports under TYPE_CHECKING, which editors complete from, against the lazy ones."""
    (block,) = (
        node
        for node in ast.parse(Path(macpo.__file__).read_text()).body
        if isinstance(node, ast.If)
    )
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    origin = {alias.name: node.module for node in imports for alias in node.names}
    assert set(origin) == set(macpo.__all__)
    for name, module in origin.items():
        if module == "macpo":
            assert getattr(macpo, name) is importlib.import_module(f"macpo.{name}")
        else:
            assert getattr(macpo, name) is getattr(importlib.import_module(str(module)), name)


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
