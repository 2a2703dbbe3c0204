"""The error that a user's input can cause, and helpers for its messages."""

import difflib
import reprlib
import traceback
from collections.abc import Generator, Iterable
from contextlib import contextmanager

MAX_SHOWN = 80
"""Characters of a bad value that a message repeats."""


class UsageError(ValueError):
    """Bad input, described in one sentence: what was wrong, what was expected, what to do.

    The command line prints the sentence alone and exits with status 2.

    >>> import macpo
    >>> macpo.Run(seeds=0)
    Traceback (most recent call last):
    ...
    macpo.errors.UsageError: seeds must be at least 1, not 0.
    """


def require(condition: bool, message: str) -> None:
    """Raise `UsageError(message)` unless `condition` holds."""
    if not condition:
        raise UsageError(message)


@contextmanager
def needed(what: str, package: str, extra: str) -> Generator[None]:
    """Tell of an import that fails what needs it, and which extra of macpo brings the package."""
    try:
        yield
    except ImportError as error:
        raise UsageError(
            f"{what} needs {package} ({error}): pip install 'macpo[{extra}]'."
        ) from error
    except Exception as error:  # of its own, which does not fit to another package, say
        why = shortened(f"{type(error).__name__}: {error}")
        raise UsageError(
            f"{what} needs {package}, whose import fails ({why}): install it again with "
            f"pip install --upgrade 'macpo[{extra}]'."
        ) from error


def shown(value: object) -> str:
    """A value as Python writes it, for a message: cut in the middle if it is long or nested."""
    try:
        return shortened(_cut.repr(value))
    except ValueError:  # Python refuses to write integers of more than 4300 digits
        return "a number of thousands of digits"


def shortened(text: str) -> str:
    """Text for a message, cut in the middle if it is long."""
    half = MAX_SHOWN // 2
    return text if len(text) <= MAX_SHOWN else f"{text[:half]} … {text[-half:]}"


def is_out_of_memory(error: Exception) -> bool:
    """Whether Python, NumPy or JAX could not get the memory that it asked for."""
    return isinstance(error, MemoryError) or str(error).startswith("RESOURCE_EXHAUSTED")


_cut = reprlib.Repr()
_cut.maxlevel = 4
_cut.maxstring = _cut.maxlong = _cut.maxother = MAX_SHOWN


def nearest(word: str, known: Iterable[str]) -> str:
    """A phrase that suggests the most similar known word, or says that there is none."""
    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"did you mean {match[0]!r}?" if match else "nothing similar is known."


def describe_exception(error: BaseException) -> str:
    """The exception's type and message, with the file and line that raised it."""
    *_, last = traceback.extract_tb(error.__traceback__)
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"{words} ({last.filename}, line {last.lineno})"
