"""Predator-Prey: recorded transitions, an independent reference, hand-made scenes, statistics."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from macpo.bench.environment import random_play
from macpo.envs import predator_prey
from macpo.envs.predator_prey import Choices, Config, PredatorPreyEnv, State
from macpo.errors import UsageError
from tests.support.paths import DATA
from tests.support.predator_prey_numpy import PredatorPreyNumpy

GOLDEN = DATA / "predator_prey_golden.npz"
N_TRANSITIONS = 4114
RIGHT, DOWN, LEFT, UP, STAY, CATCH = range(6)

Cell = tuple[int, int] | None  # None: captured or frozen


# --- helpers --------------------------------------------------------------------------------------


def assert_trees_equal(actual: Any, expected: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def assert_uniform(counts: np.ndarray) -> None:
    """Chi-square against equal expected counts; the seeds are fixed, so this never flickers."""
    assert scipy.stats.chisquare(counts).pvalue > 1e-3, counts


def cells_of(positions: np.ndarray, present: np.ndarray, env: PredatorPreyEnv) -> np.ndarray:
    """(row, column) pairs as the cell numbers the environment's state holds."""
    positions = positions.astype(int)
    numbers = positions[..., 0] * env.config.width + positions[..., 1]
    return np.where(present, numbers, env.gone)


@functools.cache
def small() -> PredatorPreyEnv:
    """Three predators and two prey on 5x5: the stage of the hand-made scenes."""
    return Config(5, 5, n_predators=3, n_prey=2, episode_limit=9, punishment=-2.0).make()


@functools.cache
def compiled_transition(n_catchers: int) -> Callable[..., Any]:
    return jax.jit(replace(small().config, n_catchers=n_catchers).make().transition)


@functools.cache
def compiled_observe() -> Callable[..., Any]:
    return jax.jit(small().observe)


def scene(env: PredatorPreyEnv, agents: list[Cell], prey: list[Cell], t: int = 0) -> State:
    return env.initial_state(
        np.array([cell or (0, 0) for cell in agents]),
        np.array([cell or (0, 0) for cell in prey]),
        np.array([cell is not None for cell in agents]),
        np.array([cell is not None for cell in prey]),
        t=t,
    )


class Outcome(NamedTuple):
    agents: list[Cell]
    prey: list[Cell]
    timestep: Any


def play(
    agents: list[Cell],
    prey: list[Cell],
    actions: list[int],
    agent_order: tuple[int, ...] = (0, 1, 2),
    prey_order: tuple[int, ...] = (0, 1),
    prey_uniform: tuple[float, ...] = (0.0, 0.0),
    t: int = 0,
    n_catchers: int = 2,
) -> Outcome:
    """One transition on the small stage with explicit choices."""
    env = small()
    choices = Choices(np.array(agent_order), np.array(prey_order), np.array(prey_uniform))
    state, timestep = compiled_transition(n_catchers)(
        scene(env, agents, prey, t), np.array(actions), choices
    )

    def unpack(cells: jax.Array) -> list[Cell]:
        return [None if c == env.gone else divmod(c, env.config.width) for c in cells.tolist()]

    return Outcome(unpack(state.agent_cell), unpack(state.prey_cell), timestep)


def many_steps(env: PredatorPreyEnv, state: State, actions: list[int], n: int) -> State:
    """`n` independent outcomes of one step from the same situation."""
    keys = jax.random.split(jax.random.key(7), n)
    step = jax.jit(jax.vmap(lambda key: env.step(key, state, np.array(actions))[0]))
    return jax.tree.map(np.asarray, step(keys))


# --- recorded from the authors' environment -------------------------------------------------------


class Replay(NamedTuple):
    """A recorded transition and the environment's own result for it."""

    env: PredatorPreyEnv
    golden: dict[str, np.ndarray]
    before: np.ndarray
    """Snapshot number before each transition; the one after it is the next."""
    t: np.ndarray
    observation: Any
    encoded: Any
    state: State
    timestep: Any


@pytest.fixture(scope="module")
def replay() -> Replay:
    with np.load(GOLDEN, allow_pickle=False) as file:
        golden = {name: file[name] for name in file.files}
    env = Config(punishment=-2.0).make()
    first = golden["first"]
    last_of_episode = np.append(first[1:], True)
    before = np.flatnonzero(~last_of_episode)
    starts = np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))
    all_t = np.arange(len(first)) - starts
    t = all_t[before]
    names = ("agent_pos", "prey_pos", "agent_active", "prey_alive")
    snapshots = env.initial_state(*(golden[name] for name in names), t=all_t)
    states = env.initial_state(*(golden[name][before] for name in names), t=t)
    choices = Choices(
        np.asarray(golden["agent_order"]),
        np.asarray(golden["prey_order"]),
        np.asarray(golden["prey_uniform"], np.float32),
    )
    observation = jax.jit(jax.vmap(env.observe))(snapshots)
    encoded = jax.jit(jax.vmap(env.encode))(snapshots)
    actions = np.asarray(golden["actions"])
    after, timestep = jax.jit(jax.vmap(env.transition))(states, actions, choices)
    return Replay(env, golden, before, t, observation, encoded, after, timestep)


def test_the_recording_holds_the_expected_transitions(replay: Replay) -> None:
    assert len(replay.before) == len(replay.golden["actions"]) == N_TRANSITIONS


