"""Battles of drawn units: they are smac_jax's battles, with SMACv2's orders, masks and views."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from macpo import registry
from macpo.envs.smac_jax import scripts
from macpo.envs.smac_jax.dynamics import NOBODY, Battle, Dynamics, Orders, beginning
from macpo.envs.smac_jax.features import EAST, STOP
from macpo.envs.smacv2_jax.environment import RULES, SMACv2Jax, SMACv2JaxEnv, State
from macpo.errors import UsageError
from macpo.types import TimeStep

N, U = 5, 10
PLACES = [(10.0, 10.0 + 2 * i) for i in range(N)] + [(15.0, 10.0 + 2 * i) for i in range(N)]
HEALED, COLOSSI, BANELINGS = "terran", "protoss", "zerg"


@functools.cache
def environment(race: str, **options: Any) -> SMACv2JaxEnv:
    return registry.make_config("envs", "smacv2-jax", race=race, **options).make()


@functools.cache
def programs(race: str, **options: Any) -> tuple[Any, Any]:
    env = environment(race, **options)
    return jax.jit(env.deploy), jax.jit(env.step)


def deployed(
    race: str,
    kinds: Sequence[int],
    places: Sequence[tuple[float, float]] = PLACES,
    **options: Any,
) -> tuple[State, TimeStep]:
    deploy, _ = programs(race, **options)
    return deploy(jax.random.key(0), np.array(kinds, np.int8), np.array(places, np.float32))


def stepped(
    race: str, state: State, actions: Sequence[int], seed: int = 0, **options: Any
) -> tuple[State, TimeStep]:
    _, step = programs(race, **options)
    return step(jax.random.key(seed), state, np.array(actions, np.int8))


# --- dynamics -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("race", "kinds"),
    [
        # sorted as the agents are, by name
        (HEALED, (1, 0, 0, 2, 2, 0, 2, 1, 1, 2)),
        (COLOSSI, (2, 2, 0, 1, 1, 1, 2, 0, 1, 2)),
        (BANELINGS, (2, 2, 1, 0, 0, 0, 2, 1, 2, 0)),
    ],
)
def test_a_battle_of_fixed_units_is_the_one_of_smac_jax(race: str, kinds: Sequence[int]) -> None:
    env = environment(race)
    names = [env.task.kinds[kind] for kind in kinds]
    here = env.task.with_teams(tuple(names[:N]), tuple(names[N:]))
    here.__dict__["start"] = np.array(PLACES, np.float32)
    ours, theirs = deployed(race, kinds)[0].battle, beginning(here)
    jax.tree.map(assert_array_equal, ours, theirs)
    fixed = jax.jit(Dynamics(here, here.roster, RULES).step)
    drawn = jax.jit(env._eight_loops)
    rng = np.random.default_rng(0)
    column = np.array(kinds, np.int8)[:, None]
    ours, theirs = (jax.tree.map(lambda x: x[:, None], battle) for battle in (ours, theirs))
    for _ in range(25):
        # agents go for anybody: healers for allies, the others for enemies
        target = rng.integers(0, N, N) + np.where(here.roster.heals[:N, 0], 0, N)
        can = here.roster.can_target[np.arange(N), target, 0]
        target = np.where(can, target, NOBODY).astype(np.int32)[:, None]
        zeros = np.zeros((N, 1), np.float32)
        orders = Orders(target, zeros, zeros, zeros > 0)
        noise = rng.uniform(-1, 2, (U, 1)).astype(np.float32)
        ours, theirs = drawn(ours, orders, noise, column), fixed(theirs, orders, noise)
        jax.tree.map(lambda a, b: assert_allclose(a, b, atol=1e-3), ours, theirs)
    health = np.asarray(ours.health)
    assert (health[:N] <= 0).any() and (health < beginning(here).health[:, None]).sum() > 3


def targets(battle: Battle) -> list[int]:
    return np.asarray(battle.target).tolist()


def test_enemies_are_sent_against_the_nearest_ally_wherever_it_is() -> None:
    places = [(3.0, 3.0), (29.0, 29.0), *[(3.0, 20.0 + 2 * i) for i in range(3)]]
    places += [(20.0, 3.0), (29.0, 12.0), (28.0, 20.0), (16.0, 29.0), (3.0, 10.0)]
    state, _ = deployed(BANELINGS, [0] * U, places)
    state, _ = stepped(BANELINGS, state, [STOP] * N)
    # agents are numbered by x, then by y: (3, 3), (3, 20), (3, 22), (3, 24), (29, 29)
    assert targets(state.battle)[N:] == [0, 4, 4, 4, 0]


def test_an_enemy_goes_for_its_target_until_that_is_dead() -> None:
    places = [(3.0, 16.0), *[(29.0, 4.0 + i) for i in range(4)]]
    places += [(12.0, 16.0), *[(29.0, 25.0 + i) for i in range(4)]]
    state, _ = deployed(BANELINGS, [0] * U, places)
    state, _ = stepped(BANELINGS, state, [STOP] * N)
    assert targets(state.battle)[N] == 0
    moved = state.battle._replace(
        x=state.battle.x.at[1].set(12.0), y=state.battle.y.at[1].set(14.0)
    )
    state, _ = stepped(BANELINGS, state._replace(battle=moved), [STOP] * N)
    assert targets(state.battle)[N] == 0  # though another one is nearer now
    dead = state.battle._replace(health=state.battle.health.at[0].set(0.0))
    state, _ = stepped(BANELINGS, state._replace(battle=dead), [0, *[STOP] * 4])
    assert targets(state.battle)[N] == 1


def test_an_enemy_that_cannot_hit_the_nearest_ally_stays() -> None:
    kinds = [2, 0, 0, 0, 0, 1, 2, 2, 2, 2]  # the nearest to the marauder is a medivac
    places = [(16.0, 16.0), *[(3.0, 3.0 + i) for i in range(4)]]
    places += [(20.0, 16.0), *[(29.0, 25.0 + i) for i in range(4)]]
    state, _ = deployed(HEALED, kinds, places)
    state, _ = stepped(HEALED, state, [STOP] * N)
    assert targets(state.battle)[N] == NOBODY
    assert state.battle.x[N] == 20


# --- episodes -----------------------------------------------------------------------------------


TEN = 10


@pytest.fixture(scope="module")
def random_play() -> tuple[State, TimeStep]:
    """64 battles of ten against eleven, 40 steps each, [T, B, ...]."""
    env = environment(HEALED, units="10v11")

    @jax.jit
    def play(key: jax.Array) -> Any:
        first = jax.vmap(env.reset)(jax.random.split(key, 64))

        def step(carry: Any, key: jax.Array) -> Any:
            state, timestep = carry
            avail = timestep.observation.avail_actions
            actions = jax.random.categorical(key, jnp.where(avail, 0.0, -jnp.inf))
            after = jax.vmap(env.step)(jax.random.split(key, 64), state, actions)
            return after, after

        rest = jax.lax.scan(step, first, jax.random.split(key, 40))[1]
        return jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, rest)

    return jax.tree.map(np.asarray, play(jax.random.key(0)))


def test_kinds_differ_from_battle_to_battle_and_stay_within_one(
    random_play: tuple[State, TimeStep],
) -> None:
    kinds = random_play[0].kinds
    assert len({tuple(row) for row in kinds[0]}) > 10
    assert (kinds == kinds[0]).all()


def test_agents_are_numbered_by_kind_then_by_x(random_play: tuple[State, TimeStep]) -> None:
    state = random_play[0]
    rank = np.array([1, 0, 2])[state.kinds[0, :, :TEN]]  # marauder, marine, medivac
    x = state.battle.x[0, :, :TEN]
    assert (np.diff(rank, axis=1) >= 0).all()
    assert (np.diff(x, axis=1) >= 0)[np.diff(rank, axis=1) == 0].all()


def test_observations_lie_between_minus_one_and_one(random_play: tuple[State, TimeStep]) -> None:
    obs = random_play[1].observation.obs
    assert np.isfinite(obs).all() and np.abs(obs).max() <= 1


def test_rewards_are_never_negative_and_random_play_is_hurt(
    random_play: tuple[State, TimeStep],
) -> None:
    state, timestep = random_play
    assert (timestep.reward >= 0).all() and timestep.reward.sum() > 0
    assert (state.battle.health[-1, :, :TEN] <= 0).mean() > 0.5
    assert (state.illegal_actions == 0).all()


# --- options ------------------------------------------------------------------------------------

EPO = {"prob_obs_enemy": 0.0, "action_mask": False, "unmarked_enemies_blank_rows": False}
STALKERS = (0,) * U


def test_with_extended_partial_observability_each_enemy_is_seen_by_one_agent() -> None:
    _, timestep = deployed(COLOSSI, STALKERS, **EPO)
    rows = np.asarray(timestep.observation.obs)[:, 4 : 4 + 5 * 9].reshape(N, 5, 9)
    assert (rows[..., 4] > 0).sum(0).tolist() == [1] * 5


def test_with_it_distant_targets_are_available_but_no_order_is_sent() -> None:
    places = [*PLACES[:N], *[(25.0, 10.0 + 2 * i) for i in range(N)]]
    state, timestep = deployed(COLOSSI, STALKERS, places, **EPO)
    available = np.asarray(timestep.observation.avail_actions)
    assert available[:, 6:].all()
    # agent 0 first walks east; its next order, at an enemy 13 cells away, is not sent
    state, _ = stepped(COLOSSI, state, [EAST, *[STOP] * 4], **EPO)
    state, _ = stepped(COLOSSI, state, [6, *[STOP] * 4], **EPO)
    assert state.battle.walks[0] and state.battle.target[0] == NOBODY
    assert state.illegal_actions == 0


def test_an_enemy_that_nobody_has_sighted_blanks_the_others_as_in_smacv2() -> None:
    places = [*PLACES[: U - 1], (29.0, 29.0)]
    _, timestep = deployed(HEALED, [0] * U, places)
    assert not np.asarray(timestep.observation.obs)[:, 4 : 4 + 5 * 8].any()
    _, timestep = deployed(HEALED, [0] * U, PLACES)
    rows = np.asarray(timestep.observation.obs)[:, 4 : 4 + 5 * 8].reshape(N, 5, 8)
    assert (rows[0, :, 4] > 0).tolist() == [True] * 4 + [False]  # nobody hides what it sees


CONES = {"conic_fov": True}


def test_a_view_is_turned_and_the_last_order_stands() -> None:
    state, timestep = deployed(BANELINGS, [1] * U, **CONES)
    row = np.asarray(timestep.observation.obs)[0]
    assert_allclose(row[-5:-3], (1, 0))  # health, x, y, view, kind: to the east at first
    state, _ = stepped(BANELINGS, state, [EAST, *[STOP] * 4], **CONES)
    x = float(state.battle.x[0])
    north = 6 + 3
    state, timestep = stepped(BANELINGS, state, [north, *[STOP] * 4], **CONES)
    assert state.views.tolist() == [3, 0, 0, 0, 0]
    assert state.battle.x[0] > x + 0.5
    assert_allclose(np.asarray(timestep.observation.obs)[0, -5:-3], (0, 1), atol=1e-6)
    assert np.asarray(timestep.observation.avail_actions)[0, 6:18].all()
    assert not np.asarray(timestep.observation.avail_actions)[0, 18:].any()  # they are in the east


def test_an_unavailable_action_is_counted_and_treated_as_stop() -> None:
    state, _ = deployed(HEALED, [0] * U, [*PLACES[:N], *[(25.0, 10.0 + i) for i in range(N)]])
    state, _ = stepped(HEALED, state, [6, *[STOP] * 4])
    assert state.illegal_actions == 1
    assert state.battle.target[0] == NOBODY


@pytest.mark.parametrize("double_precision", [False, True])
def test_a_step_keeps_the_types_of_the_state(double_precision: bool) -> None:
    env = environment(HEALED)
    with jax.enable_x64(double_precision):
        state, _ = jax.eval_shape(env.reset, jax.random.key(0))
        after, _ = jax.eval_shape(env.step, jax.random.key(0), state, np.ones(N, np.int8))
    assert after == state


def test_a_race_that_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError, match="race"):
        SMACv2Jax(race="orc")  # pyright: ignore[reportArgumentType]


# --- scripts ------------------------------------------------------------------------------------


def test_a_script_of_smac_jax_shoots_at_the_nearest_and_heals_the_wounded() -> None:
    env, kinds = environment(HEALED), (1, 0, 0, 0, 2, 0, 0, 0, 0, 2)  # a medivac is the last
    state, _ = deployed(HEALED, kinds)
    assert [env.task.kinds[kind] for kind in state.kinds[3:N]] == ["marine", "medivac"]
    battle = state.battle._replace(health=state.battle.health.at[3].add(-10))  # its neighbour

    @jax.jit
    def chosen(kinds: jax.Array, battle: Battle) -> jax.Array:
        available = env.observe(state._replace(battle=battle)).avail_actions
        return scripts.nearest(jax.random.key(0), env.dynamics_of(kinds), battle, available)

    actions = np.asarray(chosen(state.kinds, battle)) - env.task.first_target
    assert actions.tolist() == [0, 1, 2, 3, 3]


@pytest.mark.parametrize(
    ("option", "value"),
    [("slop", 0.5), ("splash", "centre"), ("heal_range", 4.0), ("heal_least_energy", 9.0)],
)
def test_rules_that_the_data_do_not_settle_are_options(option: str, value: object) -> None:
    env = SMACv2Jax(**{option: value}).make()
    assert getattr(env.rules, option) == value
    assert SMACv2Jax().make().rules == RULES
