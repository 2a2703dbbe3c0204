"""Values of settings: as their fields declare them, and as a file gives them back."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import jax.numpy as jnp
import numpy as np
import pytest

from macpo.errors import UsageError
from macpo.field_types import build, conform, conformed, in_words, settings

# --- one value ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "hint", "expected"),
    [
        (np.int64(3), int, 3),
        (1e4, int, 10_000),
        (10**400, int, 10**400),
        (3, float, 3.0),
        (np.float32(0.5), float, 0.5),
        (jnp.float32(0.5), float, 0.5),
        (np.bool_(True), bool, True),
        (np.str_("adam"), str, "adam"),
        (np.str_("adam"), Literal["adam", "rmsprop"], "adam"),
        (None, int | None, None),
        (2, Annotated[float, "explained"], 2.0),
        (3, Literal["auto"] | int, 3),
        ([[1, 2], (3, 4)], tuple[tuple[float, ...], ...], ((1.0, 2.0), (3.0, 4.0))),
        (np.eye(2), tuple[tuple[float, ...], ...], ((1.0, 0.0), (0.0, 1.0))),
        ([-5, 2], tuple[float, float], (-5.0, 2.0)),
        ((1, 2), list[int], [1, 2]),
        ((1, 2), Sequence[int], [1, 2]),
        ({"a": (1, np.int32(2)), "b": np.eye(1)}, dict[str, Any], {"a": [1, 2], "b": [[1.0]]}),
    ],
    ids=repr,
)
def test_a_value_becomes_the_plain_one_of_its_type(given: Any, hint: Any, expected: Any) -> None:
    value = conform(given, hint, "here")
    assert value == expected
    assert type(value) is type(expected)
    assert json.loads(json.dumps(value)) == json.loads(json.dumps(expected))


@pytest.mark.parametrize(
    ("given", "hint", "said"),
    [
        (1.5, int, "here must be a whole number, not 1.5."),
        (float("inf"), int, "here must be a whole number, not inf."),
        (True, int, "here must be a whole number, not True."),
        (True, float, "here must be a number, not True."),
        (10**400, float, "here must be a number, not 10"),
        (1, bool, "here must be true or false, not 1."),
        (None, int, "here must be a whole number, not None."),
        (1, str, "here must be text, not 1."),
        ("many", int | None, "here must be a whole number or none, not 'many'."),
        (1, Literal[True, "auto"], "here must be one of True, 'auto', not 1."),
        ("ab", tuple[float, float], "here must be a list of 2 numbers, not 'ab'."),
        ([1.0], tuple[float, float], "here must be a list of 2 numbers, not [1.0]."),
        ([["a"]], tuple[tuple[float, ...], ...], "here must be a list of lists of numbers, not ["),
        ([1], dict[str, Any], "here must be an object, not [1]."),
        ({1: 2}, dict[str, Any], "here has the key 1; keys must be text"),
        ({"f": print}, dict[str, Any], "here holds <built-in function print>, which a file cannot"),
        ({1, 2}, Any, "here holds {1, 2}, which a file cannot hold"),
        (Path("maps"), Path, "which a file cannot hold"),
        ({"n": 2**64}, dict[str, Any], "here holds 18446744073709551616, beyond 64 bits."),
    ],
    ids=repr,
)
def test_any_other_value_is_refused_in_words_of_the_user(given: Any, hint: Any, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        conform(given, hint, "here")
    assert said in str(refused.value)


def test_a_value_that_needs_no_change_is_the_same_object() -> None:
    payoff = ((1.0, 2.0), (3.0, 4.0))
    assert conform(payoff, tuple[tuple[float, ...], ...], "payoff") is payoff


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_what_is_nested_without_end_is_refused() -> None:
    assert conform({"x": nested(20)}, dict[str, Any], "options")
    with pytest.raises(UsageError, match="options is nested more than 32 deep"):
        conform({"x": nested(5000)}, dict[str, Any], "options")


def test_a_refusal_repeats_only_the_ends_of_a_long_value() -> None:
    for value in ("x" * 10_000, [0] * 10_000, 10**10_000, nested(900)):
        with pytest.raises(UsageError) as refused:
            conform(value, bool, "here")
        assert len(str(refused.value)) < 200


def test_types_are_told_without_the_language_of_python() -> None:
    assert in_words(tuple[int, ...] | None) == "a list of whole numbers or none"


# --- a whole configuration ------------------------------------------------------------------------


@dataclass(frozen=True)
class Inner:
    depth: int = 1


@dataclass(frozen=True)
class Deeper(Inner):
    name_of_it: str = "deeper"


@dataclass(frozen=True)
class Outer:
    rate: float
    inner: Inner = field(default_factory=Inner)
    doubled: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "doubled", 2 * self.rate)


def test_a_configuration_conforms_and_can_be_built_again_from_its_settings() -> None:
    outer = conformed(Outer(np.float64(2), Inner(np.int64(3))), "env")  # pyright: ignore[reportArgumentType]
    assert settings(outer) == {"rate": 2.0, "inner": {"depth": 3}}
    assert build(Outer, json.loads(json.dumps(settings(outer))), "env") == outer
    assert outer.doubled == 4.0


def test_a_nested_configuration_of_another_class_is_refused() -> None:
    with pytest.raises(UsageError, match=r"env.inner is Deeper\(.*, whose class a file would not"):
        conformed(Outer(1.0, Deeper()), "env")


@dataclass(frozen=True)
class Wavering:
    n: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", self.n + 1)


def test_a_configuration_that_a_file_would_change_is_refused() -> None:
    with pytest.raises(UsageError, match=r"env: a file would give other values back: \{'n': 2\}"):
        conformed(Wavering(), "env")


def test_missing_and_unknown_settings_are_named() -> None:
    with pytest.raises(UsageError, match="env needs a value for rate"):
        build(Outer, {}, "env")
    with pytest.raises(UsageError, match=r"unknown setting env.raet; did you mean 'rate'\?"):
        build(Outer, {"rate": 1.0, "raet": 1.0}, "env")
    with pytest.raises(UsageError, match=r"unknown setting env\.doubled"):
        build(Outer, {"rate": 1.0, "doubled": 1.0}, "env")


def test_types_that_cannot_be_read_are_reported() -> None:
    @dataclass(frozen=True)
    class Unreadable:
        size: "Nowhere" = 1  # type: ignore[name-defined]

    with pytest.raises(
        UsageError, match=r"the types of .*Unreadable's fields cannot be read: Name"
    ):
        conformed(Unreadable(), "env")
