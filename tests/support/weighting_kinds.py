"""One weighting for each set of what they ask of a learner.

Those that ask the same differ in arithmetic alone, which the tests of weightings try for each.
"""

from macpo import registry


def _asks(name: str) -> tuple[frozenset[str], bool]:
    weighting = registry.make_config("weighting", name)
    return frozenset(weighting.needs), weighting.per_agent


KINDS = list({_asks(name): name for name in registry.discover("weighting")}.values())
