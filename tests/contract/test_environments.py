"""What every JAX environment promises; a new file in `macpo/envs` is tested without an edit."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo import registry
from macpo.envs.base import Environment
from macpo.envs.host import HostEnvironment
from macpo.types import Observation, TimeStep

N_EPISODES = 8


class Trajectory(NamedTuple):
    """Random play over the whole episode limit; leaves [T, B, ...]."""

    first: tuple[Any, TimeStep]
    state: Any
    timestep: TimeStep


@functools.cache
def environment(name: str) -> Environment:
    return registry.make_config("envs", name).make()


@functools.cache
def compiled_play(name: str) -> Callable[[jax.Array], Trajectory]:
    """Uniform available actions in parallel episodes, played on past their ends."""
    env = environment(name)

    def step(carry: Any, key: jax.Array) -> Any:
        state, avail = carry
        act_key, env_key = jax.random.split(key)
        actions = jax.random.categorical(act_key, jnp.where(avail, 0.0, -jnp.inf))
        keys = jax.random.split(env_key, N_EPISODES)
        after, seen = jax.vmap(env.step)(keys, state, actions)
        return (after, seen.avail_actions), (after, seen)

    @jax.jit
    def play(key: jax.Array) -> Trajectory:
        reset_key, step_key = jax.random.split(key)
        first = jax.vmap(env.reset)(jax.random.split(reset_key, N_EPISODES))
        keys = jax.random.split(step_key, env.spec.episode_limit)
        start = (first[0], first[1].avail_actions)
        return Trajectory(first, *jax.lax.scan(step, start, keys)[1])

    return lambda key: jax.tree.map(np.asarray, play(key))


@functools.cache
def random_play(name: str) -> Trajectory:
    return compiled_play(name)(jax.random.key(0))


def observation(seen: TimeStep) -> Observation:
    return Observation(seen.obs, seen.state, seen.avail_actions)


def assert_same(a: Any, b: Any) -> None:
    """Equal structure, shapes, dtypes and values."""
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x, y, strict=True), a, b)


def dtypes(tree: Any) -> Any:
    return jax.tree.map(lambda x: x.dtype, tree)


def over(trajectory: Trajectory) -> np.ndarray:
    return trajectory.timestep.terminated | trajectory.timestep.truncated


JAX_ENVIRONMENTS = [
    name for name in registry.discover("envs") if not isinstance(environment(name), HostEnvironment)
]
every_environment = pytest.mark.parametrize("name", JAX_ENVIRONMENTS)


@every_environment
def test_the_spec_carries_the_registered_name(name: str) -> None:
    assert environment(name).spec.name == name


@every_environment
def test_shapes_equal_the_spec(name: str) -> None:
    spec = environment(name).spec
    for seen in (random_play(name).first[1], random_play(name).timestep):
        batch = seen.reward.shape
        assert seen.obs.shape == (*batch, spec.n_agents, spec.obs_size)
        assert seen.state.shape == (*batch, spec.state_size)
        assert seen.avail_actions.shape == (*batch, spec.n_agents, spec.n_actions)
        assert seen.terminated.shape == seen.truncated.shape == batch


@every_environment
def test_rewards_are_float32_and_flags_are_booleans(name: str) -> None:
    seen = random_play(name).timestep
    flags = (seen.terminated, seen.truncated, seen.avail_actions)
    assert seen.reward.dtype == np.float32
    assert {flag.dtype for flag in flags} == {np.dtype(bool)}


@every_environment
def test_reset_and_step_return_the_same_kinds_of_arrays(name: str) -> None:
    trajectory = random_play(name)
    stepped = (trajectory.state, trajectory.timestep)
    assert dtypes(trajectory.first) == dtypes(stepped)


@every_environment
def test_the_first_time_step_has_no_reward_and_ends_nothing(name: str) -> None:
    _, first = random_play(name).first
    assert not first.reward.any()
    assert not (first.terminated | first.truncated).any()


@every_environment
def test_reset_and_step_are_the_same_eager_compiled_and_under_vmap(name: str) -> None:
    env = environment(name)

    def reset_and_step(key: jax.Array) -> Any:
        state, first = env.reset(key)
        return (state, first), env.step(key, state, jnp.argmax(first.avail_actions, -1))

    keys = jax.random.split(jax.random.key(3), N_EPISODES)
    batched = jax.jit(jax.vmap(reset_and_step))(keys)
    expected = jax.tree.map(lambda x: x[0], batched)
    assert_same(reset_and_step(keys[0]), expected)
    assert_same(jax.jit(reset_and_step)(keys[0]), expected)


@every_environment
def test_the_same_key_gives_the_same_trajectory(name: str) -> None:
    play = compiled_play(name)
    assert_same(play(jax.random.key(1)), play(jax.random.key(1)))


@every_environment
def test_every_agent_always_has_an_available_action(name: str) -> None:
    trajectory = random_play(name)
    assert trajectory.first[1].avail_actions.any(-1).all()
    assert trajectory.timestep.avail_actions.any(-1).all()


@every_environment
def test_a_time_step_shows_what_observe_sees_of_its_state(name: str) -> None:
    observe = jax.jit(jax.vmap(environment(name).observe))
    state, first = random_play(name).first
    assert_same(observe(state), observation(first))
    assert_same(jax.vmap(observe)(random_play(name).state), observation(random_play(name).timestep))


@every_environment
def test_a_recalled_memory_equals_the_observation_exactly(name: str) -> None:
    env = environment(name)
    recall = jax.jit(jax.vmap(jax.vmap(lambda state: env.recall(env.remember(state)))))
    trajectory = random_play(name)
    assert_same(recall(trajectory.state), observation(trajectory.timestep))


@every_environment
def test_episodes_end_within_the_episode_limit(name: str) -> None:
    assert over(random_play(name)).any(0).all()


@every_environment
def test_a_step_never_begins_a_new_episode(name: str) -> None:
    ended = over(random_play(name))
    np.testing.assert_array_equal(ended, np.logical_or.accumulate(ended, 0))


@every_environment
def test_an_episode_is_never_both_terminated_and_truncated(name: str) -> None:
    seen = random_play(name).timestep
    assert not (seen.terminated & seen.truncated).any()


@every_environment
def test_returns_stay_within_their_bounds(name: str) -> None:
    bounds = environment(name).spec.return_bounds
    if bounds is None:
        pytest.skip("this environment does not know the bounds of its return")
    trajectory = random_play(name)
    played = np.roll(over(trajectory), 1, 0)
    played[0] = False
    returns = np.where(played, 0.0, trajectory.timestep.reward).sum(0)
    assert (returns >= bounds[0]).all()
    assert (returns <= bounds[1]).all()
