"""docs/peers.md: what it says of macpo is what the registry knows, and every claim has a source."""

import re

from macpo import registry
from macpo.envs.smac_jax.maps import MAPS
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "peers.md").read_text()
BODY, _, SOURCES = PAGE.partition("\n## Sources\n")


def names_after(words: str) -> list[str]:
    """The names in code that the parentheses after these words list."""
    listed = BODY.partition(words)[2].partition(")")[0]
    return re.findall(r"`([\w-]+)`", listed)


def test_the_algorithms_are_those_of_the_registry() -> None:
    known = list(registry.discover("algorithms"))
    assert names_after(f"macpo has {len(known)} algorithms (") == known


def test_the_environments_are_those_of_the_registry() -> None:
    known = list(registry.discover("envs"))
    assert names_after(f"and {len(known)} environments (") == known


def test_the_weightings_are_as_many_as_in_the_registry() -> None:
    assert f"\n{len(registry.discover('weighting'))} [weightings]" in BODY


def test_the_maps_are_as_many_as_there_are() -> None:
    assert f"it has {len(MAPS)} of SMAC's maps" in BODY


def test_every_source_is_cited_and_every_citation_has_one() -> None:
    cited = {int(number) for number in re.findall(r"\[(\d+)\]", BODY)}
    listed = [int(number) for number in re.findall(r"^(\d+)\. \[", SOURCES, re.M)]
    linked = [int(number) for number in re.findall(r"^\[(\d+)\]: https://", SOURCES, re.M)]
    assert listed == linked == sorted(cited)
