"""The scripts that make the documentation site, as modules."""

import importlib.util
from pathlib import Path
from types import ModuleType

from tests.support.paths import ROOT


def script(name: str, folder: Path = ROOT / "docs" / "site") -> ModuleType:
    """The module NAME.py of a folder; it belongs to no package."""
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
