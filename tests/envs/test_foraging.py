"""Level-Based Foraging on hand-made scenes.

`tests/integration/foreign/test_lbforaging.py` plays beside the original.
"""

import functools
from typing import Any

import jax
import numpy as np
import pytest

from macpo.envs.foraging import (
    EAST,
    LOAD,
    NONE,
    NORTH,
    SOUTH,
    WEST,
    ForagingEnv,
    LevelBasedForaging,
    State,
)
from macpo.errors import UsageError
from macpo.types import Observation

KEY = jax.random.key(0)
GONE = (-1, -1, 0)


@functools.cache
def made(config: LevelBasedForaging) -> ForagingEnv:
    return config.make()


@functools.cache
def compiled(env: ForagingEnv) -> tuple[Any, Any]:
    """Its step, its observation, and its state where everything has a place."""
    return jax.jit(env.step), jax.jit(env.observe), jax.jit(env.initial_state)


def scene(
    agents: list[tuple[int, int, int]], food: list[tuple[int, int, int]], **options: Any
) -> tuple[ForagingEnv, State]:
    """The game with these (row, column, level)."""
    config = LevelBasedForaging(n_agents=len(agents), n_food=len(food), **options)
    a, f = np.array(agents), np.array(food)
    env = made(config)
    return env, compiled(env)[2](a[:, :2], a[:, 2], f[:, :2], f[:, 2])


def play(env: ForagingEnv, state: State, *actions: int) -> tuple[State, Any]:
    return compiled(env)[0](KEY, state, np.array(actions))


def observe(env: ForagingEnv, state: State) -> Observation:
    return compiled(env)[1](state)


def places(state: State) -> list[tuple[int, ...]]:
    return [tuple(map(int, row)) for row in state.agent]


# --- moving ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "place"),
    [(NONE, (4, 4)), (NORTH, (3, 4)), (SOUTH, (5, 4)), (WEST, (4, 3)), (EAST, (4, 5))],
)
def test_an_agent_moves_by_one_cell(action: int, place: tuple[int, int]) -> None:
    assert places(play(*scene([(4, 4, 1)], [(1, 1, 1)]), action)[0]) == [place]


@pytest.mark.parametrize(("action", "place"), [(NORTH, (0, 0)), (WEST, (0, 0)), (SOUTH, (7, 7))])
def test_nobody_leaves_the_grid(action: int, place: tuple[int, int]) -> None:
    assert places(play(*scene([(*place, 1)], [(3, 3, 1)]), action)[0]) == [place]


def test_food_is_in_the_way_until_it_is_gone() -> None:
    env, state = scene([(3, 4, 1)], [(3, 3, 1), (6, 6, 1)])
    assert places(play(env, state, WEST)[0]) == [(3, 4)]
    state, _ = play(env, state, LOAD)
    assert places(play(env, state, WEST)[0]) == [(3, 3)]


def test_agents_who_want_the_same_cell_stay_where_they_are() -> None:
    env, state = scene([(4, 3, 1), (4, 5, 1)], [(1, 1, 1)])
    assert places(play(env, state, EAST, WEST)[0]) == [(4, 3), (4, 5)]


def test_nobody_moves_onto_one_who_stays_but_onto_one_who_leaves_and_two_may_change_places() -> (
    None
):
    env, state = scene([(4, 3, 1), (4, 4, 1)], [(1, 1, 1)])
    assert places(play(env, state, EAST, NONE)[0]) == [(4, 3), (4, 4)]
    assert places(play(env, state, EAST, EAST)[0]) == [(4, 4), (4, 5)]
    assert places(play(env, state, EAST, WEST)[0]) == [(4, 4), (4, 3)]


# --- lifting --------------------------------------------------------------------------------------

TWO_FOODS = [(3, 3, 3), (6, 6, 1)]  # 4 levels in all


