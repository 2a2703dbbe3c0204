"""The episodes of films."""

from pathlib import Path

import numpy as np

import macpo
from macpo.runs.film import play


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
