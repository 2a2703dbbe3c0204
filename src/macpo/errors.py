"""The one error a user can cause."""

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
