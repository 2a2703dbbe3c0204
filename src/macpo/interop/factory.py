"""Environments named `module:factory`: what a function or class of somebody else makes.

The factory is called with keyword arguments and may return an environment of any of five kinds:
our own `Environment` or `HostEnvironment`, or one that a module of `macpo.interop.adapters` knows.
Adapters are found by their place. Each has `TITLE`, `NEEDS` (the attributes by which its kind is
known) and `adapt(made, config)`.
"""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import ModuleType
from typing import Any, ClassVar, Literal

from macpo.envs.base import Environment
from macpo.envs.host import HostEnvironment
from macpo.errors import UsageError, describe_exception, require, require_choice
from macpo.types import Spec


@dataclass(frozen=True)
class FactoryConfig:
    """What an environment made by a factory can be told; `config_class` adds the factory.

    All but `options` is for environments that need an adapter.
    """

    name: ClassVar[str]
    """module:factory."""
    factory: ClassVar[Callable[..., Any]]

    options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the factory, as JSON: '{"n": 3, "map_name": "3m"}'."""
    team_reward: Literal["sum", "mean"] = "sum"
    """How the agents' rewards make one; `mean` where each is paid the same for the team."""
    episode_limit: int | None = None
    """Most env steps in an episode; by default as many as the environment says."""
    truncation_is_terminal: bool | None = None
    """Whether the time limit counts as an end; by default only in SMAC-style environments."""
    info: tuple[str, ...] | None = None
    """Names of the numbers in `info` to keep; by default those the environment is known to have."""

    def __post_init__(self) -> None:
        require_choice(self.name, "team_reward", self.team_reward, Literal["sum", "mean"])
        require(
            self.episode_limit is None or self.episode_limit >= 1,
            f"{self.name}: episode_limit must be at least 1, not {self.episode_limit}.",
        )

    def __reduce__(self) -> Any:
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return _remade, (self.name, type(self).factory, values)  # processes that play it get it so

    def make(self) -> Environment | HostEnvironment:
        """Call the factory and adapt what it returns; UsageError if it fails or is of no kind."""
        made = self._call()
        if isinstance(made, HostEnvironment) or _is_environment(made):
            given = [
                item.name
                for item in fields(self)
                if item.name != "options" and getattr(self, item.name) != item.default
            ]
            require(
                not given,
                f"{self.name} makes an environment of macpo's own kind, which needs no adapter: "
                f"leave out {', '.join(given)}.",
            )
            return made
        for adapter in adapters().values():
            if all(hasattr(made, attribute) for attribute in adapter.NEEDS):
                return self._adapted(adapter, made)
        raise UsageError(
            f"{self.name} returned {_describe(made)}, which is no environment of a known kind. "
            "Return a subclass of macpo.Environment (spec, reset, step, observe); or one of "
            "macpo.HostEnvironment (spec, reset, step); "
            f"or {'; or '.join(_needs(adapter) for adapter in adapters().values())}."
        )

    def _adapted(self, adapter: Any, made: Any) -> Environment | HostEnvironment:
        try:
            return adapter.adapt(made, self)
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(
                f"{self.name} returned {adapter.TITLE} that cannot be read: "
                f"{describe_exception(error)}."
            ) from error

    def _call(self) -> Any:
        factory = type(self).factory
        try:
            inspect.signature(factory).bind(**self.options)
        except TypeError as error:
            raise UsageError(
                f"{self.name} takes {signature(factory)}, which does not fit the options "
                f"{self.options}: {error}; give them as JSON, --env.options '{{\"name\": value}}'."
            ) from error
        except ValueError:
            pass  # written in C, without a signature: the call will tell
        try:
            return factory(**self.options)
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(
                f"{self.name} raised {describe_exception(error)} when called with the options "
                f"{self.options}."
            ) from error


def config_class(name: str, factory: Callable[..., Any]) -> type[FactoryConfig]:
    """The `Config` of a factory known as `name`, module:factory; the same each time."""
    return _config_class(name, factory)


@functools.cache
def _config_class(name: str, factory: Callable[..., Any]) -> type[FactoryConfig]:
    module, _, attribute = name.partition(":")
    about = (inspect.getdoc(factory) or "").split("\n")[0].strip() or "An environment."
    namespace = {
        "__module__": module,
        "__qualname__": attribute,
        "__doc__": f"{about} Made by {name}{signature(factory)}.",
        "name": name,
        "factory": staticmethod(factory),
    }
    return type(attribute.rpartition(".")[2], (FactoryConfig,), namespace)


def _remade(name: str, factory: Callable[..., Any], values: Mapping[str, Any]) -> FactoryConfig:
    return config_class(name, factory)(**values)


def signature(factory: Callable[..., Any]) -> str:
    """The parameters of a factory, as Python writes them."""
    try:
        return str(inspect.signature(factory))
    except (TypeError, ValueError):
        return "(…)"


@functools.cache
def adapters() -> Mapping[str, Any]:
    """Every module of `macpo.interop.adapters` that adapts a kind of environment, by its name."""
    package = importlib.import_module("macpo.interop.adapters")
    modules: dict[str, ModuleType] = {
        module.name: importlib.import_module(f"{package.__name__}.{module.name}")
        for module in pkgutil.iter_modules(package.__path__)
    }
    return {name: module for name, module in modules.items() if hasattr(module, "NEEDS")}


def _is_environment(made: Any) -> bool:
    methods = ("reset", "step", "observe", "encode", "decode")
    return isinstance(getattr(made, "spec", None), Spec) and all(
        callable(getattr(made, method, None)) for method in methods
    )


def _needs(adapter: Any) -> str:
    return f"{adapter.TITLE} ({', '.join(adapter.NEEDS)})"


def _describe(made: Any) -> str:
    if made is None:
        return "None (is a `return` missing?)"
    return f"a {type(made).__module__}.{type(made).__qualname__}"
