"""Plug-ins, found by their place: no list to edit.

Every module of `macpo.envs`, `macpo.algorithms` and `macpo.weighting` in which `Config` is a frozen
dataclass is a plug-in, named after the module (`predator_prey` and `predator-prey` are the same
name). Other distributions add theirs through the entry-point groups `macpo.envs`,
`macpo.algorithms` and `macpo.weighting`, each entry naming a class. Anything importable can also be
named directly: `my_package.my_module:MyWeighting`. For an environment this may be a function that
makes it (see `macpo.interop.factory`). Such a name is for users to type: whoever can have one
imported can run any code, so names in files are checked first (`macpo.experiment.from_dict`).
"""

import dataclasses
import functools
import importlib
import importlib.metadata
import inspect
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from macpo.errors import UsageError, describe_exception, nearest, require, shortened, shown
from macpo.field_types import Settings, Unchecked, build

Kind: TypeAlias = Literal["envs", "algorithms", "weighting"]
Plugin: TypeAlias = Any
"""A plug-in's configuration, an object of a dataclass: which one depends on a name."""
NOUN: Mapping[Kind, str] = {
    "envs": "environment",
    "algorithms": "algorithm",
    "weighting": "weighting",
}
"""What users call a plug-in of each kind."""


@functools.cache
def discover(kind: Kind) -> Mapping[str, type[Plugin]]:
    """All plug-ins of one kind: name → its `Config`."""
    found = {name: _found(kind, name) for name in sorted(_places(kind))}
    return MappingProxyType({name: config for name, config in found.items() if config is not None})


@functools.cache
def _places(kind: Kind) -> Mapping[str, str | importlib.metadata.EntryPoint]:
    """Where each plug-in is, if it is one: name → a module's name or an entry point."""
    package = importlib.import_module(f"macpo.{kind}")
    modules = [module.name for module in pkgutil.iter_modules(package.__path__)]
    entries = importlib.metadata.entry_points(group=f"macpo.{kind}")
    return {
        **{canonical(name): f"macpo.{kind}.{name}" for name in modules},
        **{canonical(entry.name): entry for entry in entries},
    }


@functools.cache
def _found(kind: Kind, name: str) -> type[Plugin] | None:
    """The plug-in called `name`; nothing else is imported. None if there is none."""
    place = _places(kind).get(name)
    if isinstance(place, importlib.metadata.EntryPoint):
        return _plugin(kind, place.value, _loaded(kind, place))
    module = None if place is None else importlib.import_module(place)
    # where names are lazy, what fails when this one is imported must not pass for its absence
    config = getattr(module, "Config") if "Config" in dir(module) else None  # noqa: B009
    return config if inspect.isclass(config) and dataclasses.is_dataclass(config) else None


def forget() -> None:
    """Search for plug-ins again at the next lookup: a package may have been installed."""
    for cached in (discover, _places, _found):
        cached.cache_clear()


def _loaded(kind: Kind, entry: importlib.metadata.EntryPoint) -> Unchecked:
    try:
        return entry.load()
    except Exception as error:
        raise UsageError(
            f"the installed {NOUN[kind]} {entry.name!r} ({entry.value}) cannot be imported: "
            f"{describe_exception(error)}; mend its package or uninstall it."
        ) from error


def config_class(kind: Kind, name: str) -> type[Plugin]:
    """The `Config` called `name`; UsageError with the nearest match if there is none."""
    if is_import_path(name):
        return _imported(kind, name)
    found = _found(kind, canonical(name))
    if found is not None:
        return found
    plugins = discover(kind)
    raise UsageError(
        f"unknown {NOUN[kind]} {shown(name)}; {nearest(canonical(name), plugins)} "
        f"Known: {', '.join(plugins)}."
    )


def config_of_section(kind: Kind, section: Settings, where: str) -> Plugin:
    """The configuration that a section of an experiment describes, by its name and its values.

    What the name says is imported. Raises UsageError; `where` it belongs is for messages.
    """
    values = {key: value for key, value in section.items() if key != "name"}
    return build(config_class(kind, section["name"]), values, where)


def is_import_path(name: str) -> bool:
    """Whether the name is module:attribute, to be imported, rather than a registered one."""
    return ":" in name


def make_config(kind: Kind, name: str, **options: object) -> Plugin:
    """The configured plug-in; UsageError for an option it does not have."""
    cls = config_class(kind, name)
    known = [f.name for f in dataclasses.fields(cls)]
    for option in options:
        if option not in known:
            raise UsageError(
                f"{NOUN[kind]} {canonical(name)!r} has no option {shown(option)}; "
                f"{nearest(option, known)} Options: {', '.join(known)}."
            )
    return cls(**options)


