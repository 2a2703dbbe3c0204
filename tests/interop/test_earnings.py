"""What random play earned, for a person to judge."""

import numpy as np

from macpo.envs.host import numpy_time_step
from macpo.interop.earnings import earnings
from macpo.interop.random_play import Episode
from macpo.types import Spec, TimeStep

SPEC = Spec("paid", n_agents=2, n_actions=3, obs_size=1, state_size=1, episode_limit=3)


def timestep(reward: float = 0.0, terminated: bool = False, truncated: bool = False) -> TimeStep:
    """The first action is always available, the last one to the second agent only."""
    avail = [[1, 1, 0], [1, 0, 1]]
    return numpy_time_step([[0], [0]], [0], avail, reward, terminated, truncated, {})


def episode(*timesteps: TimeStep, actions: list[list[int]]) -> Episode:
    return Episode(0, (timestep(), *timesteps), tuple(map(np.array, actions)), ())


TWO = (
    episode(timestep(1.0), timestep(2.5, terminated=True), actions=[[0, 2], [1, 2]]),
    episode(timestep(0.5, truncated=True), actions=[[0, 0]]),
)


def test_returns_lengths_and_ends_are_told() -> None:
    assert earnings(SPEC, TWO)[:2] == (
        "2 episodes of random actions: return 0.5 to 3.5 (mean 2), length 1 to 2 (mean 1.5)",
        "ends: 1 terminated, 1 truncated",
    )


def test_how_often_each_action_was_available_and_taken_is_told() -> None:
    assert earnings(SPEC, TWO)[2] == (
        "actions, available and taken in so many choices of an agent: "
        "0: 100%, 50%; 1: 50%, 17%; 2: 50%, 33%"
    )


def test_play_that_earns_nothing_stands_out() -> None:
    unpaid = episode(timestep(), timestep(terminated=True), actions=[[0, 0], [0, 0]])
    assert earnings(SPEC, [unpaid])[0].endswith("length 2 to 2 (mean 2); no step was rewarded")


def test_an_episode_that_ends_before_it_begins_earns_nothing() -> None:
    assert earnings(SPEC, [Episode(0, (timestep(truncated=True),), (), ())]) == (
        "no step was played",
    )
