"""Arms from flags of `macpo train`, which may have several values: an arm for each combination.

--env.punishment 0 -2 --weighting macpo uniform  →  four arms
"""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from macpo.errors import require

MAX_ARMS = 10_000
_NUMBER = re.compile(r"-\.?\d")
"""How a negative number begins, which no flag does."""


class Arm(NamedTuple):
    """An arm's name and the flags of `macpo train` for it."""

    name: str
    arguments: list[str]


class _Flag(NamedTuple):
    words: tuple[str, ...]
    """The flag itself and, unless it stands alone, one value."""
    label: str
    """What distinguishes this value, in an arm's name."""


def arms(arguments: Sequence[str], name: str = "") -> list[Arm]:
    """Every combination of the flags' values, the first flag changing slowest.

    An arm is named after the values in which it differs from the others; `name` stands for the arm
    if nothing is varied, and in front otherwise.

    >>> [arm.name for arm in arms("--seed 0 --env.punishment 0 -2 --weighting macpo".split())]
    ['punishment=0', 'punishment=-2']
    >>> [arm.name for arm in arms("--weighting macpo per --algorithm vdn qmix".split())][:2]
    ['macpo vdn', 'macpo qmix']
    """
    choices = [_choices(group) for group in flag_groups(arguments)]
    n_arms = 1
    for choice in choices:
        n_arms *= len(choice)
    require(n_arms <= MAX_ARMS, f"these flags have {n_arms:,} combinations; at most {MAX_ARMS:,}.")
    varied = [i for i, choice in enumerate(choices) if len(choice) > 1]
    found: list[Arm] = []
    for flags in itertools.product(*choices):
        labels = [name] * bool(name) + [flags[i].label for i in varied]
        words = [word for flag in flags for word in flag.words]
        found.append(Arm(" ".join(labels) or "run", words))
    names = [arm.name for arm in found]
    twice = [name for name, n in Counter(names).items() if n > 1]
    require(not twice, f"two arms would be called {', '.join(twice)}; give each value once.")
    return found


def flag_groups(arguments: Sequence[str]) -> list[list[str]]:
    """The arguments cut in front of every flag."""
    groups: list[list[str]] = []
    for word in arguments:
        is_flag = word.startswith("-") and not _NUMBER.match(word)
        if is_flag:
            flag, equals, value = word.partition("=")
            groups.append([flag, value] if equals else [flag])
            continue
        require(bool(groups), f"{word!r} belongs to no flag; every value follows its --flag.")
        groups[-1].append(word)
    return groups


def _choices(group: list[str]) -> list[_Flag]:
    flag, *values = group
    if not values:
        return [_Flag((flag,), "")]
    return [_Flag((flag, value), _label(flag, value)) for value in values]


def _label(flag: str, value: str) -> str:
    """`macpo` for a part, `punishment=-2` for a setting of one."""
    name = flag.lstrip("-").rpartition(".")[2]
    value = re.sub(r"[^\w.=+-]", ".", value, flags=re.ASCII)
    return value if flag in _NAMED else f"{name}={value}"


_NAMED = ("--env", "--algorithm", "--weighting", "--preset")
