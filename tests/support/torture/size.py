"""How many cases are tried: a few in every test run, many with `make torture`."""

import os

import numpy as np
import pytest

LONG = bool(os.environ.get("TORTURE"))
MOST = 500
"""Characters of a case that are shown."""
SEED = int(os.environ.get("TORTURE_SEED", "0"))


def cases(short: int, long: int) -> pytest.MarkDecorator:
    """Parametrises a test by `case`: its number, the same case in a short and in a long run."""
    return pytest.mark.parametrize("case", range(long if LONG else short))


def rng_of(case: int) -> np.random.Generator:
    """What decides all of a case."""
    return np.random.default_rng([SEED, case])


def repetition(node: str) -> str:
    """The command that runs one case again."""
    return f"TORTURE=1 TORTURE_SEED={SEED} .venv/bin/pytest '{node}'"


def fail_if(problem: str, what: str) -> None:
    """Fail with these words alone: lines of the test say nothing about a case drawn at random."""
    if problem:
        pytest.fail(f"{what[:MOST]}: {problem}", pytrace=False)
