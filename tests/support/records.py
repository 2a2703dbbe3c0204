"""Rows of metrics.jsonl, compared."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

Rows = Sequence[Mapping[str, Any]]


def assert_alike(rows: Rows, expected: Rows) -> None:
    """Equal but for the last bits: without optimisation, the compiler adds up in another order in a
    program for one seed than in one for several."""
    assert len(rows) == len(expected)
    for row, other in zip(rows, expected, strict=True):
        assert row.keys() == other.keys()
        for name, value in other.items():
            is_number = isinstance(value, int | float)
            wanted = pytest.approx(value, rel=1e-3, abs=1e-5) if is_number else value
            assert row[name] == wanted, name