@pytest.mark.parametrize("field", ["obs", "state", "avail_actions"])
def test_every_recorded_snapshot_is_observed_exactly(replay: Replay, field: str) -> None:
    place = {"obs": 0, "state": 1, "avail_actions": 2}[field]
    np.testing.assert_array_equal(replay.observation[place], replay.golden[field])


@pytest.mark.parametrize("field", ["obs", "state", "avail_actions"])
def test_every_recorded_transition_shows_the_same_afterwards(replay: Replay, field: str) -> None:
    expected = replay.golden[field][replay.before + 1]
    np.testing.assert_array_equal(getattr(replay.timestep.observation, field), expected)


@pytest.mark.parametrize(
    ("cells", "positions", "present"),
    [("agent_cell", "agent_pos", "agent_active"), ("prey_cell", "prey_pos", "prey_alive")],
)
def test_every_recorded_transition_moves_everybody_alike(
    replay: Replay, cells: str, positions: str, present: str
) -> None:
    after = replay.before + 1
    expected = cells_of(replay.golden[positions][after], replay.golden[present][after], replay.env)
    np.testing.assert_array_equal(getattr(replay.state, cells), expected)


def test_every_recorded_reward_is_reproduced(replay: Replay) -> None:
    np.testing.assert_array_equal(replay.timestep.reward, replay.golden["reward"])


def test_every_recorded_end_is_reproduced(replay: Replay) -> None:
    terminated = np.asarray(replay.timestep.terminated)
    truncated = np.asarray(replay.timestep.truncated)
    after = replay.before + 1
    active, alive = replay.golden["agent_active"][after], replay.golden["prey_alive"][after]
    over = ~active.any(1) | ~alive.any(1)
    np.testing.assert_array_equal(terminated, over)
    np.testing.assert_array_equal(terminated | truncated, replay.golden["env_done"])
    # The recorded flag is raised at the limit even if the hunt ends on that very step.
    at_limit = replay.t + 1 == replay.env.spec.episode_limit
    np.testing.assert_array_equal(
        truncated | (terminated & at_limit), replay.golden["episode_limit"]
    )
    np.testing.assert_array_equal(replay.state.t, replay.t + 1)


def test_a_decoded_state_is_the_observation(replay: Replay) -> None:
    decoded = jax.jit(jax.vmap(replay.env.decode))(replay.encoded)
    assert_trees_equal(tuple(decoded), tuple(replay.observation))


def test_an_encoded_state_takes_one_byte_per_animal(replay: Replay) -> None:
    n_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(replay.encoded))
    assert n_bytes == 16 * len(replay.golden["first"])


# --- step by step against the NumPy reference -----------------------------------------------------


def reference_episode(
    env: PredatorPreyNumpy, rng: np.random.Generator
) -> tuple[list[Any], list[dict[str, Any]]]:
    """Play one whole episode; return the initial placement and everything about every step."""
    env.reset(rng)
    start = [np.array(x) for x in (env.agent_pos, env.prey_pos, env.agent_active, env.prey_alive)]
    # Some hunters are keen, so that captures happen; some also try what is not available.
    keenness, obedience = rng.choice([0.0, 0.8]), rng.choice([0.5, 1.0])
    steps = []
    while True:
        avail = env.get_avail_actions()
        allowed = avail | (rng.random((env.n_predators, 1)) >= obedience)
        actions = (rng.random(avail.shape) * allowed).argmax(1)
        keen = avail[:, CATCH] & (rng.random(env.n_predators) < keenness)
        actions = np.where(keen, CATCH, actions)
        choices = env.draw_choices(rng)
        reward, terminated, truncated = env.step(actions, choices)
        steps.append(
            {
                "actions": actions,
                "agent_order": choices.agent_order,
                "prey_order": choices.prey_order,
                "prey_uniform": choices.prey_uniform,
                "obs": env.get_obs(),
                "state": env.get_state(),
                "avail_actions": env.get_avail_actions(),
                "agent_pos": np.array(env.agent_pos),
                "prey_pos": np.array(env.prey_pos),
                "agent_active": np.array(env.agent_active),
                "prey_alive": np.array(env.prey_alive),
                "reward": np.float32(reward),
                "terminated": terminated,
                "truncated": truncated,
            }
        )
        if terminated or truncated:
            return start, steps


