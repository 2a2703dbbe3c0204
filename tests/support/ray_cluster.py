"""Ray on a machine that other tests keep busy."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
ATTEMPTS = 4


def patiently(start: Callable[[], T]) -> T:
    """What starts a part of a cluster gives, tried again: Ray waits thirty seconds and gives up.

    What it had started by then ends with this process.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return start()
        except Exception as error:  # it has no class of its own
            if "timed out during startup" not in str(error):
                raise
    return start()
