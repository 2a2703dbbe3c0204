"""Errors told in one sentence, with advice."""

from pathlib import Path
from typing import Any

import pytest

from macpo.errors import (
    UsageError,
    describe_exception,
    is_out_of_memory,
    nearest,
    needed,
    require,
    shortened,
    shown,
)

HUGE: list[Any] = ["x" * 10_000, list(range(10_000)), 10**3000, 10**5000, {"a": [[[[[[0]]]]]]}]

KNOWN = ["qmix", "qplex", "vdn"]


def test_a_requirement_that_holds_is_silent_and_one_that_does_not_is_a_usage_error():
    require(True, "never seen")
    with pytest.raises(UsageError) as error:
        require(False, "steps must be positive.")
    assert str(error.value) == "steps must be positive."


def test_a_usage_error_is_a_value_error():
    with pytest.raises(ValueError, match="no"):
        require(False, "no")


def test_the_most_similar_known_word_is_suggested():
    assert nearest("qmxi", KNOWN) == "did you mean 'qmix'?"
    assert nearest("qplx", iter(KNOWN)) == "did you mean 'qplex'?"


@pytest.mark.parametrize("known", [KNOWN, []])
def test_a_word_like_no_other_gets_no_suggestion(known: list[str]):
    assert nearest("zzzzzz", known) == "nothing similar is known."


@pytest.mark.parametrize("value", ["two words", 3, None, [1, 2], {"a": 1.5}], ids=repr)
def test_a_short_value_is_shown_as_python_writes_it(value: Any):
    assert shown(value) == repr(value)


@pytest.mark.parametrize("value", HUGE, ids=range(5))
def test_a_long_or_nested_value_is_shown_in_part(value: Any):
    assert len(shown(value)) < 100


def test_long_text_keeps_its_ends():
    assert shortened("a" * 80) == "a" * 80
    assert shortened("a" * 50 + "b" * 50) == "a" * 40 + " … " + "b" * 40


def raised(error: Exception) -> Exception:
    """The same error after it was raised in a function of this file."""

    def fail() -> None:
        raise error  # the line that is looked for

    with pytest.raises(type(error)) as caught:
        fail()
    return caught.value


def test_an_exception_is_described_with_the_place_that_raised_it():
    lines = Path(__file__).read_text().splitlines()
    (line,) = (n for n, text in enumerate(lines, 1) if "# the line that" + " is looked" in text)
    words = describe_exception(raised(KeyError("speed")))
    assert words == f"KeyError: 'speed' ({__file__}, line {line})"


def test_an_exception_without_a_message_is_described_by_its_type():
    assert describe_exception(raised(RuntimeError())).startswith("RuntimeError (")


def test_memory_that_ran_out_is_recognised_whoever_asked_for_it():
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes."))
    assert not is_out_of_memory(ValueError("a RESOURCE_EXHAUSTED in passing"))


def test_a_package_that_cannot_be_imported_for_reasons_of_its_own_is_told():
    with (
        pytest.raises(UsageError, match=r"--wandb needs wandb, .* \(RuntimeError: boom\)"),
        needed("--wandb", "wandb", "wandb"),
    ):
        raise RuntimeError("boom")