def test_food_is_lifted_by_those_whose_levels_add_up_to_its_own_and_earns_its_share() -> None:
    env, state = scene([(2, 3, 1), (3, 2, 2)], TWO_FOODS)
    state, timestep = play(env, state, LOAD, LOAD)
    assert float(timestep.reward) == 3 / 4
    assert state.food_level.tolist() == [0, 1]
    assert not timestep.terminated


def test_levels_that_do_not_add_up_lift_nothing() -> None:
    env, state = scene([(2, 3, 2), (3, 2, 1)], TWO_FOODS)
    for actions in ((LOAD, NONE), (NONE, LOAD)):
        after, timestep = play(env, state, *actions)
        assert (float(timestep.reward), after.food_level.tolist()) == (0, [3, 1])


def test_every_agent_that_loads_in_vain_costs_the_penalty() -> None:
    env, state = scene([(2, 3, 1), (3, 2, 1), (6, 5, 1)], TWO_FOODS, penalty=0.1)
    _, timestep = play(env, state, LOAD, LOAD, LOAD)
    assert float(timestep.reward) == pytest.approx(1 / 4 - 0.2)


def test_loading_beside_no_food_does_nothing_and_costs_nothing() -> None:
    env, state = scene([(0, 0, 1)], TWO_FOODS, penalty=0.1)
    assert float(play(env, state, LOAD)[1].reward) == 0


def test_without_normalisation_food_earns_its_level_times_those_that_lift_it() -> None:
    env, state = scene([(2, 3, 2), (3, 2, 2)], TWO_FOODS, normalise_reward=False)
    assert float(play(env, state, LOAD, LOAD)[1].reward) == 2 * 3 + 2 * 3
    assert env.spec.return_bounds is None


def test_an_agent_cannot_load_while_it_walks() -> None:
    env, state = scene([(2, 2, 1), (3, 2, 2)], TWO_FOODS)
    after, timestep = play(env, state, EAST, LOAD)  # the first arrives beside the food
    assert (float(timestep.reward), after.food_level.tolist()) == (0, [3, 1])


# --- ends -----------------------------------------------------------------------------------------


def test_the_last_food_ends_the_episode_even_in_the_last_step() -> None:
    env, state = scene([(2, 3, 1)], [(3, 3, 1)], episode_limit=1)
    timestep = play(env, state, LOAD)[1]
    assert (bool(timestep.terminated), bool(timestep.truncated)) == (True, False)
    assert float(timestep.reward) == 1


def test_time_that_is_up_truncates() -> None:
    env, state = scene([(2, 3, 1)], [(3, 3, 1)], episode_limit=2)
    state, first = play(env, state, NONE)
    second = play(env, state, NONE)[1]
    assert [bool(t.truncated) for t in (first, second)] == [False, True]
    assert not second.terminated


# --- what is seen ---------------------------------------------------------------------------------


def seen(env: ForagingEnv, state: State) -> list[list[tuple[int, ...]]]:
    """(row, column, level) of food and agents, as each agent sees them."""
    obs = np.asarray(observe(env, state).obs)
    return [[tuple(map(int, triple)) for triple in row.reshape(-1, 3)] for row in obs]


def test_with_the_whole_grid_in_sight_cells_are_counted_from_its_corner_and_one_is_first() -> None:
    env, state = scene([(4, 4, 1), (0, 7, 2)], [(6, 6, 1), (1, 2, 3)])
    food = [(1, 2, 3), (6, 6, 1)]  # by rows
    assert seen(env, state) == [
        [*food, (4, 4, 1), (0, 7, 2)],
        [*food, (0, 7, 2), (4, 4, 1)],
    ]


def test_windows_are_counted_from_their_own_corner_and_what_is_outside_is_gone() -> None:
    env, state = scene([(4, 4, 1), (5, 6, 2), (7, 7, 1)], [(3, 3, 2), (1, 1, 1)], sight=2)
    first = seen(env, state)[0]
    assert first == [(1, 1, 2), GONE, (2, 2, 1), (3, 4, 2), GONE]


