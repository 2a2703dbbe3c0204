from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest

from macpo.bounds import (
    Bounds,
    Fraction,
    NonNegative,
    Positive,
    PositiveInt,
    bounds_of,
    check_fields,
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


def test_none_is_allowed_where_the_type_says_so():
    assert Config(limit=None).limit is None


def test_fields_without_bounds_are_not_looked_at():
    assert Config(anything=float("inf")).anything == float("inf")


def test_bounds_of_items_are_not_those_of_their_tuple():
    assert bounds_of(tuple[Positive, Positive]) is None