# Three sizes, from 15×17 on, reach the ends of the cell numbers' narrow types.
@pytest.mark.parametrize(
    ("size", "n_catchers", "punishment", "block_occupied_moves"),
    [
        ((10, 10, 8, 8, 200), 2, 0.0, False),
        ((15, 17, 16, 16, 40), 2, -1.5, True),
        ((16, 16, 16, 16, 40), 2, -1.5, True),
        ((1, 200, 20, 20, 20), 2, -1.5, True),
        ((7, 5, 3, 4, 50), 1, -1.5, False),
        ((12, 12, 12, 12, 200), 3, -4.0, False),
        ((5, 5, 9, 6, 50), 4, -1.5, True),
    ],
)
def test_whole_episodes_agree_with_the_numpy_reference(
    size: tuple[int, ...], n_catchers: int, punishment: float, block_occupied_moves: bool
) -> None:
    height, width, n, m, limit = size
    arguments: dict[str, Any] = {
        "height": height,
        "width": width,
        "n_predators": n,
        "n_prey": m,
        "n_catchers": n_catchers,
        "episode_limit": limit,
        "punishment": punishment,
        "block_occupied_moves": block_occupied_moves,
    }
    env = Config(**arguments).make()
    rng = np.random.default_rng(20)
    episodes = [reference_episode(PredatorPreyNumpy(**arguments), rng) for _ in range(10)]

    def padded(name: str) -> np.ndarray:
        rows = [np.stack([step[name] for step in steps]) for _, steps in episodes]
        return np.stack([np.pad(r, [(0, limit - len(r))] + [(0, 0)] * (r.ndim - 1)) for r in rows])

    happened = np.stack([np.arange(limit) < len(steps) for _, steps in episodes])
    expected = {name: padded(name)[happened] for name in episodes[0][1][0]}
    assert (expected["reward"] >= 7).any(), "no capture: this comparison would show too little"

    def rollout(state: State, actions: jax.Array, choices: Choices) -> Any:
        def body(state: State, inputs: Any) -> Any:
            state, timestep = env.transition(state, *inputs)
            return state, (state, timestep)

        return jax.lax.scan(body, state, (actions, choices))[1]

    starts = [np.stack(parts) for parts in zip(*(start for start, _ in episodes), strict=True)]
    initial = env.initial_state(*starts, t=np.zeros(len(episodes), np.int32))
    choices = Choices(*(np.asarray(padded(name)) for name in Choices._fields))
    states, timesteps = jax.jit(jax.vmap(rollout))(initial, np.asarray(padded("actions")), choices)

    fields = timesteps.observation._asdict() | timesteps._asdict()
    for name in ("obs", "state", "avail_actions", "reward", "terminated", "truncated"):
        actual = np.asarray(fields[name])[happened]
        np.testing.assert_array_equal(actual, expected[name], err_msg=name)
    for who, present in (("agent", "agent_active"), ("prey", "prey_alive")):
        actual = np.asarray(getattr(states, f"{who}_cell"))[happened]
        cells = cells_of(expected[f"{who}_pos"], expected[present], env)
        np.testing.assert_array_equal(actual, cells, err_msg=who)


# --- hand-made scenes: moving ---------------------------------------------------------------------


def test_turns_laid_out_for_an_accelerator_are_those_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def played() -> Any:
        env = Config(5, 5, n_predators=4, n_prey=3, punishment=-2.0).make()
        return jax.jit(lambda key: random_play(env, key, n=16, steps=30))(jax.random.key(0))

    looped = played()
    monkeypatch.setattr(predator_prey, "on_accelerator", lambda: True)
    laid_out = played()
    assert_trees_equal(laid_out, looped)
    rewards = np.asarray(looped[2])
    assert (rewards > 0).any() and (rewards < 0).any()


def test_moves_go_right_down_left_and_up() -> None:
    for action, target in ((RIGHT, (2, 3)), (DOWN, (3, 2)), (LEFT, (2, 1)), (UP, (1, 2))):
        out = play([(2, 2), None, None], [(0, 0), None], [action, STAY, STAY])
        assert out.agents[0] == target


def test_a_move_into_another_agents_cell_does_nothing() -> None:
    out = play([(2, 2), (2, 3), None], [(0, 0), None], [RIGHT, STAY, STAY])
    assert out.agents == [(2, 2), (2, 3), None]


def test_a_move_into_a_living_preys_cell_does_nothing() -> None:
    out = play([(2, 2), None, None], [(2, 3), None], [RIGHT, STAY, STAY])
    assert out.agents[0] == (2, 2)


def test_a_move_off_the_grid_does_nothing() -> None:
    out = play([(0, 0), (4, 4), (0, 4)], [(2, 2), None], [UP, RIGHT, RIGHT])
    assert out.agents == [(0, 0), (4, 4), (0, 4)]


def test_the_cells_of_the_frozen_and_the_captured_are_free() -> None:
    # Everybody who is gone was stored at (0, 0).
    out = play([(0, 1), None, None], [None, (4, 4)], [LEFT, STAY, STAY])
    assert out.agents[0] == (0, 0)


@pytest.mark.parametrize(("order", "winner"), [((0, 1, 2), 0), ((2, 1, 0), 1)])
def test_the_agent_earlier_in_the_order_gets_a_contested_cell(
    order: tuple[int, ...], winner: int
) -> None:
    out = play([(2, 1), (2, 3), None], [(0, 0), None], [RIGHT, LEFT, STAY], agent_order=order)
    expected: list[Cell] = [(2, 1), (2, 3), None]
    expected[winner] = (2, 2)
    assert out.agents == expected


@pytest.mark.parametrize(
    ("order", "follower"), [((0, 1, 2), (2, 2)), ((1, 0, 2), (2, 1)), ((1, 2, 0), (2, 1))]
)
def test_an_agent_can_follow_only_one_that_has_already_left(
    order: tuple[int, ...], follower: Cell
) -> None:
    out = play([(2, 2), (2, 1), None], [(0, 0), None], [RIGHT, RIGHT, STAY], agent_order=order)
    assert out.agents == [(2, 3), follower, None]


