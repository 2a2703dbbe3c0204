"""Trained policies: greedy, within what is available, seed by seed."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import macpo
from macpo.runs import arrays
from macpo.runs.directory import RunDirectory
from macpo.runs.film import play
from macpo.runs.policy import PolicyState
from tests.runs.conftest import SMALL


def test_a_loaded_policy_acts_greedily_with_available_actions_only(whole: Path):
    env = SMALL.env.make()
    policy = macpo.load(whole)
    _, timestep = jax.jit(env.reset)(jax.random.key(1))
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
    wrong = r"avail_actions must have shape \(3, 2, 6\) in 3 environments, not \(2, 6\)"
    with pytest.raises(macpo.UsageError, match=wrong):
        policy.act(some_observations(3), np.ones((2, 6)))


@pytest.mark.parametrize("obs", ["here", None, [[1, 2], [3]]])
def test_a_policy_refuses_what_is_no_array_of_numbers(whole: Path, obs: Any):
    with pytest.raises(macpo.UsageError, match="obs must be an array of numbers"):
        macpo.load(whole).act(obs)


def test_a_policy_plays_in_one_environment_at_least(whole: Path):
    policy = macpo.load(whole)
    with pytest.raises(macpo.UsageError, match="n_envs must be at least 1, not 0"):
        policy.initial_state(0)
    with pytest.raises(macpo.UsageError, match="n_envs must be at least 1, not 0"):
        policy.act(some_observations(0))


def some_observations(n_envs: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (n_envs, 2, 75))


def test_a_policy_says_which_run_and_seed_it_is_of(whole: Path):
    policy = macpo.load(whole)
    assert policy.seed == 0
    assert repr(policy) == f"Policy('{whole}', seed=0)"


def test_a_batch_of_environments_is_played_as_each_of_them_alone(whole: Path):
    policy, obs = macpo.load(whole), some_observations(3)
    together = [policy.act(obs), policy.act(obs[::-1])]
    for b in range(3):
        policy.reset()
        np.testing.assert_array_equal(policy.act(obs[b]), together[0][b])
        np.testing.assert_array_equal(policy.act(obs[::-1][b]), together[1][b])


def test_an_episode_does_not_change_its_number_of_environments(whole: Path):
    policy = macpo.load(whole)
    policy.act(some_observations(3))
    with pytest.raises(macpo.UsageError, match=r"begun in 3 environments and cannot go on in 2"):
        policy.act(some_observations(2))
    policy.reset()
    assert policy.act(some_observations(2)).shape == (2, 2)


def test_exploration_is_uniform_at_one_and_the_same_after_a_reset_with_its_seed(whole: Path):
    policy, obs = macpo.load(whole), some_observations(600)
    policy.reset(seed=4)
    actions = policy.act(obs, epsilon=1.0)
    np.testing.assert_allclose(np.bincount(actions.ravel()) / actions.size, 1 / 6, atol=0.05)
    policy.reset()
    assert (policy.act(obs, epsilon=1.0) != actions).any()
    policy.reset(seed=4)
    np.testing.assert_array_equal(policy.act(obs, epsilon=1.0), actions)


def test_an_exploration_beyond_one_is_refused(whole: Path):
    with pytest.raises(macpo.UsageError, match="epsilon must be between 0 and 1"):
        macpo.load(whole).act(some_observations(1), epsilon=1.5)


def test_a_step_is_what_act_does_and_changes_nothing(whole: Path):
    policy, obs = macpo.load(whole), some_observations(3)
    begin = policy.initial_state(3)
    state, first = policy.step(begin, obs)
    _, second = policy.step(state, obs)
    np.testing.assert_array_equal(policy.step(begin, obs)[1], first)
    np.testing.assert_array_equal(policy.act(obs), first)
    np.testing.assert_array_equal(policy.act(obs), second)
    assert all(leaf.shape[0] == 3 for leaf in jax.tree.leaves(state))


def test_a_step_can_be_compiled_with_others(whole: Path):
    policy, obs = macpo.load(whole), some_observations(3)

    @jax.jit
    def five(state: PolicyState) -> tuple[PolicyState, Any]:
        return jax.lax.scan(lambda s, _: policy.step(s, obs), state, length=5)

    _, actions = five(policy.initial_state(3))
    for expected in actions:
        np.testing.assert_array_equal(policy.act(obs), expected)


def test_a_step_refuses_what_does_not_belong_together(whole: Path):
    policy, obs = macpo.load(whole), some_observations(3)
    wrong = r"obs must have shape \(2, 2, 75\) in 2 environments, not \(3, 2, 75\)"
    with pytest.raises(macpo.UsageError, match=wrong):
        policy.step(policy.initial_state(2), obs)
    wrong = r"obs must have shape \(3, 2, 75\) in 3 environments, not \(2, 75\)"
    with pytest.raises(macpo.UsageError, match=wrong):
        policy.step(policy.initial_state(3), obs[0])
    with pytest.raises(macpo.UsageError, match="an epsilon needs a key"):
        policy.step(policy.initial_state(3), obs, epsilon=0.1)


def test_a_seed_that_was_not_trained_is_refused(whole: Path):
    with pytest.raises(macpo.UsageError, match="has seeds 0 to 0, not 3"):
        macpo.load(whole, seed=3)


# --- other teams ----------------------------------------------------------------------------------


def test_an_environment_of_other_sizes_is_refused(whole: Path):
    with pytest.raises(macpo.UsageError, match="cannot play two-step, which has n_actions"):
        macpo.load(whole, env="two-step")


def test_more_agents_on_a_larger_grid_each_act_as_one_of_two_would(whole: Path):
    """An agent of Predator-Prey is told neither its index nor the state."""
    larger = replace(SMALL.env, height=6, width=6, n_predators=4, n_prey=3)
    policy, two = macpo.load(whole, env=larger), macpo.load(whole)
    obs = np.random.default_rng(1).integers(0, 2, (4, 75))
    actions = policy.act(obs)
    np.testing.assert_array_equal(actions[:2], two.act(obs[:2]))
    two.reset()
    np.testing.assert_array_equal(actions[2:], two.act(obs[2:]))
    assert play(policy).actions.shape[1] == 4


# --- which parameters -----------------------------------------------------------------------------


def test_the_best_parameters_are_those_of_the_best_evaluation(whole: Path, tmp_path: Path):
    run = RunDirectory(shutil.copytree(whole, tmp_path / "run"))
    best = arrays.read(run.best)
    doubled = {name: 2 * x for name, x in best.arrays.items()}
    arrays.write(run.best, doubled, best.info)
    policy = macpo.load(run.path, which="best")
    expected = doubled["value.agent.head.bias"][0]
    np.testing.assert_array_equal(policy.params.value.agent.head.bias, expected)
    assert repr(policy) == f"Policy('{run.path}', seed=0, which='best')"
    assert policy.step(policy.initial_state(), some_observations(1))[1].shape == (1, 2)


def test_other_parameters_than_last_and_best_are_refused(whole: Path):
    other: Any = "first"
    with pytest.raises(macpo.UsageError, match="which must be"):
        macpo.load(whole, which=other)


def test_best_parameters_that_are_missing_or_damaged_are_told_in_a_sentence(
    whole: Path, tmp_path: Path
):
    run = RunDirectory(shutil.copytree(whole, tmp_path / "run"))
    data = bytearray(run.best.read_bytes())
    data[-1] ^= 1
    run.best.write_bytes(data)
    with pytest.raises(macpo.UsageError, match=r"best\.safetensors is damaged: .* makes it again"):
        macpo.load(run.path, which="best")
    run.best.unlink()
    with pytest.raises(macpo.UsageError, match=r"no best\.safetensors yet: the run has not ended"):
        macpo.load(run.path, which="best")
    assert macpo.load(run.path).seed == 0


def test_a_run_without_a_checkpoint_has_no_policy_yet(whole: Path, tmp_path: Path):
    (tmp_path / "experiment.json").write_bytes((whole / "experiment.json").read_bytes())
    with pytest.raises(macpo.UsageError, match=r"has no model\.safetensors yet"):
        macpo.load(tmp_path)
