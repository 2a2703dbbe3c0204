"""Bounds of configuration fields: declared in their types, checked, and shown by --help.

    @dataclass(frozen=True)
    class PER(Weighting):
        alpha: NonNegative = 1.0
        beta: Fraction = 0.0

A `Literal` allows its values; a number must be finite and within the `Bounds` in its type.
"""

import dataclasses
import math
import types
import typing
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from macpo.errors import require


class Bounds(NamedTuple):
    """An interval; its ends are closed (`at_least`, `at_most`) or open (`above`, `below`)."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def __contains__(self, value: object) -> bool:
        return (
            isinstance(value, int | float)
            and math.isfinite(value)
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        """In words: "above 0", "at least 1", "between 0 and 1"."""
        if self.at_least is not None and self.at_most is not None:
            return f"between {self.at_least:g} and {self.at_most:g}"
        words = {"at_least": "at least", "above": "above", "at_most": "at most", "below": "below"}
        given = zip(words.values(), self, strict=True)
        return " and ".join(f"{word} {end:g}" for word, end in given if end is not None)


Positive: TypeAlias = Annotated[float, Bounds(above=0)]
NonNegative: TypeAlias = Annotated[float, Bounds(at_least=0)]
Fraction: TypeAlias = Annotated[float, Bounds(at_least=0, at_most=1)]
PositiveInt: TypeAlias = Annotated[int, Bounds(at_least=1)]
NonNegativeInt: TypeAlias = Annotated[int, Bounds(at_least=0)]


def check_fields(config: Any, owner: str) -> None:
    """Raise a `UsageError` that names `owner` unless every field has a value its type allows.

    Fields that are None, or whose type has neither `Bounds` nor a `Literal`, are not checked.
    """
    hints = typing.get_type_hints(type(config), include_extras=True)
    prefix = f"{owner}: " if owner else ""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value is None:
            continue
        if choices := choices_of(hints[field.name]):
            listed = ", ".join(map(repr, choices))
            message = f"{prefix}{field.name} must be one of {listed}, not {value!r}."
            require(value in choices, message)
        if bounds := bounds_of(hints[field.name]):
            message = f"{prefix}{field.name} must be {bounds}, not {value!r}."
            require(value in bounds, message)


def bounds_of(hint: Any) -> Bounds | None:
    """The bounds in an annotation, `X | None` included."""
    for option in _options(hint):
        for extra in getattr(option, "__metadata__", ()):
            if isinstance(extra, Bounds):
                return extra
    return None


def choices_of(hint: Any) -> tuple[Any, ...]:
    """The values of a `Literal`, `Literal[…] | None` included; none for other types."""
    for option in _options(hint):
        if typing.get_origin(option) is Literal:
            return typing.get_args(option)
    return ()


def _options(hint: Any) -> tuple[Any, ...]:
    """The members of a union, or the type itself."""
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if is_union else (hint,)
