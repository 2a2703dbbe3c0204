"""Our environments as PettingZoo's: its own tests, and what is mapped to what."""

from typing import Any

import jax
import numpy as np
import pytest
from pettingzoo import ParallelEnv

import macpo
from macpo import registry
from macpo.envs.host import HostEnvironment
from macpo.errors import UsageError
from macpo.interop import factory
from tests.support.foreign_games import Relay, Skirmish
from tests.support.toys import Counting, Unlike


def skirmish() -> Any:
    return factory.config_class("games:Skirmish", Skirmish)().make()


def relay() -> Any:
    return factory.config_class("games:Relay", Relay)(info=("clock",)).make()


def compiled() -> dict[str, Any]:
    """Makers of the JAX environments that the registry knows, those of new files too."""
    makers = {name: registry.make_config("envs", name).make for name in registry.discover("envs")}
    return {name: make for name, make in makers.items() if not isinstance(make(), HostEnvironment)}


OURS = {make.__name__: make for make in (Counting, Unlike, skirmish, relay)} | compiled()


@pytest.mark.filterwarnings("ignore:The old environment creation API")  # theirs, on import
@pytest.mark.parametrize("make", OURS.values(), ids=OURS)
def test_it_passes_the_tests_of_pettingzoo(make: Any) -> None:
    from pettingzoo.test import parallel_api_test, parallel_seed_test

    env = make()
    again = make
    if not isinstance(env, HostEnvironment):
        again = lambda: env  # it has no state  # noqa: E731
        # compiled once, whoever asks for it
        vars(env).update(reset=jax.jit(env.reset), step=jax.jit(env.step))
    parallel_api_test(macpo.to_pettingzoo(env), num_cycles=20)
    parallel_seed_test(lambda: macpo.to_pettingzoo(again()), num_cycles=20)


def test_it_is_a_parallel_env_whose_spaces_hold_what_it_shows() -> None:
    env = macpo.to_pettingzoo(Counting())
    assert isinstance(env, ParallelEnv)
    obs, _ = env.reset(seed=3)
    for agent in env.agents:
        assert env.observation_space(agent).contains(obs[agent])
    assert env.state_space.contains(env.state())
    assert env.action_space("agent_1").n == 3


def test_infos_hold_the_masks_and_the_numbers_of_the_environment() -> None:
    env = macpo.to_pettingzoo(relay())
    _, infos = env.reset(seed=0)
    assert infos["agent_1"]["action_mask"].tolist() == [0, 1, 1, 0]
    assert infos["agent_1"]["clock"] == 0


def test_every_agent_gets_the_team_s_reward() -> None:
    env = macpo.to_pettingzoo(Counting(most_steps=9))
    env.reset(seed=0)
    _, rewards, _, _, _ = env.step({"agent_0": 1, "agent_1": 1})
    assert rewards == {"agent_0": 3.0, "agent_1": 3.0}


def test_an_unavailable_action_is_replaced_by_the_first_available_one() -> None:
    env = macpo.to_pettingzoo(Unlike())
    env.reset(seed=0)
    env.step(dict.fromkeys(env.agents, 1))
    _, rewards, _, _, infos = env.step(dict.fromkeys(env.agents, 3))
    assert infos["agent_0"]["action_mask"].tolist() == [1, 1, 0, 0]
    assert rewards["agent_0"] == 2  # agents 0 and 2 can only do 1, agent 1 can do 3


def test_flags_are_kept_apart_and_an_ended_episode_has_no_agents() -> None:
    env = macpo.to_pettingzoo(Counting(episode_limit=1, most_steps=9))
    env.reset(seed=2)
    obs, _, terminations, truncations, _ = env.step(dict.fromkeys(env.agents, 0))
    ends = set(terminations.values()), set(truncations.values())
    assert ends == ({False}, {True})
    assert env.agents == []
    assert obs["agent_0"][0] == np.float32(1 / 8)  # one step of eight
    assert env.step({}) == ({}, {}, {}, {}, {})


def test_a_seed_repeats_the_episodes_after_it_too() -> None:
    starts = []
    for _ in range(2):
        env = macpo.to_pettingzoo(Counting(most_steps=1000))
        first = env.reset(seed=5)[0]["agent_0"].tolist()
        starts.append([first, *(env.reset()[0]["agent_0"].tolist() for _ in range(3))])
    assert starts[0] == starts[1]
    assert len({tuple(start) for start in starts[0]}) == 4


def test_a_forgotten_agent_is_named() -> None:
    env = macpo.to_pettingzoo(Counting())
    env.reset(seed=0)
    with pytest.raises(UsageError, match=r"none for \['agent_1'\]"):
        env.step({"agent_0": 0})


def test_a_state_before_the_first_episode_is_refused() -> None:
    with pytest.raises(UsageError, match="call reset first"):
        macpo.to_pettingzoo(Counting()).state()


def test_there_and_back_again_is_the_same_environment() -> None:
    def make() -> Any:
        return macpo.to_pettingzoo(Unlike())

    back = factory.config_class("games:back", make)(team_reward="mean", episode_limit=3).make()
    timesteps = [back.reset(0), *(back.step(np.array([1, 3, 2])) for _ in range(3))]
    assert [float(timestep.reward) for timestep in timesteps] == [0, 3, 3, 3]
    assert [bool(timestep.terminated) for timestep in timesteps] == [False, False, False, True]
    np.testing.assert_array_equal(
        timesteps[1].observation.avail_actions, Unlike().observe(np.int32(1))[2]
    )