def test_a_frozen_agents_action_does_nothing() -> None:
    # Its stale position would be next to the prey: two catchers, were it still there.
    out = play([(1, 0), None, (4, 4)], [(1, 1), None], [CATCH, CATCH, STAY])
    assert out.timestep.reward == -2
    assert out.agents == [(1, 0), None, (4, 4)]


def test_a_prey_takes_free_direction_number_floor_of_u_times_their_count() -> None:
    four = [(2, 3), (3, 2), (2, 1), (1, 2)]
    for u in (0.0, 0.2499, 0.25, 0.4999, 0.5, 0.7499, 0.75, 0.9999):
        out = play([(0, 0), None, None], [(2, 2), None], [STAY] * 3, prey_uniform=(u, 0.0))
        assert out.prey[0] == four[int(u * 4)]
    # An agent in the cell below leaves right, left and up.
    three = [(2, 3), (2, 1), (1, 2)]
    for u in (0.0, 0.3333, 0.3334, 0.6666, 0.6667, 0.9999):
        out = play([(3, 2), None, None], [(2, 2), None], [STAY] * 3, prey_uniform=(u, 0.0))
        assert out.prey[0] == three[int(u * 3)]


def test_the_uniform_numbers_belong_to_the_processing_order() -> None:
    prey: list[Cell] = [(1, 1), (3, 3)]
    uniform = (0.0, 0.5)  # the first takes its first direction, right; the second goes left
    out = play([(0, 4), None, None], prey, [STAY] * 3, prey_uniform=uniform)
    assert out.prey == [(1, 2), (3, 2)]
    swapped = play([(0, 4), None, None], prey, [STAY] * 3, (0, 1, 2), (1, 0), uniform)
    assert swapped.prey == [(1, 0), (3, 4)]


def test_an_enclosed_prey_stays() -> None:
    out = play([(0, 1), (1, 0), None], [(0, 0), None], [STAY] * 3, prey_uniform=(0.9, 0.0))
    assert out.prey[0] == (0, 0)


def test_a_prey_moves_onto_the_cell_that_an_agent_left_in_the_same_step() -> None:
    out = play([(0, 1), (1, 0), None], [(0, 0), None], [STAY, DOWN, STAY])
    assert out.prey[0] == (1, 0)


# --- hand-made scenes: catching -------------------------------------------------------------------


def test_a_lone_catcher_next_to_two_prey_pays_twice() -> None:
    out = play([(2, 2), (0, 0), (4, 4)], [(2, 1), (2, 3)], [CATCH, STAY, STAY])
    assert out.timestep.reward == -4
    assert None not in out.agents + out.prey


def test_a_prey_with_a_lone_catcher_still_moves() -> None:
    out = play([(2, 2), None, None], [(2, 3), None], [CATCH, STAY, STAY])
    assert out.prey[0] == (2, 4)


def test_two_catchers_capture_and_are_frozen() -> None:
    out = play([(2, 1), (2, 3), (0, 0)], [(2, 2), (4, 4)], [CATCH, CATCH, STAY])
    assert out.timestep.reward == 10
    assert out.agents == [None, None, (0, 0)]
    assert out.prey[0] is None


def test_three_catchers_around_one_prey_capture_once_and_all_vanish() -> None:
    out = play([(1, 2), (3, 2), (2, 1)], [(2, 2), (4, 4)], [CATCH] * 3)
    assert out.timestep.reward == 10
    assert out.agents == [None, None, None]
    assert out.prey[0] is None
    assert out.prey[1] is not None


def test_a_neighbour_that_does_not_catch_neither_helps_nor_is_frozen() -> None:
    out = play([(2, 1), (2, 3), (1, 2)], [(2, 2), (4, 4)], [CATCH, CATCH, STAY])
    assert out.agents == [None, None, (1, 2)]
    alone = play([(2, 1), (2, 3), None], [(2, 2), (4, 4)], [CATCH, STAY, STAY])
    assert alone.timestep.reward == -2
    assert alone.agents == [(2, 1), (2, 3), None]


def test_a_diagonal_catcher_does_not_count() -> None:
    out = play([(1, 1), (3, 3), None], [(2, 2), None], [CATCH, CATCH, STAY])
    assert out.timestep.reward == 0
    assert out.agents == [(1, 1), (3, 3), None]


def test_rows_do_not_wrap_around_for_catchers() -> None:
    # (1, 4) and (2, 0) have neighbouring cell numbers but lie at opposite edges.
    out = play([(1, 4), (1, 0), None], [(2, 0), None], [CATCH, CATCH, STAY])
    assert out.timestep.reward == -2


@pytest.mark.parametrize(("order", "reward"), [((0, 1), 10), ((1, 0), 8)])
def test_a_frozen_catcher_no_longer_counts_for_later_prey(
    order: tuple[int, ...], reward: float
) -> None:
    # Agent 0 is next to both prey, agent 1 only to prey 0.
    out = play([(2, 2), (1, 1), (4, 4)], [(2, 1), (2, 3)], [CATCH, CATCH, STAY], (0, 1, 2), order)
    assert out.timestep.reward == reward
    assert out.agents == [None, None, (4, 4)]


