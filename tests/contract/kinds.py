"""One weighting for each set of what they ask of a learner.

Those that ask the same differ in arithmetic alone, which the tests of weightings try for each.
"""

from macpo import registry


def _asks(name: str) -> tuple[frozenset[str], bool]:
    scheme = registry.make_config("weighting", name).make()
    return frozenset(scheme.needs), scheme.per_agent


KINDS = list({_asks(name): name for name in registry.discover("weighting")}.values())
