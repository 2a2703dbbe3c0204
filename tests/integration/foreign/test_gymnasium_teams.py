"""Level-Based Foraging and RWARE themselves keep our promises, and are trained on."""

import copy
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import macpo
from macpo import registry
from macpo.algorithms import VDN
from macpo.interop import check
from macpo.runs.film import Seen, play

NAMES = {"lbforaging": "Foraging-5x5-2p-1f-v3", "rware": "rware-tiny-2ag-v2"}
MODULES = [
    pytest.param(module, marks=pytest.mark.skipif(not found, reason=f"pip install {module}"))
    for module in NAMES
    for found in [__import__("importlib.util").util.find_spec(module)]
]
each = pytest.mark.parametrize("module", MODULES)


def config(module: str, **settings: Any) -> Any:
    options = {"id": f"{module}:{NAMES[module]}", "disable_env_checker": True}
    return registry.make_config("envs", "gymnasium:make", options=options, **settings)


@functools.cache
def made(module: str) -> Any:
    return config(module).make()


@each
def test_it_keeps_every_promise_of_an_environment(module: str) -> None:
    results = list(check.examine(config(module, episode_limit=20).make(), episodes=1))
    wrong = {result.title for result in results if result.findings}
    # LBF keeps agents off the squares on which those of the episode before stood
    repeats = {"The same seed and actions give the same episode"}
    assert wrong <= (repeats if module == "lbforaging" else set())
    assert len(results) > 10


@each
def test_every_step_is_that_of_the_environment_itself(module: str) -> None:
    env = config(module).make()
    theirs = copy.deepcopy(env._env)  # LBF's episodes depend on the one before: the same past
    obs, _ = theirs.reset(seed=3)
    ours, rng = env.reset(3), np.random.default_rng(0)
    for _ in range(30):
        np.testing.assert_array_equal(ours.observation.obs, np.stack(obs).astype(np.float32))
        actions = [int(rng.integers(space.n)) for space in theirs.action_space]
        obs, rewards, ended, cut, _ = theirs.step(actions)
        ours = env.step(np.array(actions))
        assert ours.reward == np.float32(np.sum(rewards))
        assert bool(ours.terminated or ours.truncated) == bool(ended or cut)
        if ended or cut:
            break


@each
def test_time_that_is_up_truncates(module: str) -> None:
    env = made(module)
    env.reset(0)
    for _ in range(env.spec.episode_limit):
        timestep = env.step(np.zeros(env.spec.n_agents, int))  # nobody moves
    assert (bool(timestep.terminated), bool(timestep.truncated)) == (False, True)


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES[:1])
def test_a_run_plays_and_learns(module: str, tmp_path: Path) -> None:
    run = macpo.Run(steps=200, batch_size=4, batch_size_run=2, buffer_size=16, test_nepisode=1)
    env = config(module, episode_limit=20)
    result = macpo.train(macpo.Experiment(env, VDN(rnn_hidden_dim=4), run=run), tmp_path / "run")
    assert result.finished
    policy = macpo.load(tmp_path / "run", trust=True)
    observation = made(module).reset(0).observation
    actions = policy.act(observation.obs, observation.avail_actions)
    assert ((actions >= 0) & (actions < 6)).all()
    filmed = play(policy)  # its renderer needs a display
    assert isinstance(filmed.states[0], Seen) or "its render raised" in filmed.no_pictures