@pytest.mark.parametrize(("order", "cell"), [((0, 1), (1, 0)), ((1, 0), (0, 0))])
def test_a_captured_preys_cell_is_free_for_prey_that_are_processed_later(
    order: tuple[int, ...], cell: Cell
) -> None:
    agents: list[Cell] = [(0, 1), (1, 1), (2, 0)]
    out = play(agents, [(1, 0), (0, 0)], [STAY, CATCH, CATCH], (0, 1, 2), order)
    assert out.prey == [None, cell]


# --- hand-made scenes: captures by more or fewer than two -----------------------------------------

AROUND: list[Cell] = [(1, 2), (3, 2), (2, 1)]
"""Three cells beside (2, 2)."""


def test_where_three_are_needed_two_who_try_are_punished_once_and_hunt_on() -> None:
    out = play(AROUND, [(2, 2), (4, 4)], [CATCH, CATCH, STAY], n_catchers=3)
    assert out.timestep.reward == -2
    assert out.agents == AROUND
    assert out.prey[0] == (2, 3)  # it steps to the only free cell


def test_where_three_are_needed_three_capture_and_are_frozen() -> None:
    out = play(AROUND, [(2, 2), (4, 4)], [CATCH] * 3, n_catchers=3)
    assert out.timestep.reward == 10
    assert out.agents == [None] * 3
    assert out.prey[0] is None


def test_where_three_are_needed_a_prey_in_a_corner_is_safe_from_all() -> None:
    out = play([(0, 1), (1, 0), (1, 1)], [(0, 0), (4, 4)], [CATCH] * 3, n_catchers=3)
    assert out.timestep.reward == -2
    assert None not in out.agents + out.prey


def test_a_prey_at_the_edge_has_room_for_three_catchers() -> None:
    out = play([(0, 1), (0, 3), (1, 2)], [(0, 2), (4, 4)], [CATCH] * 3, n_catchers=3)
    assert out.timestep.reward == 10


@pytest.mark.parametrize(("order", "reward"), [((0, 1), 10), ((1, 0), 8)])
def test_catchers_of_two_prey_count_for_both_until_a_capture_takes_them(
    order: tuple[int, ...], reward: float
) -> None:
    # All three stand beside prey 0, two of them beside prey 1 as well: two too few are punished
    # unless the capture has already frozen them.
    agents: list[Cell] = [(2, 1), (1, 2), (3, 2)]
    out = play(agents, [(2, 2), (1, 1)], [CATCH] * 3, (0, 1, 2), order, n_catchers=3)
    assert out.timestep.reward == reward
    assert out.agents == [None] * 3
    assert out.prey[0] is None
    assert out.prey[1] is not None


def test_where_one_is_enough_nobody_is_punished() -> None:
    out = play([(2, 1), (0, 0), (4, 4)], [(2, 2), (4, 0)], [CATCH, STAY, STAY], n_catchers=1)
    assert out.timestep.reward == 10
    assert out.agents == [None, (0, 0), (4, 4)]


# --- hand-made scenes: ends -----------------------------------------------------------------------


def test_the_last_prey_caught_terminates_and_does_not_truncate() -> None:
    out = play([(2, 1), (2, 3), (0, 0)], [(2, 2), None], [CATCH, CATCH, STAY])
    assert out.agents[2] is not None
    assert out.timestep.terminated
    assert not out.timestep.truncated


def test_the_last_agent_frozen_terminates() -> None:
    out = play([(2, 1), (2, 3), None], [(2, 2), (4, 4)], [CATCH, CATCH, STAY])
    assert out.prey[1] is not None
    assert out.timestep.terminated
    assert not out.timestep.truncated


def test_a_hunt_that_ends_exactly_at_the_limit_terminates_and_does_not_truncate() -> None:
    out = play([(2, 1), (2, 3), None], [(2, 2), (4, 4)], [CATCH, CATCH, STAY], t=8)
    assert out.timestep.terminated
    assert not out.timestep.truncated


@pytest.mark.parametrize(("t", "truncated"), [(7, False), (8, True)])
def test_the_limit_truncates_and_does_not_terminate(t: int, truncated: bool) -> None:
    out = play([(0, 0), None, None], [(2, 2), None], [STAY] * 3, t=t)
    assert out.timestep.truncated == truncated
    assert not out.timestep.terminated


def test_step_returns_the_final_state_and_does_not_reset() -> None:
    env = small()
    state = scene(env, [(2, 1), (2, 3), None], [(2, 2), (4, 4)], t=8)
    state, timestep = jax.jit(env.step)(jax.random.key(0), state, np.array([CATCH, CATCH, STAY]))
    assert timestep.terminated
    assert state.t == 9
    assert (np.asarray(state.agent_cell) == env.gone).all()
    shown = np.asarray(timestep.observation.state).reshape(5, 5, 3).sum((0, 1))
    np.testing.assert_array_equal(shown, [0, 1, 0])


# --- hand-made scenes: observations and available actions -----------------------------------------


def test_a_frozen_agent_sees_zeros_and_can_only_stay() -> None:
    out = play([(2, 1), (2, 3), (2, 0)], [(2, 2), (4, 4)], [CATCH, CATCH, STAY])
    assert not np.asarray(out.timestep.observation.obs[:2]).any()
    only_stay = np.arange(6) == STAY
    np.testing.assert_array_equal(out.timestep.observation.avail_actions[0], only_stay)
    np.testing.assert_array_equal(out.timestep.observation.avail_actions[1], only_stay)
    # The third agent sees itself only: those who are gone left the grid.
    assert np.asarray(out.timestep.observation.obs[2]).sum() == 1


