"""The numbers of a report as JSON: every value that is shown, and nothing that JSON lacks."""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

DIGITS = 6
"""Significant ones of a number that was measured."""


def to_json(data: Any) -> str:
    """Dataclasses, tuples and arrays as JSON, on one line; what is not finite is null.

    >>> to_json({"score": np.array([1 / 3, np.nan])})
    '{"score":[0.333333,null]}'
    """
    return json.dumps(_plain(data), separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def _plain(data: Any) -> Any:
    if dataclasses.is_dataclass(data):
        fields = dataclasses.fields(data)
        return {field.name: _plain(getattr(data, field.name)) for field in fields}
    if isinstance(data, np.ndarray):
        return [_plain(item) for item in cast(list[Any], data.tolist())]
    if isinstance(data, Mapping):
        return {str(key): _plain(value) for key, value in cast(Mapping[Any, Any], data).items()}
    if isinstance(data, tuple) and hasattr(data, "_asdict"):
        return _plain(cast(Any, data)._asdict())
    if isinstance(data, list | tuple):
        return [_plain(item) for item in cast(list[Any], data)]
    if isinstance(data, float):
        return float(f"{data:.{DIGITS}g}") if math.isfinite(data) else None
    return data
