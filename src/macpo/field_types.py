"""Values of settings as their fields declare them, and only such as a JSON file can give back.

Lists become tuples where a tuple is meant, whole numbers floats and whole floats integers, arrays
and numbers of NumPy or JAX plain ones. What is read from a file, typed on the command line or
written in Python is then the same value.
"""

import dataclasses
import functools
import inspect
import json
import types
import typing
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeAlias, TypeVar, cast

from macpo.errors import UsageError, describe_exception, nearest, require, shortened, shown

Settings: TypeAlias = Mapping[str, Any]
"""Values of several types by the names of their fields: a configuration, or a file of one."""
Json: TypeAlias = Any
"""What JSON may hold: null, true, false, a number, text, or a list or an object of such. Which of
them a file holds is known once it has been looked at."""
JsonObject: TypeAlias = dict[str, Json]
"""An object of JSON, with what belongs to each name."""
Unchecked: TypeAlias = Any
"""A value as a user or another's code has given it: of any type, until it is checked."""
TypeHint: TypeAlias = Any
"""The annotation of a value. `typing` has no type for all of them: `int | None`, `Annotated[…]`."""

YOUNGER = "younger than digests"
"""In a field's type, `Annotated[str, YOUNGER]`: where the setting has its default, digests leave it
out, since they are older than it is."""
MAX_DEPTH = 32
"""Of lists and objects within each other."""
MAX_INTEGER = 2**64
"""Larger integers are beyond what other readers of JSON and NumPy hold."""


class Dataclass(Protocol):
    """An object of a dataclass, whichever it is."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]  # fields of any type


_Config = TypeVar("_Config", bound=Dataclass)
_SCALARS: Mapping[TypeHint, tuple[str, str]] = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    bool: ("true or false", "true or false"),
    str: ("text", "text"),
    type(None): ("none", "none"),
}
"""One and several, in words."""


@functools.lru_cache(maxsize=1_000)
def field_hints(cls: type[object]) -> Mapping[str, TypeHint]:
    """The annotations of a dataclass's fields, with `Annotated`; UsageError if one has no value."""
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except Exception as error:
        raise UsageError(
            f"the types of {cls.__qualname__}'s fields cannot be read: {describe_exception(error)};"
            " import what they name where the module is imported."
        ) from error


def settings(config: Dataclass) -> JsonObject:
    """The values of a configuration that its constructor takes, by name, as plain data."""
    plain = dataclasses.asdict(config)
    return {field.name: plain[field.name] for field in dataclasses.fields(config) if field.init}


def build(cls: type[_Config], values: Settings, where: str) -> _Config:
    """A configuration from plain data; `where` it belongs is for messages.

    Raises UsageError for unknown settings and for values of a wrong type.
    """
    hints, fields = field_hints(cls), dataclasses.fields(cls)
    known = {field.name for field in fields if field.init}
    for name in values:
        if name not in known:
            raise UsageError(
                f"unknown setting {where}.{shortened(name)}; {nearest(name, known)} "
                f"Known: {', '.join(sorted(known))}."
            )
    missing = [f.name for f in fields if _is_required(f) and f.name not in values]
    require(not missing, f"{where} needs a value for {', '.join(missing)}.")
    return cls(**{name: conform(v, hints[name], f"{where}.{name}") for name, v in values.items()})


def conformed(config: _Config, where: str) -> _Config:
    """The configuration with every value of the type that its field declares, as it is read back.

    Raises UsageError for values of another type and for those that a file cannot hold.
    """
    hints, changed = field_hints(type(config)), JsonObject()
    for name in _constructor_fields(config):
        old = getattr(config, name)
        new = conform(old, hints[name], f"{where}.{name}")
        if dataclasses.is_dataclass(new) and type(new) not in _options(hints[name]):
            raise UsageError(f"{where}.{name} is {shown(new)}, whose class a file would not tell.")
        if new is not old:
            changed[name] = new
    whole = dataclasses.replace(config, **changed) if changed else config
    written = json.dumps(settings(whole))
    again = build(type(config), json.loads(written), where)
    if json.dumps(settings(again)) != written:
        raise UsageError(
            f"{where}: a file would give other values back: {shown(settings(again))} for "
            f"{shown(settings(whole))}."
        )
    return whole


