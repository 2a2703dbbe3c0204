"""Results of other programs: the protocol of a format, and a file for each.

Nothing of a file is executed, and its numbers stand beside those of macpo as they are.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from macpo.report.formats import marl_eval, sacred, wandb
from macpo.report.seeds import TrainedSeed


class Format(Protocol):
    """A module that reads one format."""

    def recognises(self, place: Path) -> bool:
        """Whether a file or directory is of this format, by its name or those of its files."""
        ...

    def read(self, place: Path) -> Iterator[TrainedSeed]:
        """Every seed in it; UsageError if it cannot be read."""
        ...


FORMATS: tuple[Format, ...] = (sacred, marl_eval, wandb)


def format_of(place: Path) -> Format | None:
    """Who reads a file or directory; None if nobody does."""
    return next((each for each in FORMATS if each.recognises(place)), None)
