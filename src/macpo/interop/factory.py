"""Environments named `module:factory`, made by any function or class.

The factory is called with keyword arguments and may return an environment of any of five kinds:
our own `Environment` or `HostEnvironment`, or one that a module of `macpo.interop.adapters`
supports. Adapters are found by their location. Each has `TITLE`, `NEEDS` (the attributes that
identify its kind) and `adapt(made, config)`.
"""

import functools
import importlib
import inspect
import pkgutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import ModuleType
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, cast

from macpo.bounds import PositiveInt, check_fields
from macpo.envs.base import Environment
from macpo.envs.host import HostEnvironment
from macpo.errors import UsageError, describe_exception, require
from macpo.field_types import JsonObject, Settings

ForeignEnvironment: TypeAlias = Any
"""What a factory returns: any object, recognised by its class or by its attributes."""
Factory: TypeAlias = Callable[..., ForeignEnvironment]
RGB_ARRAY = "rgb_array"
"""Gymnasium's `render_mode` of environments that return their pictures."""


class Adapter(Protocol):
    """A module of `macpo.interop.adapters`."""

    TITLE: str
    NEEDS: tuple[str, ...]
    """Attributes by which environments of its kind are recognised."""

    def adapt(
        self, made: ForeignEnvironment, config: "FactoryConfig"
    ) -> Environment | HostEnvironment:
        """The environment behind our interface; UsageError if it cannot be adapted."""
        ...


@dataclass(frozen=True)
class FactoryConfig:
    """Settings of an environment made by a factory; `config_class` adds the factory.

    All but `options` apply only to environments that need an adapter.
    """

    name: ClassVar[str]
    """module:factory."""
    factory: ClassVar[Factory]

    options: JsonObject = field(default_factory=dict)
    """Keyword arguments of the factory, as JSON: '{"n": 3, "map_name": "3m"}'."""
    team_reward: Literal["sum", "mean"] = "sum"
    """How to combine the agents' rewards; `mean` if each agent receives the whole team's reward."""
    episode_limit: PositiveInt | None = None
    """Env steps after which episodes are truncated; by default the environment's own limit."""
    truncation_is_terminal: bool | None = None
    """Whether the time limit is a terminal state; by default only in SMAC-style environments."""
    info: tuple[str, ...] | None = None
    """Names of the numbers in `info` to keep; the default depends on the kind of environment."""

    def __post_init__(self) -> None:
        check_fields(self, self.name)

    def __reduce__(self) -> tuple[Callable[..., "FactoryConfig"], tuple[object, ...]]:
        """For pickle, which cannot find a class that is made at run time."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return _rebuild, (self.name, type(self).factory, values)

    def filmed(self) -> "FactoryConfig":
        """The same with `render_mode="rgb_array"`, if the factory takes it and it has none yet."""
        if "render_mode" in self.options or not _takes(type(self).factory, "render_mode"):
            return self
        config = replace(self, options={**self.options, "render_mode": RGB_ARRAY})
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Gymnasium, where it has no such mode
                made = config.make()
        except UsageError:
            return self
        if isinstance(made, HostEnvironment):
            made.close()
        return config

    def make(self) -> Environment | HostEnvironment:
        """Call the factory and adapt the result; UsageError if it fails or its kind is unknown."""
        made = self._call()
        if isinstance(made, Environment | HostEnvironment):
            given = [
                item.name
                for item in fields(self)
                if item.name != "options" and getattr(self, item.name) != item.default
            ]
            require(
                not given,
                f"{self.name} returned a subclass of macpo.Environment or macpo.HostEnvironment, "
                f"which needs no adapter: leave out {', '.join(given)}.",
            )
            return made
        for adapter in adapters().values():
            if all(hasattr(made, attribute) for attribute in adapter.NEEDS):
                return self._adapted(adapter, made)
        raise UsageError(
            f"{self.name} returned {_describe(made)}, which is not an environment of a known kind. "
            "Return a subclass of macpo.Environment (spec, reset, step, observe); or a subclass of "
            "macpo.HostEnvironment (spec, reset, step); "
            f"or {'; or '.join(_needs(adapter) for adapter in adapters().values())}."
        )

    def _adapted(self, adapter: Adapter, made: ForeignEnvironment) -> Environment | HostEnvironment:
        try:
            return adapter.adapt(made, self)
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(
                f"{self.name} returned {adapter.TITLE} that cannot be adapted: "
                f"{describe_exception(error)}."
            ) from error

    def _call(self) -> ForeignEnvironment:
        factory = type(self).factory
        try:
            inspect.signature(factory).bind(**self.options)
        except TypeError as error:
            raise UsageError(
                f"{self.name} takes {signature(factory)}, which does not fit the options "
                f"{self.options}: {error}; give them as JSON, --env.options '{{\"name\": value}}'."
            ) from error
        except ValueError:
            pass  # written in C, without a signature: the call below shows whether they fit
        try:
            return factory(**self.options)
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(
                f"{self.name} raised {describe_exception(error)} when called with the options "
                f"{self.options}."
            ) from error


def config_class(name: str, factory: Factory) -> type[FactoryConfig]:
    """The configuration class of the factory called `name`, module:factory; cached."""
    return _config_class(name, factory)


@functools.cache
def _config_class(name: str, factory: Factory) -> type[FactoryConfig]:
    module, _, attribute = name.partition(":")
    summary = (inspect.getdoc(factory) or "").split("\n")[0].strip() or "An environment."
    namespace = {
        "__module__": module,
        "__qualname__": attribute,
        "__doc__": f"{summary} Made by {name}{signature(factory)}.",
        "name": name,
        "factory": staticmethod(factory),
    }
    return type(attribute.rpartition(".")[2], (FactoryConfig,), namespace)


def _rebuild(name: str, factory: Factory, values: Settings) -> FactoryConfig:
    return config_class(name, factory)(**values)


def _takes(factory: Factory, name: str) -> bool:
    """Whether a factory can be called with a keyword argument of that name."""
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return False
    return name in parameters or any(p.kind == p.VAR_KEYWORD for p in parameters.values())


def signature(factory: Factory) -> str:
    """The parameters of a factory, as Python writes them."""
    try:
        return str(inspect.signature(factory))
    except (TypeError, ValueError):
        return "(…)"


@functools.cache
def adapters() -> Mapping[str, Adapter]:
    """The modules of `macpo.interop.adapters` that adapt a kind of environment, by name."""
    package = importlib.import_module("macpo.interop.adapters")
    modules: dict[str, ModuleType] = {
        module.name: importlib.import_module(f"{package.__name__}.{module.name}")
        for module in pkgutil.iter_modules(package.__path__)
    }
    kinds = {name: module for name, module in modules.items() if hasattr(module, "NEEDS")}
    return cast(Mapping[str, Adapter], kinds)


def _needs(adapter: Adapter) -> str:
    return f"{adapter.TITLE} ({', '.join(adapter.NEEDS)})"


def _describe(made: ForeignEnvironment) -> str:
    if made is None:
        return "None (is a `return` missing?)"
    return f"a {type(made).__module__}.{type(made).__qualname__}"
