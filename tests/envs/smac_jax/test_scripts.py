"""Scripted policies of one battle that is set up by hand."""

from typing import Any

import jax
import numpy as np
import pytest
import scipy.stats

import macpo
from macpo.envs.smac_jax import scripts
from macpo.envs.smac_jax.features import EAST, NO_OP, NORTH, SOUTH, STOP, WEST

ENV = macpo.make_env("smac-jax", map="3m")
KEY = jax.random.key(0)
FIRST_ENEMY = 6
AVAILABLE = np.ones((3, 9), bool)
AVAILABLE[:, NO_OP] = False


def battle(x: list[float], y: list[float], **changes: Any) -> Any:
    """Three marines against three, wherever they are wanted."""
    state, _ = jax.eval_shape(ENV.reset, KEY)
    full = np.asarray(ENV.dynamics.units.health[:, 0])
    zeros = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), state.battle)
    return zeros._replace(
        x=np.array(x, np.float32), y=np.array(y, np.float32), health=full
    )._replace(**changes)


def chosen(script: scripts.Script, placed: Any, available: np.ndarray = AVAILABLE) -> list[int]:
    return script(KEY, ENV.dynamics, placed, np.array(available)).tolist()


FAR = battle(x=[10, 10, 10, 20, 10, 4], y=[16, 15, 14, 16, 26, 14])


def test_chance_draws_available_actions_equally_often():
    some = np.zeros((3, 9), bool)
    some[:, [1, 4, 7]] = True
    draw = jax.vmap(lambda key: scripts.at_random(key, ENV.dynamics, FAR, np.array(some)))
    counts = np.bincount(np.ravel(draw(jax.random.split(KEY, 2000))), minlength=9)
    assert counts[[1, 4, 7]].sum() == 6000
    assert scipy.stats.chisquare(counts[[1, 4, 7]]).pvalue > 1e-3


def test_those_who_live_stop_and_the_dead_do_nothing():
    available = AVAILABLE.copy()
    available[1] = np.arange(9) == NO_OP
    assert chosen(scripts.all_stop, FAR, available) == [STOP, NO_OP, STOP]


def test_the_nearest_enemy_is_shot_at():
    placed = battle(x=[10, 10, 10, 14, 12, 11], y=[16, 12, 8, 16, 12, 8])
    assert chosen(scripts.nearest, placed) == [FIRST_ENEMY, FIRST_ENEMY + 1, FIRST_ENEMY + 2]


def test_the_dead_are_nobodys_target():
    health = np.array([45.0, 45, 45, 0, 45, 45], np.float32)
    placed = battle(x=[10, 10, 10, 11, 13, 14], y=[16, 16, 16, 16, 16, 16], health=health)
    assert chosen(scripts.nearest, placed) == [FIRST_ENEMY + 1] * 3


@pytest.mark.parametrize(
    ("x", "y", "step"), [(20, 17, EAST), (1, 17, WEST), (11, 28, NORTH), (11, 2, SOUTH)]
)
def test_an_enemy_out_of_reach_is_approached_along_the_longer_way(x: float, y: float, step: int):
    far = AVAILABLE.copy()
    far[:, FIRST_ENEMY:] = False
    placed = battle(x=[10, 10, 10, x, x, x], y=[16, 16, 16, y, y, y])
    assert chosen(scripts.nearest, placed, far) == [step] * 3


def test_a_marine_that_is_ready_shoots_the_weakest_in_reach():
    health = np.array([45.0, 45, 45, 30, 10, 20], np.float32)
    placed = battle(x=[10, 10, 10, 15, 15, 15], y=[16, 16, 16, 16, 15, 17], health=health)
    assert chosen(scripts.kite, placed) == [FIRST_ENEMY + 1] * 3


def test_between_two_shots_it_runs_from_the_enemies():
    cooldown = np.array([10.0, 10, 10, 0, 0, 0], np.float32)
    placed = battle(x=[14, 14, 14, 18, 18, 18], y=[16, 16, 16, 16, 16, 16], cooldown=cooldown)
    assert chosen(scripts.kite, placed) == [WEST] * 3


def test_it_runs_from_an_enemy_too_near_even_if_it_could_shoot():
    placed = battle(x=[14, 14, 14, 16, 16, 16], y=[16, 16, 16, 16, 16, 16])
    assert chosen(scripts.kite, placed) == [WEST] * 3
