"""Going through promises: what each finds, and a promise that ends in an exception."""

from collections.abc import Iterator, Sequence

from macpo.errors import UsageError, describe_exception
from macpo.interop.check import Result, title
from macpo.interop.promises import Finding, Promise


def examine(promises: Sequence[Promise], *of: object) -> Iterator[Result]:
    """The findings of each promise in turn; an exception is one, and the others go on."""
    for promise in promises:
        try:
            findings = tuple(promise(*of))
        except UsageError as error:
            findings = (Finding("refused", str(error)),)
        except Exception as error:  # whatever code from outside may raise
            findings = (Finding("raised", describe_exception(error)),)
        yield Result(title(promise), findings)
