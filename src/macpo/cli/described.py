"""What plug-ins and presets say of themselves, read in their source: importing it imports JAX."""

import ast
import importlib
import importlib.metadata
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import macpo
from macpo import registry
from macpo.field_types import Settings


class Described(NamedTuple):
    """A plug-in or a preset."""

    summary: str
    """The first line of its docstring."""
    about: Settings
    """An algorithm's `About` by field, without what is left to its defaults; else empty."""


def described_plugins(kind: registry.Kind) -> Mapping[str, Described]:
    """All plug-ins of one kind by name; those of other distributions are imported.

    >>> described_plugins("algorithms")["vdn"].about["mixer"]
    'sum'
    """
    package = importlib.import_module(f"macpo.{kind}")
    found: dict[str, Described] = {}
    for module in pkgutil.iter_modules(package.__path__):
        config = _config(f"{package.__name__}.{module.name}")
        if config is not None:
            found[registry.canonical(module.name)] = _described(config)
    if importlib.metadata.entry_points(group=f"macpo.{kind}"):
        for name, plugin in registry.discover(kind).items():
            about = getattr(plugin, "about", None)
            found.setdefault(
                name,
                Described(registry.summary(plugin), {} if about is None else about._asdict()),
            )
    return dict(sorted(found.items()))


def described_presets() -> Mapping[str, Described]:
    """All presets by name: the functions of an experiment alone in `macpo.presets`."""
    functions = (node for node in _tree("macpo.presets").body if isinstance(node, ast.FunctionDef))
    return {
        registry.canonical(node.name): _described(node)
        for node in sorted(functions, key=lambda node: node.name)
        if [argument.arg for argument in node.args.args] == ["experiment"]
    }


def _tree(module: str) -> ast.Module:
    """The source of a module of macpo; to look for its spec would import the packages around it."""
    file = Path(macpo.__file__).parent.joinpath(*module.split(".")[1:])
    source = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
    return ast.parse(source.read_text(encoding="utf-8"))


def _config(module: str) -> ast.ClassDef | None:
    """The dataclass that a module calls `Config`, there or where it imports it from."""
    tree, name = _tree(module), "Config"
    # a package of lazy names imports them for type checkers alone
    choices = [node for node in tree.body if isinstance(node, ast.If)]
    for node in [*tree.body, *(node for choice in choices for node in choice.body)]:
        if isinstance(node, ast.ImportFrom) and "Config" in (alias.name for alias in node.names):
            return None if node.module is None else _config(node.module)
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
            is_alias = "Config" in (getattr(target, "id", None) for target in node.targets)
            name = node.value.id if is_alias else name
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    return next((node for node in classes if node.name == name and node.decorator_list), None)


def _described(node: ast.ClassDef | ast.FunctionDef) -> Described:
    docstring = ast.get_docstring(node) or ""
    return Described(docstring.split("\n")[0], dict(_about(node)))


def _about(node: ast.ClassDef | ast.FunctionDef) -> Iterator[tuple[str, object]]:
    for part in node.body:
        match part:
            case ast.AnnAssign(target=ast.Name(id="about"), value=ast.Call(keywords=keywords)):
                for keyword in keywords:
                    yield str(keyword.arg), ast.literal_eval(keyword.value)
            case _:
                pass