def make_env(name: str, **options: object) -> Any:  # an Environment or a HostEnvironment
    """The environment called `name` (see `macpo list environments`), or made by module:factory.

    It is an `Environment` or a `HostEnvironment`; which one depends on the name.

    Raises UsageError for a name or an option that does not exist.

    >>> make_env("predator-prey", punishment=-2).spec.n_agents
    8
    """
    return make_config("envs", name, **options).make()


def name_of(config: object) -> str:
    """The name under which the registry knows this configuration."""
    for kind in NOUN:
        for name, cls in discover(kind).items():
            if cls is type(config):
                return name
    cls = type(config)
    return f"{cls.__module__}:{cls.__qualname__}"


def check_lasting_name(kind: Kind, config: Plugin) -> None:
    """UsageError unless a file can name the configuration's class, so that a run can be resumed."""
    cls, noun, name = type(config), NOUN[kind], name_of(config)
    require(
        "<locals>" not in cls.__qualname__,
        f"the {noun} {cls.__qualname__} is defined inside a function, where no file can name it; "
        "define it at the top of a module.",
    )
    if cls not in discover(kind).values():
        for other in NOUN:
            is_other = cls in discover(other).values()
            require(not is_other, f"the {noun} cannot be the {NOUN[other]} {name}.")
    require(
        config_class(kind, name) is cls,
        f"the {noun} is of a class that {name} no longer names; make it anew from that class.",
    )
    require(
        all(field.name != "name" for field in dataclasses.fields(config)),
        f"the {noun} {name} has a setting called 'name', which is its own name in experiment.json; "
        "rename the setting.",
    )


def import_object(name: str, noun: str, form: str) -> Unchecked:
    """What `module:attribute` names, whose type depends on the name.

    Raises UsageError, which calls it a `noun` and tells the `form` of its name.
    """
    module, _, attribute = name.partition(":")
    try:
        return functools.reduce(getattr, attribute.split("."), importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        advice = (
            "a script that is run has this name only in its own process: put what it defines into "
            "a module, and import it from there."
            if module == "__main__"
            else f"give it as {form}, with the module in the current folder or its folder on "
            "PYTHONPATH."
        )
        raise UsageError(
            f"cannot import the {noun} {shown(name)}: {shortened(str(error))}; {advice}"
        ) from error
    except (Exception, SystemExit) as error:  # a script may end itself
        raise UsageError(
            f"cannot import the {noun} {shown(name)}: its module raised "
            f"{describe_exception(error)}."
        ) from error


def _imported(kind: Kind, name: str) -> type[Plugin]:
    form = f"module:Config{' or module:factory' if kind == 'envs' else ''}"
    return _plugin(kind, name, import_object(name, NOUN[kind], form))


def _plugin(kind: Kind, name: str, found: Unchecked) -> type[Plugin]:
    """The class of a plug-in: `found` itself, or one for an environment's factory."""
    is_class = inspect.isclass(found) and dataclasses.is_dataclass(found)
    if kind == "weighting":
        from macpo.weighting.weighting import Weighting

        if is_class and issubclass(found, Weighting) and not inspect.isabstract(found):
            return found
        raise UsageError(
            f"{shown(name)} is not a weighting: expected a frozen dataclass that inherits from "
            "macpo.weighting.Weighting and has a method factors()."
        )
    if is_class and hasattr(found, "make"):
        return found
    if kind == "envs":
        if callable(found):
            from macpo.interop import factory

            return factory.config_class(name, found)
        raise UsageError(
            f"{shown(name)} is not an environment, but {shown(found)}: expected a frozen dataclass "
            "with a method make(), or a function that makes an environment."
        )
    raise UsageError(
        f"{shown(name)} is not an {NOUN[kind]}: expected a frozen dataclass with a method make()."
    )


def module_name(config: object) -> str:
    """The name under which a plug-in's module is found: its last part, with hyphens."""
    return canonical(type(config).__module__.rpartition(".")[2])


def summary(config: type[object]) -> str:
    """The first line of a plug-in's docstring."""
    return inspect.getdoc(config).split("\n")[0]  # pyright: ignore[reportOptionalMemberAccess]


def canonical(name: str) -> str:
    """Hyphens and lower case."""
    return name.strip().lower().replace("_", "-")
