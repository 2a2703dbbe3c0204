"""The one error a user can cause."""

import difflib
import traceback
from collections.abc import Iterable
from typing import Any, get_args


class UsageError(ValueError):
    """Bad input, told in one sentence: what was wrong, what was expected, what to do.

    The command line prints the sentence alone and exits with status 2.
    """


def require(condition: bool, message: str) -> None:
    """Raise `UsageError(message)` unless `condition` holds."""
    if not condition:
        raise UsageError(message)


def require_choice(owner: str, option: str, value: object, choices: Any) -> None:
    """UsageError unless `value` is one of those that the type `choices`, a `Literal`, lists."""
    known = get_args(choices)
    require(
        value in known,
        f"{owner}: {option} must be one of {', '.join(map(repr, known))}, not {value!r}.",
    )


def nearest(word: str, known: Iterable[str]) -> str:
    """A sentence naming the most similar known word, or nothing."""
    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"did you mean {match[0]!r}?" if match else "nothing similar is known."


def describe_exception(error: BaseException) -> str:
    """An exception in a few words, with the file and line it comes from."""
    *_, last = traceback.extract_tb(error.__traceback__)
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"{words} ({last.filename}, line {last.lineno})"
