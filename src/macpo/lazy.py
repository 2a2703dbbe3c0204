"""Names of a package that are imported when they are first used (PEP 562).

So `import macpo` costs nothing, and `macpo.weighting` needs no JAX. A package lists its names under
`TYPE_CHECKING` as well, for type checkers and editors.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """(`__getattr__`, `__dir__`) of a package: name → the module that defines it.

    A module that is called like the name, `package.name`, stands for itself.
    """

    def get(name: str) -> Any:  # the type of an attribute depends on its name
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(modules[name])
        return module if modules[name] == f"{package}.{name}" else getattr(module, name)

    def names() -> list[str]:
        return sorted(modules)

    return get, names