def test_at_the_upper_left_border_agents_are_seen_farther_away_than_food() -> None:
    env, state = scene([(0, 0, 1), (4, 4, 2)], [(4, 3, 1), (2, 2, 1)], sight=2)
    assert seen(env, state)[0] == [(2, 2, 1), GONE, (0, 0, 1), (4, 4, 2)]


def test_the_state_is_all_observations() -> None:
    env, state = scene([(4, 4, 1), (0, 7, 2)], [(6, 6, 1)])
    observation = observe(env, state)
    np.testing.assert_array_equal(observation.state, observation.obs.reshape(-1))


def test_actions_that_do_nothing_are_masked_only_if_asked() -> None:
    places = [(0, 0, 1), (2, 3, 1)], [(3, 3, 1)]
    env, state = scene(*places)
    assert observe(env, state).avail_actions.all()
    env, state = scene(*places, mask_invalid_actions=True)
    avail = observe(env, state).avail_actions.astype(int).tolist()
    assert avail == [[1, 0, 1, 0, 1, 0], [1, 1, 0, 1, 1, 1]]


# --- beginnings -----------------------------------------------------------------------------------


def starts(n: int = 300, **options: Any) -> State:
    env = LevelBasedForaging(**options).make()
    reset = jax.jit(jax.vmap(lambda key: env.reset(key)[0]))
    return jax.device_get(reset(jax.random.split(KEY, n)))


def test_food_keeps_clear_of_the_border_of_agents_and_of_other_food() -> None:
    state = starts(n_agents=3, n_food=4)
    assert (state.food_level > 0).any(1).all()
    for agent, food, level in zip(state.agent, state.food, state.food_level, strict=True):
        food = food[level > 0].astype(int)
        assert ((food > 0) & (food < 7)).all()
        assert not (food[:, None] == agent).all(-1).any()
        assert len({*map(tuple, agent)}) == 3
        apart = np.abs(food[:, None] - food)
        near = (apart.max(-1) <= 1) | ((apart.min(-1) == 0) & (apart.sum(-1) <= 2))
        assert near.sum() == len(food)  # each is near itself alone
        assert (np.diff(food @ [8, 1]) > 0).all()  # by rows


def test_levels_lie_within_their_bounds_and_take_every_value() -> None:
    state = starts(n_agents=4, n_food=1, max_agent_level=3)
    assert {*state.agent_level.ravel().tolist()} == {1, 2, 3}
    top = np.sort(state.agent_level, 1)[:, :3].sum(1)
    assert (state.food_level[:, 0] <= top).all() and {*state.food_level.ravel().tolist()} >= {1, 3}
    assert (state.spawned == state.food_level.sum(1)).all()


def test_forced_cooperation_gives_all_food_the_highest_level() -> None:
    state = starts(n_agents=2, n_food=2, force_coop=True)
    levels = state.agent_level.sum(1, keepdims=True)
    assert (state.food_level == levels).all()
    fixed = starts(n_food=2, force_coop=True, max_food_level=5)
    assert (fixed.food_level == 5).all()


def test_food_that_finds_no_room_is_left_out() -> None:
    state = starts(height=3, width=3, n_agents=2, n_food=2)  # the middle is the only cell for it
    n_food = (state.food_level > 0).sum(1)
    middle_is_taken = (state.agent == 1).all(-1).any(1)
    assert (n_food == np.where(middle_is_taken, 0, 1)).all()


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"min_agent_level": 3}, "must not be above max_agent_level"),
        ({"height": 3, "width": 3, "n_agents": 9}, "more than the 9 cells of a 3×3 grid"),
        ({"height": 2}, "height must be between 3 and 127"),
        ({"max_agent_level": 99}, "max_agent_level must be between 1 and 40"),
        ({"penalty": -1.0}, "penalty must be at least 0"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        LevelBasedForaging(**options)
