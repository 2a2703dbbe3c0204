"""The NumPy environment of `tests.support` against transitions recorded from the authors'."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.paths import DATA
from tests.support.predator_prey_numpy import Choices, PredatorPreyNumpy

GOLDEN = DATA / "predator_prey_golden.npz"
N_TRANSITIONS = 4114


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def load(env: PredatorPreyNumpy, golden: dict[str, np.ndarray], snapshot: int) -> None:
    names = ("agent_pos", "prey_pos", "agent_active", "prey_alive")
    env.set_positions(*(golden[name][snapshot] for name in names))


def assert_at(env: PredatorPreyNumpy, golden: dict[str, np.ndarray], snapshot: int) -> None:
    active, alive = golden["agent_active"][snapshot], golden["prey_alive"][snapshot]
    np.testing.assert_array_equal(env.agent_active, active)
    np.testing.assert_array_equal(env.prey_alive, alive)
    agent_pos, prey_pos = np.array(env.agent_pos), np.array(env.prey_pos)
    np.testing.assert_array_equal(agent_pos[active], golden["agent_pos"][snapshot][active])
    np.testing.assert_array_equal(prey_pos[alive], golden["prey_pos"][snapshot][alive])
    np.testing.assert_array_equal(env.get_obs(), golden["obs"][snapshot])
    np.testing.assert_array_equal(env.get_state(), golden["state"][snapshot])
    np.testing.assert_array_equal(env.get_avail_actions(), golden["avail_actions"][snapshot])


def test_every_recorded_episode_is_replayed_exactly(golden: dict[str, np.ndarray]) -> None:
    env = PredatorPreyNumpy(punishment=-2.0)
    k = 0
    for snapshot, first in enumerate(golden["first"]):
        if first:
            # Only resets are loaded: in between, the reference must find its own way.
            load(env, golden, snapshot)
            assert_at(env, golden, snapshot)
            continue
        names = ("agent_order", "prey_order", "prey_uniform")
        choices = Choices(*(golden[name][k] for name in names))
        reward, terminated, truncated = env.step(golden["actions"][k], choices)
        assert_at(env, golden, snapshot)
        assert reward == golden["reward"][k]
        assert (terminated or truncated) == golden["env_done"][k]
        # The recorded flag is raised at the limit even if the hunt ends on that very step.
        at_limit = env.t == env.episode_limit
        assert (truncated or (terminated and at_limit)) == golden["episode_limit"][k]
        k += 1
    assert k == N_TRANSITIONS


def test_a_reset_uses_every_cell_of_a_full_grid_once() -> None:
    env = PredatorPreyNumpy(height=3, width=4, n_predators=5, n_prey=7)
    env.reset(np.random.default_rng(0))
    assert sorted(env.agent_pos + env.prey_pos) == [(r, c) for r in range(3) for c in range(4)]


def test_drawn_choices_are_permutations_and_uniforms() -> None:
    env = PredatorPreyNumpy(n_predators=5, n_prey=3)
    choices = env.draw_choices(np.random.default_rng(0))
    assert sorted(choices.agent_order) == [0, 1, 2, 3, 4]
    assert sorted(choices.prey_order) == [0, 1, 2]
    assert choices.prey_uniform.shape == (3,)
    assert ((choices.prey_uniform >= 0) & (choices.prey_uniform < 1)).all()