def test_the_window_shows_agents_and_prey_within_two_cells() -> None:
    obs, _, _ = compiled_observe()(scene(small(), [(1, 1), (3, 3), (4, 1)], [(0, 3), (1, 4)]))
    windows = np.asarray(obs).reshape(3, 5, 5, 3)
    expected = np.zeros((5, 5, 3), int)
    expected[2, 2, 0] = 1  # itself
    expected[4, 4, 0] = 1  # agent 1, two down and two right; agent 2 is three rows away
    expected[1, 4, 1] = 1  # prey 0, one up and two right; prey 1 is three columns away
    np.testing.assert_array_equal(windows[0], expected)


def test_the_state_is_the_grid_with_agents_and_prey_in_their_channels() -> None:
    _, state, _ = compiled_observe()(scene(small(), [(1, 1), None, (4, 3)], [None, (0, 4)]))
    expected = np.zeros((5, 5, 3), int)
    expected[1, 1, 0] = expected[4, 3, 0] = expected[0, 4, 1] = 1
    np.testing.assert_array_equal(state, expected.ravel())


def test_moves_off_the_grid_are_unavailable() -> None:
    _, _, avail = compiled_observe()(scene(small(), [(0, 0), (4, 4), (0, 2)], [(2, 2), None]))
    expected = [
        [True, True, False, False, True, False],
        [False, False, True, True, True, False],
        [True, True, True, False, True, False],
    ]
    np.testing.assert_array_equal(avail, expected)


def test_catch_is_available_only_next_to_a_living_prey() -> None:
    agents: list[Cell] = [(2, 1), (1, 1), (1, 4)]  # adjacent; diagonal; across the edge's wrap
    _, _, avail = compiled_observe()(scene(small(), agents, [(2, 2), (2, 0)]))
    np.testing.assert_array_equal(avail[:, CATCH], [True, False, False])
    _, _, avail = compiled_observe()(scene(small(), [(0, 1), (1, 0), None], [None, (4, 4)]))
    np.testing.assert_array_equal(avail[:, CATCH], [False, False, False])


@pytest.mark.parametrize("block", [False, True])
def test_moves_into_occupied_cells_are_available_unless_blocked(block: bool) -> None:
    env = Config(5, 5, n_predators=3, n_prey=2, block_occupied_moves=block).make()
    # Agent 0 has an agent at its right and a prey below; left and up are empty.
    _, _, avail = jax.jit(env.observe)(scene(env, [(2, 2), (2, 3), None], [(3, 2), None]))
    np.testing.assert_array_equal(avail[0], [not block, not block, True, True, True, True])


# --- the interface --------------------------------------------------------------------------------


def test_the_spec_has_the_sizes_of_the_arrays() -> None:
    env = Config(height=7, width=5, n_predators=3, n_prey=4, episode_limit=50).make()
    assert env.spec.n_agents == 3
    assert env.spec.n_actions == 6
    assert env.spec.obs_size == 75
    assert env.spec.state_size == 7 * 5 * 3
    assert env.spec.episode_limit == 50
    assert env.spec.truncation_is_terminal is False
    _, timestep = jax.eval_shape(env.reset, jax.random.key(0))
    obs, state, avail_actions = timestep.observation
    assert (obs.shape, obs.dtype) == ((3, 75), np.int8)
    assert (state.shape, state.dtype) == ((105,), np.int8)
    assert (avail_actions.shape, avail_actions.dtype) == ((3, 6), np.bool_)
    assert (timestep.reward.shape, timestep.reward.dtype) == ((), np.float32)
    assert (timestep.terminated.shape, timestep.terminated.dtype) == ((), np.bool_)
    assert (timestep.truncated.shape, timestep.truncated.dtype) == ((), np.bool_)


@pytest.mark.parametrize(("n_catchers", "most"), [(1, 80), (2, 40), (3, 20), (4, 20)])
def test_the_largest_return_is_that_of_captures_by_just_enough(n_catchers: int, most: float):
    assert Config(n_catchers=n_catchers).make().spec.return_bounds == (0, most)


