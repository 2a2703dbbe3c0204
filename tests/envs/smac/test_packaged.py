"""A package's `StarCraft2Env` behind the same environment; a double of it stands in."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from macpo.envs.host import EnvironmentLost
from macpo.envs.smac.environment import Config, SMACEnv
from macpo.envs.smac.game import pysc2
from macpo.errors import UsageError

from .conftest import Installation

STOP = np.ones(3, int)

# What SMAC's documentation promises of its environment on 3m, from a script.
DOUBLE = """
from pysc2.lib import protocol

made = []


class StarCraft2Env:
    def __init__(self, **settings):
        self.settings = settings
        self.script = []
        self.closed = 0
        self.timeouts = 0
        self.force_restarts = 0
        self.loses_next_reset = False
        made.append(self)

    def get_env_info(self):
        info = {"n_agents": 3, "n_actions": 9, "obs_shape": 30, "state_shape": 48}
        return info | {"episode_limit": 60} | other_sizes

    def reset(self):
        self.actions = []
        self.force_restarts += self.loses_next_reset
        return self.get_obs(), self.get_state()

    def step(self, actions):
        self.actions.append(actions)
        result = self.script.pop(0)
        if result == "crash":
            raise protocol.ConnectionError("Connection already closed.")
        if result == "time-out":
            self.timeouts += 1
            return 0.0, True, {"battle_won": False, "dead_allies": 0, "dead_enemies": 1}
        return result

    def get_obs(self):
        return [[0.5] * 30] * 3

    def get_state(self):
        return [0.25] * 48

    def get_avail_actions(self):
        return [[0, 1, 1, 1, 1, 1, 0, 0, 0]] * 3

    def get_stats(self):
        return {"timeouts": self.timeouts}

    def save_replay(self):
        self.saved = True

    def close(self):
        self.closed += 1


other_sizes = {}
"""


@pytest.fixture
def double(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module `smac.env`, of a package that looks like SMAC's."""
    installation.write("3m", {})
    package = installation.folder / "packages" / "smac"
    (package / "env" / "starcraft2").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "env" / "__init__.py").write_text(DOUBLE)
    monkeypatch.syspath_prepend(package.parent)
    pysc2()  # as the environment does first: it lets protobuf read the game's protocol
    yield importlib.import_module("smac.env")
    for name in ("smac", "smac.env"):
        sys.modules.pop(name, None)


@pytest.fixture
def env(double: Any) -> Iterator[SMACEnv]:
    with closing(Config(map="3m", difficulty="5", timeout=7).make()) as environment:
        yield environment


def test_its_environment_is_made_with_our_settings(double: Any, env: SMACEnv):
    env.reset(11)
    (made,) = double.made
    assert made.settings == {
        "map_name": "3m",
        "difficulty": "5",
        "game_version": None,
        "replay_dir": "",
        "seed": 11,
    }


def test_it_waits_for_answers_as_long_as_we_would(double: Any, env: SMACEnv):
    env.reset(0)
    assert pysc2().flags.sc2_timeout == 7


def test_what_it_shows_becomes_a_time_step(double: Any, env: SMACEnv):
    timestep = env.reset(0)
    obs, state, available = timestep.observation
    assert obs.shape == (3, 30) and obs.dtype == np.float32
    assert state.shape == (48,) and state.dtype == np.float32
    assert available.tolist() == [[False, *[True] * 5, *[False] * 3]] * 3
    assert timestep.info == {"battle_won": 0, "dead_allies": 0, "dead_enemies": 0}
    assert not (timestep.terminated or timestep.truncated)


def test_a_victory_terminates(double: Any, env: SMACEnv):
    env.reset(0)
    double.made[0].script = [(2.5, True, {"battle_won": True, "dead_allies": 1, "dead_enemies": 3})]
    timestep = env.step(np.array([1, 2, 3]))
    assert double.made[0].actions == [[1, 2, 3]]
    assert timestep.reward == 2.5
    assert timestep.terminated and not timestep.truncated
    assert timestep.info == {"battle_won": 1, "dead_allies": 1, "dead_enemies": 3}


def test_a_time_out_truncates_and_the_next_end_does_not(double: Any, env: SMACEnv):
    env.reset(0)
    lost = (0.0, True, {"battle_won": False, "dead_allies": 3, "dead_enemies": 0})
    double.made[0].script = ["time-out", lost]
    timestep = env.step(STOP)
    assert timestep.truncated and not timestep.terminated
    env.reset(0)
    timestep = env.step(STOP)
    assert timestep.terminated and not timestep.truncated


@pytest.mark.parametrize("result", ["crash", (0, True, {})], ids=["raises", "restarts"])
def test_a_game_that_it_loses_is_lost_and_the_next_reset_makes_another(
    double: Any, env: SMACEnv, result: Any
):
    env.reset(0)
    double.made[0].script = [result]
    with pytest.raises(EnvironmentLost):
        env.step(STOP)
    assert double.made[0].closed == 1
    env.reset(0)
    assert len(double.made) == 2


def test_a_game_that_it_loses_and_restarts_within_a_reset_is_lost(double: Any, env: SMACEnv):
    env.reset(0)
    double.made[0].loses_next_reset = True
    with pytest.raises(EnvironmentLost, match="within a reset"):
        env.reset(0)


def test_a_package_that_shows_something_else_is_refused(double: Any, env: SMACEnv):
    double.other_sizes["obs_shape"] = 29
    with pytest.raises(UsageError, match=r"the installed smac has obs_shape 29 .* not 30"):
        env.reset(0)


def test_a_replay_is_written_where_one_is_wanted(double: Any, tmp_path: Path):
    with closing(Config(map="3m", replay_dir=str(tmp_path)).make()) as env:
        env.reset(0)
    assert double.made[0].saved
    assert double.made[0].settings["replay_dir"] == str(tmp_path)
