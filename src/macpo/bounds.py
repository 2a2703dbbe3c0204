"""Bounds of configuration fields: declared in their types, checked, and shown by --help.

    @dataclass(frozen=True)
    class PER(Weighting):
        alpha: NonNegative = 1.0
        beta: Fraction = 0.0

A `Literal` allows its values; a number, and each in a tuple, must be within the `Bounds` in its
type and within what the compiled program computes with: 32 bits.
"""

import dataclasses
import math
import struct
import types
import typing
from typing import Annotated, Any, NamedTuple, TypeAlias

from macpo.errors import UsageError, shown
from macpo.field_types import Dataclass, TypeHint, conform, field_hints, item_hints

__all__ = [
    "Bounds",
    "Finite",
    "Fraction",
    "NonNegative",
    "NonNegativeInt",
    "Positive",
    "PositiveInt",
    "Seconds",
    "check_bounds",
    "check_fields",
]

MAX_INT = 2**31 - 1
MAX_FLOAT = float.fromhex("0x1.fffffep+127")
SMALLEST_FLOAT = 2.0**-126
"""Processors round smaller ones to 0."""


class Bounds(NamedTuple):
    """An interval; its ends are closed (`at_least`, `at_most`) or open (`above`, `below`).

    Example:
        >>> 0.0 in Bounds(above=0), str(Bounds(at_least=0, at_most=1))
        (False, 'between 0 and 1')
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def __contains__(self, value: object) -> bool:
        """Whether the number is within the interval, in 32 bits too."""
        if isinstance(value, int):
            return abs(value) <= MAX_INT and self.holds(value)
        if not isinstance(value, float) or not abs(value) <= MAX_FLOAT:
            return False
        return self.holds(value) and self.holds(_float32(value))

    def holds(self, value: float) -> bool:
        """Whether the number is within the interval, whatever its size."""
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        """In words: "above 0", "at least 1", "between 0 and 1", "finite" without any end."""
        if self.at_least is not None and self.at_most is not None:
            return f"between {_number(self.at_least)} and {_number(self.at_most)}"
        words = {"at_least": "at least", "above": "above", "at_most": "at most", "below": "below"}
        given = zip(words.values(), self, strict=True)
        ends = [f"{word} {_number(end)}" for word, end in given if end is not None]
        return " and ".join(ends) or "finite"


Finite: TypeAlias = Annotated[float, Bounds()]
"""Any number but infinity and NaN."""
Positive: TypeAlias = Annotated[float, Bounds(above=0)]
"""Above 0."""
NonNegative: TypeAlias = Annotated[float, Bounds(at_least=0)]
"""At least 0."""
Fraction: TypeAlias = Annotated[float, Bounds(at_least=0, at_most=1)]
"""Between 0 and 1, both included."""
PositiveInt: TypeAlias = Annotated[int, Bounds(at_least=1)]
"""At least 1."""
NonNegativeInt: TypeAlias = Annotated[int, Bounds(at_least=0)]
"""At least 0; an integer."""
Seconds: TypeAlias = Annotated[float, Bounds(above=0, at_most=1_000_000)]
"""Waited for at most: operating systems count milliseconds in 31 bits."""


def check_fields(config: Dataclass, owner: str) -> None:
    """Give every field a value of its declared type; UsageError, which names `owner`, if it cannot.

    What the types say is checked: `Bounds`, the values of a `Literal`. Call it in `__post_init__`.

    Example:
        >>> from dataclasses import dataclass
        >>> from macpo.bounds import PositiveInt
        >>> @dataclass(frozen=True)
        ... class Config:
        ...     width: PositiveInt = 64
        ...     def __post_init__(self):
        ...         check_fields(self, "mine")
        >>> Config(width=0)
        Traceback (most recent call last):
        macpo.errors.UsageError: mine: width must be at least 1, not 0.
    """
    hints = field_hints(type(config))
    prefix = f"{owner}: " if owner else ""
    for field in dataclasses.fields(config):
        given = getattr(config, field.name)
        value = checked(given, hints[field.name], f"{prefix}{field.name}")
        if value is not given:
            object.__setattr__(config, field.name, value)  # configurations are frozen


def checked(value: object, hint: TypeHint, name: str) -> Any:  # as the hint says
    """The value as the annotated type, within its bounds; UsageError, which names it, otherwise."""
    number = conform(value, hint, name)
    _require_within(hint, number, value, name)
    return number


def check_bounds(flags: Dataclass, where: str = "") -> None:
    """UsageError if a number in the dataclass, or in one within it, is beyond its field's `Bounds`.

    Like `check_fields`, for flags of which some are no plain data, such as paths: values stay as
    they are. `where` goes before the names of fields in messages.

    Example:
        >>> from dataclasses import dataclass
        >>> from pathlib import Path
        >>> from macpo.bounds import PositiveInt
        >>> @dataclass(frozen=True)
        ... class Flags:
        ...     out: Path
        ...     films: PositiveInt = 1
        >>> check_bounds(Flags(Path("report"), films=0))
        Traceback (most recent call last):
        macpo.errors.UsageError: films must be at least 1, not 0.
    """
    hints = field_hints(type(flags))
    for field in dataclasses.fields(flags):
        value, name = getattr(flags, field.name), f"{where}{field.name}"
        _require_within(hints[field.name], value, value, name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            check_bounds(value, f"{name}.")


def _require_within(hint: TypeHint, number: object, given: object, name: str) -> None:
    """UsageError unless the number, or each in a tuple, is within the bounds of its type."""
    bounds = bounds_of(hint)
    if bounds and isinstance(number, int | float) and number not in bounds:
        raise UsageError(f"{name} must be {_allowed(number, bounds)}, not {shown(given)}.")
    for option in _options(hint):
        if isinstance(number, tuple) and typing.get_origin(option) is tuple:
            for item, of_item in zip(number, item_hints(option, len(number)), strict=False):
                _require_within(of_item, item, item, name)


def _allowed(value: float, bounds: Bounds) -> str:
    """The bound that the value breaks, in words."""
    if isinstance(value, float) and not math.isfinite(value):
        has_ends = bounds.at_least is not None and bounds.at_most is not None
        return str(bounds) if has_ends or bounds == Bounds() else f"{bounds} and finite"
    largest = MAX_INT if isinstance(value, int) else MAX_FLOAT
    if abs(value) > largest:
        return f"at most {_number(largest)}" if value > 0 else f"at least {_number(-largest)}"
    if isinstance(value, int):
        return str(bounds)
    rounded = f" after rounding to 32 bits, here {_float32(value):g}"
    return f"{bounds}{rounded if bounds.holds(value) else ''}"


def bounds_of(hint: TypeHint) -> Bounds | None:
    """The bounds in an annotation, `X | None` included."""
    for option in _options(hint):
        for extra in getattr(option, "__metadata__", ()):
            if isinstance(extra, Bounds):
                return extra
    return None


def _options(hint: TypeHint) -> tuple[TypeHint, ...]:
    """The members of a union, or the type itself."""
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if is_union else (hint,)


def _float32(value: float) -> float:
    """The number that the compiled program computes with."""
    if abs(value) < SMALLEST_FLOAT:
        return 0.0
    return struct.unpack("f", struct.pack("f", value))[0]


def _number(end: float) -> str:
    return f"{end:,}" if isinstance(end, int) else f"{end:g}"
