"""An environment of one's own."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

OWN = """
from dataclasses import dataclass
from pathlib import Path

from tests.support.host_environments import HostCounting
from tests.support.toys import Counting


def make(n_agents: int = 2):
    'Counts.'
    return Counting(n_agents=n_agents)


class Crooked(HostCounting):
    def step(self, actions):
        return super().step(actions)._replace(info={})

    def close(self):
        print("closed")


@dataclass(frozen=True)
class Kept:
    folder: Path = Path("games")

    def make(self):
        return Counting()
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module in the current folder."""
    (tmp_path / "own_games.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    yield "own_games"
    sys.modules.pop("own_games", None)
