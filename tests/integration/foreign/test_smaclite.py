"""SMAClite itself through Gymnasium's factory: it keeps our promises but one, and is trained on.

It is in no registry: `pip install git+https://github.com/uoe-agents/smaclite` (tried at 0d6abbe).
"""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import macpo
from macpo import registry
from macpo.algorithms import VDN
from macpo.interop import check
from tests.support.later import needed

needed("smaclite", "needs SMAClite, which is in no registry")

ID = "smaclite:smaclite/3s_vs_5z-v0"


@functools.cache
def config() -> Any:
    options = {"id": ID, "disable_env_checker": True}
    settings = {"options": options, "episode_limit": 30, "info": ("battle_won",)}
    return registry.make_config("envs", "gymnasium:make", **settings)


def test_it_keeps_every_promise_of_an_environment_but_that_of_its_first_state() -> None:
    results = list(check.examine(config().make(), episodes=1))
    wrong = {result.title for result in results if result.findings}
    # the state after `reset` still has the last actions of the episode before
    assert wrong == {"The same seed and actions give the same episode"}
    assert len(results) > 10


def test_every_step_is_that_of_the_environment_itself() -> None:
    import gymnasium

    theirs: Any = gymnasium.make(ID, disable_env_checker=True)
    obs, _ = theirs.reset(seed=3)
    env, rng = config().make(), np.random.default_rng(0)
    ours = env.reset(3)
    for _ in range(20):
        np.testing.assert_array_equal(ours.observation.obs, np.stack(obs))
        np.testing.assert_array_equal(ours.observation.state, theirs.unwrapped.get_state())
        avail = np.array(theirs.unwrapped.get_avail_actions(), bool)
        np.testing.assert_array_equal(ours.observation.avail_actions, avail)
        actions = [int(rng.choice(np.flatnonzero(row))) for row in avail]
        obs, reward, ended, _, info = theirs.step(actions)
        ours = env.step(np.array(actions))
        assert ours.reward == np.float32(reward)
        assert bool(ours.terminated) == ended
        assert float(ours.info["battle_won"]) == info["battle_won"]
        if ended:
            break


@pytest.mark.slow
def test_a_run_plays_and_learns(tmp_path: Path) -> None:
    run = macpo.Run(steps=90, batch_size=2, batch_size_run=1, buffer_size=8, test_nepisode=1)
    experiment = macpo.Experiment(config(), VDN(rnn_hidden_dim=4), run=run)
    assert macpo.train(experiment, tmp_path / "run").finished
    rows = macpo.evaluate(tmp_path / "run", 1, trust=True)
    assert "test_battle_won_mean" in rows[0]
