"""DI-engine's copy of SMAC's environment, an independent client of the game, sees what ours does.

Both play the same actions against the same stand-in for the game. Its rewards are its own (none in
the first step, deaths of agents count) and are not compared.
"""

import importlib.util
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from macpo.envs.smac.environment import Config, SMACEnv
from tests.envs.smac.conftest import Installation
from tests.support.paths import SUPPORT

if importlib.util.find_spec("pysc2") is None or importlib.util.find_spec("dizoo") is None:
    pytest.skip("needs DI-engine's environments: make foreign", allow_module_level=True)

DRIVER = SUPPORT / "dizoo_smac.py"
N_EPISODES = 3

MARINE, MARAUDER, MEDIVAC = (45.0, 0.0), (125.0, 0.0), (150.0, 0.0)
STALKER, ZEALOT = (80.0, 80.0), (100.0, 50.0)
# SMAC's allies have type ids of their own, in the order of the kinds' names
SIDES: dict[str, tuple[Any, Any]] = {
    "5m_vs_6m": ([(2005, MARINE)] * 5, [(48, MARINE)] * 6),
    "MMM2": (
        [*[(2006, MARINE)] * 7, *[(2005, MARAUDER)] * 2, (2007, MEDIVAC)],
        [*[(48, MARINE)] * 8, *[(51, MARAUDER)] * 3, (54, MEDIVAC)],
    ),
    "3s_vs_5z": ([(2005, STALKER)] * 3, [(73, ZEALOT)] * 5),
}


def scenario(battle_map: str) -> dict[str, Any]:
    """Both sides scattered, near enough to fight at once."""
    rng = np.random.default_rng(0)
    allies, enemies = (
        [[kind, x + rng.uniform(-2, 2), 16 + rng.uniform(-5, 5), *most] for kind, most in side]
        for x, side in zip((13, 17), SIDES[battle_map], strict=True)
    )
    return {"allies": allies, "enemies": enemies, "enemy_damage": 3.0, "regeneration": 1.0}


def play_at_random(env: SMACEnv) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(actions, time steps by field) of some episodes."""
    rng = np.random.default_rng(0)
    actions, timesteps = [], []
    for _ in range(N_EPISODES):
        timesteps.append(env.reset(0))
        while not (timesteps[-1].terminated or timesteps[-1].truncated):
            available = timesteps[-1].observation.avail_actions
            actions.append((rng.random(available.shape) * available).argmax(-1))
            timesteps.append(env.step(actions[-1]))
    return np.array(actions), {
        "obs": np.array([x.observation.obs for x in timesteps]),
        "state": np.array([x.observation.state for x in timesteps]),
        "avail": np.array([x.observation.avail_actions for x in timesteps]),
        "over": np.array([x.terminated | x.truncated for x in timesteps]),
        "won": np.array([x.info["battle_won"] for x in timesteps]),
    }


@pytest.mark.parametrize("battle_map", list(SIDES))
def test_it_sees_the_same_in_every_step(
    battle_map: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SC2PATH", str(tmp_path))
    Installation(tmp_path).write(battle_map, scenario(battle_map))
    with closing(Config(map=battle_map, client="pysc2", timeout=20).make()) as env:
        actions, ours = play_at_random(env)
    np.save(tmp_path / "actions.npy", actions)
    arguments = [battle_map, str(tmp_path / "actions.npy"), str(tmp_path / "seen.npz")]
    subprocess.run([sys.executable, str(DRIVER), *arguments], check=True, capture_output=True)
    theirs = dict(np.load(tmp_path / "seen.npz"))
    n = len(ours["over"])
    for name in ("state", "avail", "over", "won"):
        np.testing.assert_allclose(theirs[name][:n], ours[name], atol=1e-6, err_msg=name)
    # behind its observations come the last action and the agent's number
    obs = theirs["obs"][:n, :, : env.spec.obs_size]
    if battle_map == "3s_vs_5z":
        # it divides the Zealots' shields of 50 by the Stalkers' 80; SMAC, each by its own
        obs[..., 9:34:6] *= 80 / 50
    np.testing.assert_allclose(obs, ours["obs"], atol=1e-6)