def conform(value: Unchecked, hint: TypeHint, where: str) -> Any:  # as the hint says
    """The value as the annotated type; UsageError, which names `where`, if it is of another."""
    if type(value) is hint and hint in _SCALARS:  # most are; the rest takes ten times as long
        return value
    if hasattr(value, "tolist"):  # NumPy's and JAX's
        value = value.tolist()
    kind, args = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind is Annotated:
        return conform(value, args[0], where)
    if kind in (typing.Union, types.UnionType):
        for option in args:
            with suppress(UsageError):
                return conform(value, option, where)
    elif kind is Literal:
        for choice in args:
            if type(choice) is type(value) and choice == value:
                return choice
    elif kind in (tuple, list):
        if isinstance(value, list | tuple):
            return _sequence(cast(Sequence[object], value), hint, where)
    elif dataclasses.is_dataclass(kind):
        if type(value) is kind:
            return conformed(value, where)
        if isinstance(value, cast(type[object], kind)):
            return value
        if isinstance(value, Mapping) and not inspect.isabstract(kind):
            return build(cast(type[Dataclass], kind), cast(Settings, value), where)
    elif kind in _SCALARS:
        if (same := _scalar(value, kind)) is not None or kind is type(None) is type(value):
            return same
    elif kind is not dict or isinstance(value, Mapping):
        return plain(value, where)
    raise UsageError(f"{where} must be {in_words(hint)}, not {shown(value)}.")


def _scalar(value: object, kind: TypeHint) -> bool | int | float | str | None:
    """The value as a plain one of this kind; None if it is none."""
    is_bool = isinstance(value, bool)  # True is an int to Python, not to users
    if kind is bool and is_bool:
        return value
    if kind is str and isinstance(value, str):
        return str.__str__(value)
    if kind is int and not is_bool and isinstance(value, int | float):
        is_whole = isinstance(value, int) or value.is_integer()
        return int(value) if is_whole else None
    if kind is float and not is_bool and isinstance(value, int | float):
        with suppress(OverflowError):
            return float(value)
    return None


def plain(value: Unchecked, where: str, depth: int = 0) -> Json:
    """The value as JSON holds it: lists for tuples and arrays, objects with names as keys.

    Raises UsageError, which names `where`, for anything else.
    """
    require(depth <= MAX_DEPTH, f"{where} is nested more than {MAX_DEPTH} deep.")
    if hasattr(value, "tolist"):  # NumPy's and JAX's
        value = value.tolist()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        require(abs(value) < MAX_INTEGER, f"{where} holds {shown(value)}, beyond 64 bits.")
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, list | tuple):
        items = cast(list[Unchecked], list(value))  # pyright: ignore[reportUnknownArgumentType]
        return [plain(item, where, depth + 1) for item in items]
    if isinstance(value, Mapping):
        entries = cast(Mapping[Unchecked, Unchecked], value)
        for key in entries:
            require(
                isinstance(key, str),
                f"{where} has the key {shown(key)}; keys must be text, as in JSON.",
            )
        return {str.__str__(k): plain(v, where, depth + 1) for k, v in entries.items()}
    raise UsageError(
        f"{where} holds {shown(value)}, which a file cannot hold; give numbers, text, true, false, "
        "none, lists and objects."
    )


def in_words(hint: TypeHint, *, several: bool = False) -> str:
    """What a type allows, as users say it: "a whole number", "a list of numbers"."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return in_words(args[0], several=several)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(in_words(option, several=several) for option in args)
    if origin is Literal:
        return "one of " + ", ".join(map(repr, args))
    if (origin or hint) in (tuple, list):
        lists = "lists" if several else "a list"
        if not args:
            return lists
        count = f"{len(args)} " if origin is tuple and args[1:] != (...,) else ""
        return f"{lists} of {count}{in_words(args[0], several=True)}"
    if (origin or hint) is dict or dataclasses.is_dataclass(hint):
        return "objects" if several else "an object"
    return _SCALARS.get(hint, ("plain data", "plain data"))[several]


def item_hints(hint: TypeHint, n: int) -> tuple[TypeHint, ...]:
    """The types of the n items of a list or tuple of this type; those of a tuple may be fewer."""
    kind, args = typing.get_origin(hint) or hint, typing.get_args(hint)
    return args[:1] * n if kind is list or args[1:] == (...,) else args


def _sequence(value: Sequence[object], hint: TypeHint, where: str) -> Sequence[object]:
    """The list or tuple with each item as its type says."""
    kind, hints = typing.get_origin(hint) or hint, item_hints(hint, len(value))
    message = f"{where} must be {in_words(hint)}, not {shown(value)}."
    if not typing.get_args(hint):
        return kind(plain(value, where))
    require(len(value) == len(hints), message)
    try:
        items = [conform(item, each, where) for item, each in zip(value, hints, strict=True)]
    except UsageError as error:
        raise UsageError(message) from error
    unchanged = all(new is old for new, old in zip(items, value, strict=True))
    return value if unchanged and type(value) is kind else kind(items)


def _constructor_fields(config: Dataclass) -> list[str]:
    return [field.name for field in dataclasses.fields(config) if field.init]


def _options(hint: TypeHint) -> tuple[TypeHint, ...]:
    """The members of a union, or the type itself."""
    return typing.get_args(hint) or (hint,)


def _is_required(field: "dataclasses.Field[object]") -> bool:
    no_default = field.default is dataclasses.MISSING
    return field.init and no_default and field.default_factory is dataclasses.MISSING
