"""Names of a package that are imported when they are first used (PEP 562).

This makes `import macpo` cheap and keeps `macpo.weighting` free of JAX. A package also lists its
names under `TYPE_CHECKING`, for type checkers and editors.
"""

import importlib
from collections.abc import Callable, Mapping


def lazy_names(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """(`__getattr__`, `__dir__`) of a package: name → the module that defines it.

    If the module is `package.name`, the name stands for the module itself.
    """

    def get(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(modules[name])
        return module if modules[name] == f"{package}.{name}" else getattr(module, name)

    def names() -> list[str]:
        return sorted(modules)

    return get, names
