"""The examples of docs/environments.md and docs/other_environments.md run as printed."""

import dataclasses
import importlib.util
import itertools
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import macpo
from macpo import registry
from macpo.cli import main
from macpo.interop import check
from macpo.types import Observation, Spec, TimeStep
from tests.support.growing import installed
from tests.support.paths import ROOT
from tests.support.tracing import train_or_check

PAGE = "".join(
    (ROOT / "docs" / f"{name}.md").read_text() for name in ("environments", "other_environments")
)
SMALL = shlex.split(
    """--algorithm vdn --algorithm.rnn-hidden-dim 8 --weighting uniform
    --steps 30 --batch-size 2 --buffer-size 8 --batch-size-run 2 --test-nepisode 2"""
)
TRAINED = ("my_doors", "my_lamp")
"""In JAX and by workers: those of other makers become one of the two."""
MODULE = r"```python\n# (\w+)\.py\n(.*?)```\n\n```bash\n(.*?)```"


class Example(NamedTuple):
    module: str
    source: str
    commands: list[list[str]]


def lines(block: str) -> list[list[str]]:
    return [shlex.split(line)[1:] for line in block.splitlines()]


EXAMPLES = [Example(a, b, lines(c)) for a, b, c in re.findall(MODULE, PAGE, re.S)]


def small(command: list[str]) -> list[str]:
    """The command of a run, made short; any other as it is."""
    if command[0] != "train":
        return command
    return [*command[: command.index("--steps")], *SMALL]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for example in EXAMPLES:
        sys.modules.pop(example.module, None)


def test_every_kind_has_an_example() -> None:
    assert [example.module for example in EXAMPLES] == [
        *("my_doors", "my_lamp", "my_relay", "my_battle", "my_skirmish")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.module)
def test_the_commands_of_an_example_work(
    example: Example, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "jaxmarl" in example.source and importlib.util.find_spec("jaxmarl") is None:
        pytest.skip("needs another project: pip install jaxmarl==0.2.0")
    monkeypatch.setattr("macpo.cli.training._finish", lambda *_, **__: 0)  # tests/cli has it
    if example.module not in TRAINED:
        monkeypatch.setattr(macpo, "train", train_or_check)
    if example.module == "my_skirmish":
        monkeypatch.setattr(check, "OF_JAX", ())  # tests/integration/foreign has SMAX
    (folder / f"{example.module}.py").write_text(example.source)
    for command in example.commands:
        with pytest.raises(SystemExit) as stop:
            main(small(command))
        assert stop.value.code == 0, command


def test_the_parts_of_an_environment_are_told() -> None:
    steps = PAGE.partition("\n## From an empty file\n")[2].partition("\n## ")[0]
    first, second = re.findall(r"(?:^ +\|.*\n)+", steps, re.M)
    names = [re.findall(r"`(\w+)`", line.split("|")[1]) for line in first.splitlines()]
    assert [*itertools.chain(*names)] == [field.name for field in dataclasses.fields(Spec)]
    names = [re.findall(r"`(\w+)`", line.split("|")[1]) for line in second.splitlines()]
    assert [*itertools.chain(*names)] == [*TimeStep._fields]
    assert f"`Observation({', '.join(Observation._fields)})`" in second
    told = {"truncation_is_terminal": "no", "obs_agent_id": "yes", "obs_last_action": "yes"}
    defaults = {field.name: field.default for field in dataclasses.fields(Spec)}
    for name, word in told.items():
        (line,) = (line for line in first.splitlines() if f"`{name}`" in line)
        assert f"({word})" in line and defaults[name] is (word == "yes")


def test_an_entry_point_gives_an_environment_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (doors,) = (example for example in EXAMPLES if example.module == "my_doors")
    (folder / "my_doors.py").write_text(doors.source)
    monkeypatch.syspath_prepend(folder)
    with installed(PAGE, folder):
        config = registry.make_config("envs", "doors", options={"n": 4})
        assert registry.name_of(config) == "doors"
        assert config.make().spec.n_actions == 4


def test_the_snippet_of_the_way_back_runs() -> None:
    (snippet,) = (
        block
        for block in re.findall(r"```python\n(.*?)```", PAGE, re.S)
        if "to_pettingzoo" in block
    )
    names: dict[str, Any] = {}
    exec(snippet, names)  # the page is ours
    assert set(names["rewards"]) == set(names["env"].possible_agents)