def test_step_keeps_the_types_and_shapes_of_reset() -> None:
    env = small()
    state, timestep = jax.eval_shape(env.reset, jax.random.key(0))
    after = jax.eval_shape(env.step, jax.random.key(1), state, np.full(3, STAY))
    types = functools.partial(jax.tree.map, lambda x: (x.shape, x.dtype))
    assert types((state, timestep)) == types(after)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"n_predators": 60, "n_prey": 41}, "60 predators and 41 prey"),
        ({"height": 0}, "height must be at least 1, not 0"),
        ({"width": 0}, "width must be at least 1, not 0"),
        ({"height": 10**6}, "a 1000000×10 grid has 10,000,000 cells, but they are numbered in 16"),
        ({"n_predators": 2000}, "n_predators must be between 1 and 1,024, not 2000"),
        ({"n_predators": 0}, "n_predators must be between 1 and 1,024, not 0"),
        ({"n_prey": 0}, "n_prey must be between 1 and 1,024, not 0"),
        ({"episode_limit": 0}, "episode_limit must be at least 1, not 0"),
        ({"punishment": 0.5}, r"punishment must be .* not 0.5; did you mean -0.5\?"),
        ({"punishment": float("nan")}, "punishment"),
        ({"n_catchers": 0}, "n_catchers must be between 1 and 4, not 0"),
        ({"n_catchers": 5}, "n_catchers must be between 1 and 4, not 5"),
        (
            {"n_catchers": 3, "n_predators": 2},
            "captured by 3 catchers, but n_predators is 2; lower n_catchers or take more",
        ),
        (
            {"n_catchers": 4, "height": 2},
            "captured by 4 catchers, but a cell of a 2×10 grid has at most 3 neighbours",
        ),
    ],
)
def test_an_impossible_config_is_refused(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        Config(**arguments).make()


def test_jit_vmap_and_nested_vmap_agree() -> None:
    env = Config(3, 3, n_predators=2, n_prey=1).make()
    keys = jax.random.split(jax.random.key(3), 6)
    states, _ = jax.device_get(jax.jit(jax.vmap(env.reset))(keys))
    actions = np.random.default_rng(4).integers(0, 6, (6, 2))
    batched = jax.device_get(jax.jit(jax.vmap(env.step))(keys, states, actions))
    one, first = (jax.tree.map(lambda x: x[0], tree) for tree in ((states, actions), batched))
    assert_trees_equal(jax.jit(env.step)(keys[0], *one), first)
    folded = jax.tree.map(lambda x: x.reshape(2, 3, *x.shape[1:]), (keys, states, actions))
    nested = jax.device_get(jax.jit(jax.vmap(jax.vmap(env.step)))(*folded))
    assert_trees_equal(jax.tree.map(lambda x: x.reshape(6, *x.shape[2:]), nested), batched)


def test_the_same_key_gives_the_same_trajectory_and_another_key_another() -> None:
    env = small()

    @jax.jit
    def trajectory(key: jax.Array) -> jax.Array:
        state, _ = env.reset(key)

        def body(state: State, t: jax.Array) -> Any:
            state, timestep = env.step(jax.random.fold_in(key, t), state, np.array([0, 1, 2]))
            return state, timestep.observation.state

        return jax.lax.scan(body, state, np.arange(8))[1]

    once = trajectory(jax.random.key(0))
    np.testing.assert_array_equal(once, trajectory(jax.random.key(0)))
    assert (np.asarray(once) != np.asarray(trajectory(jax.random.key(1)))).any()


# --- chance ---------------------------------------------------------------------------------------


def many_resets(config: Config, n: int) -> np.ndarray:
    """Cells of all agents, then all prey, after `n` resets."""
    keys = jax.random.split(jax.random.key(11), n)
    state = jax.jit(jax.vmap(lambda key: config.make().reset(key)[0]))(keys)
    return np.concatenate([np.asarray(state.agent_cell), np.asarray(state.prey_cell)], 1)


def test_reset_puts_everybody_on_distinct_cells() -> None:
    cells = np.sort(many_resets(Config(), 2000), 1)
    assert (cells[:, 1:] != cells[:, :-1]).all()
    assert cells.max() < 100


def test_reset_uses_every_cell_of_a_full_grid() -> None:
    cells = np.sort(many_resets(Config(3, 4, n_predators=5, n_prey=7), 50), 1)
    np.testing.assert_array_equal(cells, np.tile(np.arange(12), (50, 1)))


def test_reset_puts_each_animal_on_every_cell_equally_often() -> None:
    cells = many_resets(Config(), 10_000)
    for who in (0, 7, 8, 15):  # the first and the last of agents and prey
        assert_uniform(np.bincount(cells[:, who], minlength=100))


def test_reset_makes_every_joint_placement_equally_likely() -> None:
    cells = many_resets(Config(2, 3, n_predators=2, n_prey=1), 12_000)
    placements = cells @ np.array([36, 6, 1])
    counts = np.unique(placements, return_counts=True)[1]
    assert len(counts) == 6 * 5 * 4
    assert_uniform(counts)


def test_reset_starts_at_time_zero_with_everybody_alive_and_no_reward() -> None:
    state, timestep = jax.jit(small().reset)(jax.random.key(0))
    assert state.t == 0
    assert timestep.reward == 0
    assert not timestep.terminated
    assert not timestep.truncated
    np.testing.assert_array_equal(
        np.asarray(timestep.observation.state).reshape(25, 3).sum(0), [3, 2, 0]
    )


def test_drawn_orders_are_permutations() -> None:
    env = Config(n_predators=8, n_prey=5).make()
    choices = jax.jit(jax.vmap(env.draw))(jax.random.split(jax.random.key(5), 5000))
    agent_order = np.sort(np.asarray(choices.agent_order), 1)
    prey_order = np.sort(np.asarray(choices.prey_order), 1)
    np.testing.assert_array_equal(agent_order, np.tile(np.arange(8), (5000, 1)))
    np.testing.assert_array_equal(prey_order, np.tile(np.arange(5), (5000, 1)))


def test_tied_random_numbers_still_give_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    # float32 uniforms tie about once in 300,000 draws of 8; nobody may then move twice.
    monkeypatch.setattr(jax.random, "uniform", lambda _, shape: np.full(shape, 0.5))
    choices = jax.jit(Config(n_predators=4, n_prey=3).make().draw)(jax.random.key(0))
    assert sorted(choices.agent_order.tolist()) == [0, 1, 2, 3]
    assert sorted(choices.prey_order.tolist()) == [0, 1, 2]


def test_all_choices_of_a_step_are_jointly_uniform() -> None:
    env = Config(n_predators=3, n_prey=2).make()
    keys = jax.random.split(jax.random.key(6), 24_000)
    choices = jax.tree.map(np.asarray, jax.jit(jax.vmap(env.draw))(keys))
    halves = choices.prey_uniform >= 0.5
    outcomes = np.concatenate([choices.agent_order, choices.prey_order, halves], 1).astype(int)
    counts = np.unique(outcomes @ 3 ** np.arange(7), return_counts=True)[1]
    assert len(counts) == 6 * 2 * 2 * 2
    assert_uniform(counts)


def test_step_gives_contested_cells_to_each_agent_equally_often() -> None:
    # Four pairs of agents, each contesting the cell between them: sixteen equal outcomes.
    env = Config(height=8, width=3, n_predators=8, n_prey=1).make()
    pairs: list[Cell] = [(row, col) for row in (0, 2, 4, 6) for col in (0, 2)]
    state = scene(env, pairs, [(7, 0)])
    after = many_steps(env, state, [RIGHT, LEFT] * 4, 8000)
    left_won = after.agent_cell[:, ::2] % 3 == 1
    right_won = after.agent_cell[:, 1::2] % 3 == 1
    assert (left_won ^ right_won).all()
    assert_uniform(np.bincount(left_won @ 2 ** np.arange(4), minlength=16))


def test_step_orders_a_queue_of_agents_uniformly() -> None:
    # Agents in a row all step right: the k-th from the front moves iff those before it moved
    # and it comes after them, so at least k move with probability 1 / k!.
    env = Config(height=2, width=9, n_predators=8, n_prey=1).make()
    queue: list[Cell] = [(0, col) for col in range(8)]
    after = many_steps(env, scene(env, queue, [(1, 0)]), [RIGHT] * 8, 24_000)
    moved = (after.agent_cell != np.arange(8)).sum(1)
    at_least = np.array([1, 1 / 2, 1 / 6, 1 / 24, 1 / 120, 0])
    expected = 24_000 * -np.diff(at_least)
    counts = np.bincount(np.minimum(moved, 5), minlength=6)[1:]
    assert scipy.stats.chisquare(counts, expected).pvalue > 1e-3, counts


def test_step_processes_prey_in_uniformly_random_order() -> None:
    # Three prey whose only free cell is the centre: the first one processed takes it.
    env = Config(height=3, width=3, n_predators=5, n_prey=3).make()
    agents: list[Cell] = [(0, 0), (0, 2), (2, 0), (2, 1), (2, 2)]
    after = many_steps(env, scene(env, agents, [(0, 1), (1, 0), (1, 2)]), [STAY] * 5, 6000)
    centre = after.prey_cell == 4
    assert (centre.sum(1) == 1).all()
    assert_uniform(centre.sum(0))


def test_step_moves_prey_in_all_free_directions_uniformly_and_independently() -> None:
    # Prey 0 has four free cells; prey 1, at the edge, has three.
    env = Config(height=5, width=9, n_predators=1, n_prey=2, n_catchers=1).make()
    after = many_steps(env, scene(env, [(0, 0)], [(2, 2), (4, 6)]), [STAY], 12_000)
    counts = np.unique(after.prey_cell @ np.array([100, 1]), return_counts=True)[1]
    assert len(counts) == 4 * 3
    assert_uniform(counts)


@pytest.mark.parametrize(
    ("punishment", "published", "error"), [(0.0, 5.9, 0.5), (-2.0, -93.8, 2.0)]
)
def test_random_hunters_earn_what_they_earn_in_the_authors_environment(
    punishment: float, published: float, error: float
) -> None:
    env = Config(punishment=punishment).make()

    def episode_return(key: jax.Array) -> jax.Array:
        state, timestep = env.reset(key)

        def body(carry: Any, key: jax.Array) -> Any:
            state, avail, running = carry
            act_key, step_key = jax.random.split(key)
            actions = jax.random.categorical(act_key, jnp.where(avail, 0.0, -np.inf))
            state, timestep = env.step(step_key, state, actions)
            over = timestep.terminated | timestep.truncated
            return (
                state,
                timestep.observation.avail_actions,
                running & ~over,
            ), timestep.reward * running

        start = (state, timestep.observation.avail_actions, np.array(True))
        keys = jax.random.split(jax.random.fold_in(key, 1), env.spec.episode_limit)
        return jax.lax.scan(body, start, keys)[1].sum()

    n = 400
    returns = np.asarray(jax.jit(jax.vmap(episode_return))(jax.random.split(jax.random.key(2), n)))
    # The recorded figure is itself a mean over episodes, with its own standard error.
    spread = np.hypot(returns.std(ddof=1) / np.sqrt(n), error)
    assert abs(returns.mean() - published) < 4 * spread, (returns.mean(), spread)
    if punishment == 0:
        assert returns.min() >= 0
        assert returns.max() <= 40
