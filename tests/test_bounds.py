import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from macpo.bounds import (
    Bounds,
    Finite,
    Fraction,
    NonNegative,
    Positive,
    PositiveInt,
    bounds_of,
    check_bounds,
    check_fields,
    checked,
)
from macpo.errors import UsageError


@dataclass(frozen=True)
class Config:
    rate: Positive = 0.1
    weight: NonNegative = 0.0
    share: Fraction = 0.5
    count: PositiveInt = 1
    angle: Annotated[float, Bounds(at_least=-90, below=90)] = 0.0
    limit: PositiveInt | None = None
    order: Literal["first", "last"] = "first"
    anything: float = 0.0
    size: Finite = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "example")


def test_values_at_closed_ends_are_allowed():
    Config(weight=0, share=0, count=1, angle=-90)
    Config(share=1.0)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("rate", 0, "example: rate must be above 0, not 0."),
        ("weight", -1e-9, "example: weight must be at least 0, not -1e-09."),
        ("share", 1.5, "example: share must be between 0 and 1, not 1.5."),
        ("count", 0, "example: count must be at least 1, not 0."),
        ("angle", 90, "example: angle must be at least -90 and below 90, not 90."),
        ("limit", 0, "example: limit must be at least 1, not 0."),
        ("order", "best", "example: order must be one of 'first', 'last', not 'best'."),
    ],
)
def test_a_value_outside_is_refused_in_one_sentence(field: str, value: Any, message: str):
    with pytest.raises(UsageError) as refused:
        Config(**{field: value})
    assert str(refused.value) == message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_with_bounds_must_be_finite(value: float):
    with pytest.raises(UsageError, match="rate must be above 0 and finite, not"):
        Config(rate=value)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("count", 2**31, "count must be at most 2,147,483,647, not 2147483648."),
        ("count", 10**400, "count must be at most 2,147,483,647, not 1000"),
        ("count", -(10**10), "count must be at least -2,147,483,647, not -10000000000."),
        ("rate", 1e308, "rate must be at most 3.40282e+38, not 1e+308."),
        ("rate", 10**400, "rate must be a number, not 1000"),
        ("rate", 1e-60, "rate must be above 0 after rounding to 32 bits, here 0, not 1e-60."),
        ("size", float("-inf"), "size must be finite, not -inf."),
    ],
)
def test_numbers_must_fit_in_the_32_bits_that_programs_compute_with(
    field: str, value: Any, said: str
):
    with pytest.raises(UsageError) as refused:
        Config(**{field: value})
    assert f"example: {said}" in f"{refused.value}"


def test_the_largest_numbers_of_32_bits_are_allowed():
    Config(count=2**31 - 1, rate=float.fromhex("0x1.fffffep+127"))


def test_a_long_value_is_repeated_in_part():
    with pytest.raises(UsageError) as refused:
        Config(order="x" * 10_000)  # type: ignore[arg-type]
    assert len(str(refused.value)) < 200


def test_fields_get_values_of_their_types():
    config = Config(count=np.int64(3), rate=np.float32(0.5), weight=2, limit=4.0)  # type: ignore[arg-type]
    values = config.count, config.rate, config.weight, config.limit
    assert values == (3, 0.5, 2.0, 4)
    assert [type(value) for value in values] == [int, float, float, int]


def test_none_is_allowed_where_the_type_says_so():
    assert Config(limit=None).limit is None
    with pytest.raises(UsageError, match="count must be a whole number, not None"):
        Config(count=None)  # type: ignore[arg-type]


def test_an_argument_of_a_function_is_checked_like_a_field():
    assert checked(np.int64(3), PositiveInt, "episodes") == 3
    with pytest.raises(UsageError, match="episodes must be at least 1, not 0"):
        checked(0, PositiveInt, "episodes")


def test_fields_without_bounds_are_not_looked_at():
    assert Config(anything=float("inf")).anything == float("inf")


def test_bounds_of_items_are_not_those_of_their_tuple():
    assert bounds_of(tuple[Positive, Positive]) is None


def test_bounds_hold_for_flags_that_no_file_could_hold():
    @dataclass(frozen=True)
    class Flags:
        out: Path | None = None
        films: PositiveInt = 1

    @dataclass(frozen=True)
    class Within:
        flags: Flags

    check_bounds(Flags(Path("report"), 2))
    with pytest.raises(UsageError, match=r"flags\.films must be at least 1, not 0"):
        check_bounds(Within(Flags(films=0)))
    with pytest.raises(UsageError, match="films must be at least 1, not 0"):
        check_bounds(Flags(Path("report"), 0))


@dataclass(frozen=True)
class Pairs:
    """Numbers inside of tuples."""

    ends: tuple[Finite, Fraction] | None = None
    rows: tuple[tuple[PositiveInt, ...], ...] = ((1,),)

    def __post_init__(self) -> None:
        check_fields(self, "pairs")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ends": (-math.inf, 0.5)}, "pairs: ends must be finite, not -inf."),
        ({"ends": (-5.0, 1.5)}, "pairs: ends must be between 0 and 1, not 1.5."),
        ({"rows": ((1, 2), (3, 0))}, "pairs: rows must be at least 1, not 0."),
    ],
)
def test_each_number_of_a_tuple_has_the_bounds_of_its_type(
    settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError) as refused:
        Pairs(**settings)
    assert str(refused.value) == said
    assert Pairs((-5.0, 0.5), ((1, 2),)).ends == (-5.0, 0.5)
