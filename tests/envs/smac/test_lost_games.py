"""Games that crash, hang, refuse or are killed: reported as lost, ended, and started again."""

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing

import numpy as np
import pytest

from macpo.envs.host import EnvironmentLost
from macpo.envs.smac import environment as smac
from macpo.envs.smac.environment import Config, SMACEnv

from .conftest import FIVE_AGAINST_SIX, Installation, alive, play

STOP = np.ones(5, int)


def wins_an_episode(env: SMACEnv) -> bool:
    return play(env, env.reset(0))[-1].info["battle_won"] == 1


@pytest.mark.parametrize(
    ("request_kind", "how"),
    [
        ("action", "drop"),
        ("observation", "drop"),
        ("step", "die"),
        ("step", "refuse"),
        ("step", "garbage"),
    ],
)
def test_a_game_lost_within_a_step_is_ended_and_the_next_reset_starts_another(
    installation: Installation, env: SMACEnv, request_kind: str, how: str
):
    env.reset(0)
    installation.misbehave(request_kind, how)
    with pytest.raises(EnvironmentLost, match="StarCraft II was lost"):
        env.step(STOP)
    assert installation.running() == []
    assert wins_an_episode(env)
    assert len(installation.launches()) == 2


def test_a_game_that_hangs_is_given_up_after_the_timeout(installation: Installation):
    with closing(Config(map="5m_vs_6m", client="pysc2", timeout=10).make()) as env:
        env.reset(0)
        installation.misbehave("step", "hang")
        with pytest.raises(EnvironmentLost, match="timed out"):
            env.step(STOP)
        assert installation.running() == []
        assert wins_an_episode(env)


def test_a_game_killed_from_outside_is_lost(installation: Installation, env: SMACEnv):
    env.reset(0)
    (pid,) = installation.running()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EnvironmentLost):
        env.step(STOP)
    assert wins_an_episode(env)


@pytest.mark.parametrize("kind", ["create_game", "observation"])
def test_a_game_that_refuses_to_begin_is_ended(installation: Installation, env: SMACEnv, kind: str):
    installation.misbehave(kind, "refuse")
    with pytest.raises(EnvironmentLost):
        env.reset(0)
    assert installation.running() == []
    assert wins_an_episode(env)


def test_a_game_that_does_not_start_is_quoted(installation: Installation, env: SMACEnv):
    installation.misbehave("launch", "die")
    with pytest.raises(
        EnvironmentLost, match="its last output: error while loading shared libraries"
    ):
        env.reset(0)
    assert wins_an_episode(env)


def test_a_reset_in_which_the_game_is_lost_can_be_repeated(
    installation: Installation, env: SMACEnv
):
    env.reset(0)
    installation.misbehave("debug", "drop")
    with pytest.raises(EnvironmentLost):
        env.reset(0)
    assert installation.running() == []
    assert wins_an_episode(env)


def test_a_map_that_does_not_recreate_its_units_is_lost(installation: Installation, env: SMACEnv):
    installation.write("5m_vs_6m", FIVE_AGAINST_SIX | {"delay": 10_000})
    env.reset(0)
    with pytest.raises(EnvironmentLost, match=r"shows \(0, 0\) units after a reset, not \(5, 6\)"):
        env.reset(0)
    assert installation.running() == []


def test_a_game_is_replaced_before_it_has_played_as_long_as_it_can(
    installation: Installation, env: SMACEnv, monkeypatch: pytest.MonkeyPatch
):
    # room for two episodes: at most 200 + 70 · 8 loops each, of which these take 200 + 7 · 8
    monkeypatch.setattr(smac, "MAX_LOOPS", 200 + 7 * 8 + 200 + 70 * 8)
    for n_launches in (1, 1, 2, 2):
        assert wins_an_episode(env)
        assert len(installation.launches()) == n_launches
    assert len(installation.running()) == 1


def test_making_an_environment_starts_nothing(installation: Installation):
    Config(map="5m_vs_6m").make()
    assert installation.launches() == []


def test_making_an_environment_imports_neither_pysc2_nor_protobuf(installation: Installation):
    program = (
        "import sys; from macpo.envs.smac.environment import Config; Config().make(); "
        "sys.exit(any(name in sys.modules for name in ('pysc2', 's2clientprotocol', 'google')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_closing_ends_the_game_and_may_be_done_twice(installation: Installation, env: SMACEnv):
    env.reset(0)
    assert len(installation.running()) == 1
    env.close()
    env.close()
    assert installation.running() == []


def test_a_closed_environment_can_be_reset(installation: Installation, env: SMACEnv):
    env.reset(0)
    env.close()
    assert wins_an_episode(env)


def test_an_environment_that_is_forgotten_ends_its_game(installation: Installation):
    env = Config(map="5m_vs_6m", client="pysc2", timeout=20).make()
    env.reset(0)
    del env
    gc.collect()  # a connection that was refused at first leaves a cycle of frames
    assert installation.running() == []


PLAYS = """
import os, sys, time
from macpo.envs.smac.environment import Config
env = Config(map="5m_vs_6m", client="pysc2", timeout=20).make()
env.reset(0)
print("playing", flush=True)
{then}
"""


def wait_for(condition: Callable[[], bool]) -> bool:
    for _ in range(100):
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_a_game_does_not_outlive_a_process_that_ends(installation: Installation):
    subprocess.run([sys.executable, "-c", PLAYS.format(then="")], check=True)
    assert len(installation.launches()) == 1
    assert installation.running() == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_game_does_not_outlive_a_process_that_is_killed(installation: Installation):
    with subprocess.Popen(
        [sys.executable, "-c", PLAYS.format(then="time.sleep(60)")], stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"playing\n"
        (game,) = installation.running()
        worker.kill()
    assert wait_for(lambda: not alive(game))


def test_a_hundred_resets_use_one_game(installation: Installation, env: SMACEnv):
    for _ in range(100):
        env.reset(0)
        env.step(STOP)
    assert len(installation.launches()) == len(installation.running()) == 1


def test_a_replay_of_each_game_is_written_where_one_is_wanted(installation: Installation):
    folder = installation.folder / "replays"
    settings = Config(map="5m_vs_6m", client="pysc2", timeout=20, replay_dir=str(folder))
    with closing(settings.make()) as env:
        env.reset(0)
    (replay,) = folder.iterdir()
    assert replay.suffix == ".SC2Replay"
    assert replay.read_bytes() == b"a replay"
