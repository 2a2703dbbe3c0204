"""JAX environments played step by step from plain Python."""

import jax
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

from macpo.envs.host import HostEnvironment
from macpo.interop.random_play import play
from macpo.interop.to_host import OnHost, on_host
from macpo.types import TimeStep
from tests.support.host_environments import HostCounting
from tests.support.toys import Count, Counting


class Lottery(Counting):
    """Rewards a random number."""

    def step(
        self, key: PRNGKeyArray, state: Count, actions: Int[Array, " N"]
    ) -> tuple[Count, TimeStep]:
        after, timestep = super().step(key, state, actions)
        return after, timestep._replace(reward=jax.random.uniform(key))


def test_a_host_environment_stays_itself():
    env = HostCounting()
    assert on_host(env) is env


def test_a_jax_environment_becomes_a_host_environment_with_its_spec():
    env = Counting()
    player = on_host(env)
    assert isinstance(player, HostEnvironment)
    assert player.spec is env.spec


def test_time_steps_hold_numpy_arrays_of_the_environments_own_episode():
    player = OnHost(Counting())
    first = player.reset(5)
    goal = int(player.state.goal)
    assert goal == int(jax.random.randint(jax.random.split(jax.random.key(5))[1], (), 1, 9))
    np.testing.assert_allclose(first.observation.state, [0, goal / 8])
    second = player.step(np.array([1, 1]))
    np.testing.assert_allclose(second.observation.state, [1 / 8, goal / 8])
    assert second.reward == 1 + 1 + 1
    assert {type(x) for x in jax.tree.leaves((first, second))} == {np.ndarray}


def test_the_state_of_the_environment_is_at_hand():
    player = OnHost(Counting())
    player.reset(0)
    player.step(np.array([0, 0]))
    assert player.state.t == 1


def test_every_step_draws_anew_and_the_same_seed_draws_the_same():
    def rewards(seed: int) -> list[float]:
        player = OnHost(Lottery())
        player.reset(seed)
        return [float(player.step(np.zeros(2, int)).reward) for _ in range(3)]

    assert len(set(rewards(0))) == 3
    assert rewards(0) == rewards(0)
    assert not set(rewards(0)) & set(rewards(1))


def test_a_new_episode_forgets_the_one_before():
    player = OnHost(Lottery())
    once = play(player, seed=1)
    play(player, seed=2)
    again = play(player, seed=1)
    jax.tree.map(np.testing.assert_array_equal, once.timesteps, again.timesteps)
