"""From flags to typed values: what tyro gets to know of settings, their bounds and their help."""

import dataclasses
import io
import json
import sys
import types
import typing
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from functools import partial
from typing import Annotated, Any, TypeAlias, TypeVar

import tyro
import tyro.constructors

from macpo import registry
from macpo.bounds import bounds_of, check_bounds
from macpo.errors import MAX_SHOWN, require, shortened, shown
from macpo.field_types import JsonObject, TypeHint
from macpo.runs.files import parse_json

Flags = TypeVar("Flags")
Trust: TypeAlias = Annotated[
    bool,
    tyro.conf.FlagCreatePairsOff,
    tyro.conf.arg(
        help="Import what the run's own files name, although it is not registered here; only for "
        "files whose author you trust."
    ),
]
Best: TypeAlias = Annotated[
    bool,
    tyro.conf.FlagCreatePairsOff,
    tyro.conf.arg(
        help="Use the parameters of each seed's best evaluation, which a run keeps at its end, in "
        "place of the last ones."
    ),
]

MAX_MESSAGE = 2_000
"""Characters of a message about flags; a longer one repeats a long word."""


Parsed: TypeAlias = Any
"""Flags as parsed: an object of a dataclass, which may be made for the plug-ins there are."""


def parse(what: type[Parsed], arguments: list[str], name: str, description: str) -> Parsed:
    """The flags as `what`, a dataclass, within the bounds that its types declare."""
    flags = _read(what, arguments, name, description)
    check_bounds(flags)
    return flags


def _read(what: type[Parsed], arguments: list[str], name: str, description: str) -> Parsed:
    for word in arguments:
        # tyro would take it for the beginning of every flag, and explain them all
        require(word.strip("-") != "" or len(word) < 3, f"{shown(word)} is no flag of {name}.")
    read = partial(tyro.cli, what, prog=name, description=description, registry=_constructors)
    if all(len(word) <= MAX_SHOWN for word in arguments):
        return read(args=arguments)
    message = io.StringIO()
    try:
        with redirect_stderr(message):
            return read(args=arguments)
    except SystemExit as stop:
        if stop.code != 2 or len(message.getvalue()) <= MAX_MESSAGE:
            sys.stderr.write(message.getvalue())
            raise
    # tyro's message repeats a long word whole; cut, the word is refused as well
    return read(args=[shortened(word) for word in arguments])


def flags_of(config: object) -> TypeHint:
    """The type of a configuration, explained by its summary: an example is no help for flags."""
    return Annotated[type(config), tyro.conf.arg(help=registry.summary(type(config)))]


_constructors = tyro.constructors.ConstructorRegistry()


_FLAGS: Mapping[str, str] = {"from_file": "from"}
"""Flags that Python could not call a field by their names: field → flag."""


@_constructors.struct_rule
def _with_bounds(
    info: tyro.constructors.StructTypeInfo,
) -> tyro.constructors.StructConstructorSpec | None:
    """The help of a dataclass's field ends with its bounds: "(default: 0.99; between 0 and 1)".

    Lines of its docstring are joined, and some fields have flags of other names (`_FLAGS`).
    """
    if _with_bounds in info.markers or not dataclasses.is_dataclass(info.type):
        return None
    info = dataclasses.replace(info, markers=(*info.markers, _with_bounds))  # not this rule again
    spec = _constructors.get_struct_spec(info)
    if not isinstance(spec, tyro.constructors.StructConstructorSpec):
        return None

    def bounded(option: tyro.constructors.StructFieldSpec) -> tyro.constructors.StructFieldSpec:
        option = dataclasses.replace(option, helptext=partial(_joined, option.helptext))
        bounds = bounds_of(option.type)
        if bounds is None:
            name = _FLAGS.get(option.name)
            if name is None:
                return option
            named: TypeHint = Annotated[option.type, tyro.conf.arg(name=name)]
            return dataclasses.replace(option, type=named)
        hint = tyro.conf.arg(help_behavior_hint=lambda default: f"(default: {default}; {bounds})")
        annotated: TypeHint = Annotated[option.type, hint]
        return dataclasses.replace(option, type=annotated)

    return dataclasses.replace(spec, fields=tuple(map(bounded, spec.fields)))


def _joined(text: str | Callable[[], str | None] | None) -> str | None:
    """The lines of a help text as one: tyro keeps the breaks before lines that are indented."""
    found = text() if callable(text) else text
    return None if found is None else " ".join(found.split())


@_constructors.primitive_rule
def _from_json(
    about: tyro.constructors.PrimitiveTypeInfo,
) -> tyro.constructors.PrimitiveConstructorSpec[JsonObject] | None:
    """Dictionaries are given as JSON."""
    if typing.get_origin(about.type) is not dict:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="JSON",
        instance_from_str=lambda words: _dictionary(words[0]),
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=lambda value: [json.dumps(value)],
    )


@_constructors.primitive_rule
def _number_or_none(
    about: tyro.constructors.PrimitiveTypeInfo,
) -> tyro.constructors.PrimitiveConstructorSpec[int | float | None] | None:
    """A number that may be None; of a union, tyro's message would tell every Python type in it."""
    if typing.get_origin(about.type) not in (typing.Union, types.UnionType):
        return None
    given = [option for option in typing.get_args(about.type) if option is not type(None)]
    kind: TypeHint = given[0]
    if typing.get_origin(kind) is Annotated:
        kind = typing.get_args(kind)[0]
    if len(given) > 1 or kind not in (int, float):
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=f"{kind.__name__.upper()}|None",
        instance_from_str=lambda words: None if words[0] == "None" else kind(words[0]),
        is_instance=lambda value: value is None or isinstance(value, int | float),
        str_from_instance=lambda value: [str(value)],
    )


def _dictionary(text: str) -> JsonObject:
    try:
        value = parse_json(text)
    except ValueError as error:
        raise ValueError(f"{shown(text)} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{shown(text)} is not a JSON object; expected '{{\"name\": value, …}}'")
    return value
