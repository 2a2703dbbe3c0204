"""The numbers of a report as JSON: every value that is shown, and nothing that JSON lacks."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
from jaxtyping import Float

from macpo.field_types import Json, Unchecked

DIGITS = 6
"""Significant ones of a number that was measured."""


def to_json(data: object) -> str:
    """Dataclasses, tuples and arrays as JSON, on one line; what is not finite is null.

    >>> to_json({"score": np.array([1 / 3, np.nan])})
    '{"score":[0.333333,null]}'
    """
    return json.dumps(_plain(data), separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def _plain(data: Unchecked) -> Json:
    if dataclasses.is_dataclass(data):
        fields = dataclasses.fields(data)
        return {field.name: _plain(getattr(data, field.name)) for field in fields}
    if isinstance(data, np.ndarray):
        return _numbers(data) if data.dtype == np.float64 else _plain(data.tolist())
    if isinstance(data, Mapping):
        return {
            str(key): _plain(value) for key, value in cast(Mapping[object, object], data).items()
        }
    if isinstance(data, tuple) and hasattr(data, "_asdict"):
        return _plain(cast(Unchecked, data)._asdict())
    if isinstance(data, list | tuple):
        items = cast(Sequence[object], data)
        return [_number(item) if type(item) is float else _plain(item) for item in items]
    return _number(data) if isinstance(data, float) else data


def _number(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


_POWERS = np.array([10.0**places for places in range(23)])
"""Those that are exact, so that a quotient is the number that its decimal stands for."""
# a power less at either end, since a logarithm may be rounded up or down to a whole number
_SMALLEST, _LARGEST = 10.0 ** (DIGITS + 1 - len(_POWERS)), 10.0 ** (DIGITS - 1)


def _numbers(x: Float[np.ndarray, "..."]) -> list[Json]:
    """`_number` of each, a tenth of the time; a tie may go the other way."""
    size, flat = np.abs(x).ravel(), x.ravel()
    usual = (size >= _SMALLEST) & (size < _LARGEST)
    power = _POWERS[DIGITS - 1 - np.floor(np.log10(size[usual])).astype(int)]
    found = np.empty(flat.shape, object)
    found[usual] = np.rint(flat[usual] * power) / power
    found[~usual] = [_number(value) for value in flat[~usual].tolist()]
    return found.reshape(x.shape).tolist()
