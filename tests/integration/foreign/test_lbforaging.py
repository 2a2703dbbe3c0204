"""Level-Based Foraging beside the original: every observation, reward, end and valid action."""

from typing import Any

import jax
import numpy as np
import pytest

from macpo.envs.foraging import LOAD, LevelBasedForaging
from tests.support.later import needed

needed("lbforaging", "needs another project: pip install lbforaging==2.0.0")

GAMES: dict[str, dict[str, Any]] = {
    "Foraging-8x8-2p-2f-v3": {},
    "Foraging-5x5-2p-1f-v3": {"height": 5, "width": 5, "n_food": 1},
    "Foraging-2s-8x8-2p-2f-coop-v3": {"sight": 2, "force_coop": True},
    "Foraging-2s-10x10-3p-3f-v3": {
        **{"height": 10, "width": 10, "n_agents": 3, "n_food": 3, "sight": 2}
    },
    "Foraging-15x15-4p-4f-v3": {"height": 15, "width": 15, "n_agents": 4, "n_food": 4},
}
EPISODES = 6


def original(name: str, **options: Any) -> Any:
    import gymnasium

    return gymnasium.make(f"lbforaging:{name}", disable_env_checker=True, **options).unwrapped


def situation(theirs: Any, n_food: int) -> tuple[np.ndarray, ...]:
    """Their state as our `initial_state` takes it."""
    food = np.argwhere(theirs.field > 0)
    level = theirs.field[theirs.field > 0]
    return (
        np.array([player.position for player in theirs.players]),
        np.array([player.level for player in theirs.players]),
        np.pad(food, [(0, n_food - len(food)), (0, 0)]),
        np.pad(level, (0, n_food - len(level))),
    )


def towards_food(theirs: Any, player: Any, rng: np.random.Generator) -> int:
    """Mostly a step towards the nearest food, or loading beside it."""
    food = np.argwhere(theirs.field > 0)
    if rng.random() < 0.3 or not len(food):
        return int(rng.integers(6))
    away = food - player.position
    row, column = away[np.abs(away).sum(1).argmin()]
    if abs(row) + abs(column) == 1:
        return LOAD
    if abs(row) >= abs(column):
        return 1 if row < 0 else 2
    return 3 if column < 0 else 4


@pytest.mark.parametrize("penalty", [0.0, 0.1])
@pytest.mark.parametrize("name", GAMES)
def test_every_step_is_that_of_the_original(name: str, penalty: float) -> None:
    options = GAMES[name]
    theirs = original(name, penalty=penalty)
    env = LevelBasedForaging(**options, penalty=penalty, mask_invalid_actions=True).make()
    begin, step, observe = map(jax.jit, (env.initial_state, env.step, env.observe))
    total = 0.0
    for episode in range(EPISODES):
        rng = np.random.default_rng(episode)
        obs, _ = theirs.reset(seed=episode)
        state = begin(*situation(theirs, env.config.n_food))
        observation, over = observe(state), False
        while True:
            np.testing.assert_array_equal(observation.obs, np.stack(obs))
            valid = [[a in theirs._valid_actions[p] for a in _actions()] for p in theirs.players]
            np.testing.assert_array_equal(observation.avail_actions, valid)
            if over:
                break
            actions = [towards_food(theirs, player, rng) for player in theirs.players]
            obs, rewards, over, _, _ = theirs.step(actions)
            state, timestep = step(jax.random.key(0), state, np.array(actions))
            observation = timestep.observation
            assert float(timestep.reward) == pytest.approx(sum(rewards), abs=1e-6)
            assert bool(timestep.terminated or timestep.truncated) == over
            assert bool(timestep.terminated) == (theirs.field.sum() == 0)
            total += max(float(timestep.reward), 0)
    assert total > 0.5


def _actions() -> Any:
    from lbforaging.foraging.environment import Action

    return Action


def test_episodes_begin_as_the_original_s_do() -> None:
    """Levels of agents and food, and cells of food, are as likely; 2,000 episodes of each."""
    env, n = LevelBasedForaging().make(), 2_000
    keys = jax.random.split(jax.random.key(0), n)
    ours = jax.device_get(jax.jit(jax.vmap(lambda key: env.reset(key)[0]))(keys))
    levels, cells = np.zeros(5), np.zeros((8, 8))
    theirs = original("Foraging-8x8-2p-2f-v3")
    for seed in range(n):
        theirs.reset(seed=seed)
        levels += np.bincount(theirs.field[theirs.field > 0], minlength=5)
        cells += theirs.field > 0
    found = np.bincount(ours.food_level.ravel(), minlength=5)
    # five standard errors of the difference of two counts
    assert (abs(found - levels) <= 5 * np.sqrt(2 * np.maximum(levels, 1))).all()
    placed = np.zeros((8, 8))
    np.add.at(placed, tuple(ours.food.reshape(-1, 2).T), 1)
    assert (abs(placed - cells) <= 5 * np.sqrt(2 * np.maximum(cells, 1))).all()
