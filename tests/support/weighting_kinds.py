"""One weighting for each set of what they ask of a learner, but for what is part of another set.

Those that ask the same differ in arithmetic alone, which the tests of weightings try for each.
"""

from macpo import registry


def _asks(name: str) -> tuple[frozenset[str], bool]:
    weighting = registry.make_config("weighting", name)
    return frozenset(weighting.needs), weighting.per_agent


_SETS = {_asks(name): name for name in registry.discover("weighting")}
KINDS = [
    name
    for (needs, per_agent), name in _SETS.items()
    if not any(needs < more and per_agent == other for more, other in _SETS)
]
