"""Trained policies: greedy, within what is available, seed by seed."""

from pathlib import Path

import jax
import numpy as np
import pytest

import macpo
from macpo.runs.policy import play
from tests.runs.conftest import SMALL


def test_a_loaded_policy_acts_greedily_with_available_actions_only(whole: Path):
    env = SMALL.env.make()
    policy = macpo.load(whole)
    _, timestep = env.reset(jax.random.key(1))
    actions = policy.act(timestep.observation.obs, timestep.observation.avail_actions)
    assert actions.shape == (2,)
    assert np.asarray(timestep.observation.avail_actions)[np.arange(2), actions].all()
    policy.reset()
    again = policy.act(timestep.observation.obs, timestep.observation.avail_actions)
    np.testing.assert_array_equal(actions, again)


def test_a_policy_refuses_arrays_of_another_shape(whole: Path):
    policy = macpo.load(whole)
    with pytest.raises(macpo.UsageError, match=r"obs must have shape \(2, 75\)"):
        policy.act(np.zeros((2, 7)))
    with pytest.raises(macpo.UsageError, match="at least one available action"):
        policy.act(np.zeros((2, 75)), np.zeros((2, 6)))


def test_a_seed_that_was_not_trained_is_refused(whole: Path):
    with pytest.raises(macpo.UsageError, match="has seeds 0 to 0, not 3"):
        macpo.load(whole, seed=3)


def test_an_environment_of_other_sizes_is_refused(whole: Path):
    with pytest.raises(macpo.UsageError, match="cannot play two-step, which has n_actions"):
        macpo.load(whole, env="two-step")


def test_a_run_without_a_checkpoint_has_no_policy_yet(whole: Path, tmp_path: Path):
    (tmp_path / "experiment.json").write_bytes((whole / "experiment.json").read_bytes())
    with pytest.raises(macpo.UsageError, match=r"has no model\.safetensors yet"):
        macpo.load(tmp_path)


def test_a_filmed_episode_is_the_one_that_its_states_and_actions_tell(whole: Path):
    policy = macpo.load(whole)
    episode = play(policy, seed=5)
    assert len(episode.states) == len(episode.actions) + 1 == len(episode.rewards) + 1
    policy.reset()
    for state, actions in zip(episode.states, episode.actions, strict=False):
        observation = policy.trainer.env.observe(state)
        np.testing.assert_array_equal(
            policy.act(observation.obs, observation.avail_actions), actions
        )
