"""An installation of StarCraft II whose game is `fake_game.py`."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from macpo.envs.smac.environment import Config, SMACEnv
from macpo.types import TimeStep
from tests.support.paths import SUPPORT

FAKE_GAME = SUPPORT / "fake_starcraft.py"
# SMAC's allies have type ids of their own, in the order of the kinds' names; enemies have stock ids
MARAUDER_RL, MARINE_RL, MEDIVAC_RL = 2005, 2006, 2007
MARINE, MARAUDER, MEDIVAC, ZEALOT = 48, 51, 54, 73

FIVE_AGAINST_SIX = {
    "allies": [[MARINE_RL, 12.0, 12.0 + i, 45.0, 0.0] for i in range(5)],
    "enemies": [[MARINE, 16.0, 12.0 + i, 45.0, 0.0] for i in range(6)],
}


@dataclass(frozen=True)
class Installation:
    """The folder that SC2PATH names, with one build and the maps given."""

    folder: Path

    def write(self, battle_map: str, scenario: dict[str, Any]) -> "Installation":
        executable = self.folder / "Versions" / "Base75689" / "SC2_x64"
        executable.parent.mkdir(parents=True, exist_ok=True)
        executable.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE_GAME}" "$@"\n')
        executable.chmod(0o755)
        maps = self.folder / "Maps" / "SMAC_Maps"
        maps.mkdir(parents=True, exist_ok=True)
        (maps / f"{battle_map}.SC2Map").write_bytes(b"the map's bytes")
        (self.folder / "scenario.json").write_text(json.dumps(scenario))
        return self

    def misbehave(self, request: str, how: str) -> None:
        """Let the next such request go wrong, once."""
        what = {"request": request, "how": how}
        (self.folder / "misbehave.json").write_text(json.dumps(what))

    def requests(self, kind: str) -> list[Any]:
        """All requests of one kind so far."""
        rows = map(json.loads, (self.folder / "requests.jsonl").read_text().splitlines())
        return [row[kind] for row in rows if kind in row]

    def launches(self) -> list[str]:
        """How each process was started: its id, then the command line."""
        path = self.folder / "launches.txt"
        return path.read_text().splitlines() if path.exists() else []

    def running(self) -> list[int]:
        """The ids of all games that still run."""
        return [pid for pid in (int(row.split()[0]) for row in self.launches()) if alive(pid)]


def alive(pid: int) -> bool:
    """Whether a process runs (and is not only waiting to be reaped)."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """5m_vs_6m, and what else a test writes into it before its game starts."""
    pytest.importorskip("pysc2", reason="needs pysc2: pip install 'macpo[sc2]'")
    monkeypatch.setenv("SC2PATH", str(tmp_path))
    return Installation(tmp_path).write("5m_vs_6m", FIVE_AGAINST_SIX)


@pytest.fixture
def env(installation: Installation) -> Iterator[SMACEnv]:
    """5m_vs_6m in a game of its own, which ends with the test."""
    with closing(Config(map="5m_vs_6m", client="pysc2", timeout=20).make()) as environment:
        yield environment


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SMACEnv, Installation]]:
    """5m_vs_6m in a game that a file's tests share, for each takes a second to start."""
    pytest.importorskip("pysc2", reason="needs pysc2: pip install 'macpo[sc2]'")
    installation = Installation(tmp_path_factory.mktemp("sc2")).write("5m_vs_6m", FIVE_AGAINST_SIX)
    with (
        pytest.MonkeyPatch.context() as patch,
        closing(Config(map="5m_vs_6m", client="pysc2", timeout=20).make()) as environment,
    ):
        patch.setenv("SC2PATH", str(installation.folder))
        environment.reset(0)
        yield environment, installation


def last_available(timestep: TimeStep) -> np.ndarray:
    """Each agent's available action of the highest number: an attack, where there is one."""
    avail = np.asarray(timestep.observation.avail_actions)
    return avail.shape[1] - 1 - avail[:, ::-1].argmax(1)


def play(env: SMACEnv, timestep: TimeStep) -> list[TimeStep]:
    """The episode's time steps after `timestep`, with everybody attacking."""
    steps: list[TimeStep] = []
    while not (timestep.terminated or timestep.truncated):
        timestep = env.step(last_available(timestep))
        steps.append(timestep)
    return steps
