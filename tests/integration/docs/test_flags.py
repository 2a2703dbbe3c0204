"""The flags that pages tell of are flags that the command line takes."""

import dataclasses
import re
from pathlib import Path

import pytest

from macpo import registry
from macpo.interop.factory import FactoryConfig
from macpo.replay.priority import Replay
from tests.support.paths import ROOT

PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "results").glob("*.md"),
    *(ROOT / "benchmarks").glob("*.md"),
]
KINDS = {"env": "envs", "algorithm": "algorithms", "weighting": "weighting"}
ELSEWHERE = {
    *(field.name for field in dataclasses.fields(FactoryConfig)),
    "from",  # replay.from_file
    "width",  # of the algorithm that docs/own_algorithm.md writes
    "temperature",  # of the weighting that docs/own_weighting.md writes
}
FLAG = re.compile(r"--(env|algorithm|weighting|replay)\.([a-z0-9-]+)(?:[ =]([\w.+-]+))?")


def fields(part: str) -> dict[str, set[object]]:
    """The types of the settings of all environments, algorithms or weightings, by their names."""
    configs: list[type] = [Replay]
    if part in KINDS:
        kind = KINDS[part]
        configs = [registry.config_class(kind, name) for name in registry.discover(kind)]
    found: dict[str, set[object]] = {}
    for config in configs:
        for field in dataclasses.fields(config):
            found.setdefault(field.name, set()).add(field.type)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_switched_on_or_off_has_no_value(page: Path) -> None:
    for part, name, value in FLAG.findall(page.read_text(encoding="utf-8")):
        types = fields(part).get(name.replace("-", "_"), set())
        assert not (types == {bool} and value in ("True", "False")), f"--{part}.{name} {value}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_flag_of_a_part_is_one_of_its_settings(page: Path) -> None:
    for part, name, _ in FLAG.findall(page.read_text(encoding="utf-8")):
        known = {*fields(part), *ELSEWHERE}
        assert {name.replace("-", "_"), name.removeprefix("no-").replace("-", "_")} & known, name
