"""What SMAC promises of every battle, over whole episodes of scripted play on the paper's maps."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import checkify
from numpy.testing import assert_allclose, assert_array_equal

from macpo import registry
from macpo.envs.smac_jax import dynamics, scripts
from macpo.envs.smac_jax import environment as module
from macpo.envs.smac_jax.dynamics import Battle
from macpo.envs.smac_jax.environment import SMACJaxEnv, State
from macpo.envs.smac_jax.features import EAST, NO_OP, REACH, SIGHT, STOP
from macpo.envs.smac_jax.maps import MAPS
from macpo.envs.smac_jax.scripts import Script
from macpo.errors import UsageError
from macpo.types import Observation, TimeStep

FOCUS = ("3s_vs_5z", "5m_vs_6m", "MMM2")
SCRIPTS = (scripts.at_random, scripts.all_stop, scripts.nearest, scripts.kite)
N = 32
STEPS = {"3s_vs_5z": 250, "5m_vs_6m": 70, "MMM2": 60}
"""Of each battle: the limit, or as many as all battles of these scripts end within."""
every_map = pytest.mark.parametrize("name", FOCUS)


@functools.cache
def environment(name: str, **options: Any) -> SMACJaxEnv:
    return registry.make_config("envs", "smac-jax", map=name, **options).make()


class Programs(NamedTuple):
    """One environment's, compiled."""

    reset: Any
    step: Any
    observe: Any


@functools.cache
def programs(env: SMACJaxEnv) -> Programs:
    return Programs(*map(jax.jit, (env.reset, env.step, env.observe)))


class Play(NamedTuple):
    """Whole episodes, leaves [T+1, B, ...] from the first state on; `actions` are [T, B, N]."""

    state: State
    timesteps: TimeStep
    actions: np.ndarray
    going: np.ndarray
    """[T, B] whether the step was made in an episode that was not over."""

    @property
    def returns(self) -> np.ndarray:
        return np.where(self.going, self.timesteps.reward[1:], 0.0).sum(0)

    @property
    def lengths(self) -> np.ndarray:
        return self.going.sum(0)

    @property
    def won(self) -> np.ndarray:
        return (self.going & (self.timesteps.info["battle_won"][1:] > 0)).any(0)


@functools.cache
def program(name: str) -> Any:
    """Whole episodes of N battles, by the script of that number."""
    env = environment(name)

    @jax.jit
    def whole(key: jax.Array, number: int) -> Any:
        def act(key: jax.Array, battle: Battle, available: jax.Array) -> jax.Array:
            choices = [functools.partial(f, key, env.dynamics, battle, available) for f in SCRIPTS]
            return jax.lax.switch(number, choices)

        def step(carry: Any, key: jax.Array) -> Any:
            state, timestep = carry
            act_key, env_key = jax.random.split(key)
            keys, available = jax.random.split(act_key, N), timestep.observation.avail_actions
            actions = jax.vmap(act)(keys, state.battle, available)
            after = jax.vmap(env.step)(jax.random.split(env_key, N), state, actions)
            return after, (*after, actions)

        reset_key, step_key = jax.random.split(key)
        first = jax.vmap(env.reset)(jax.random.split(reset_key, N))
        keys = jax.random.split(step_key, STEPS[name])
        state, timestep, actions = jax.lax.scan(step, first, keys)[1]
        whole = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, (state, timestep))
        return (*whole, actions)

    return whole


@functools.cache
def play(name: str, script: Script) -> Play:
    whole = program(name)(jax.random.key(0), SCRIPTS.index(script))
    state, timestep, actions = jax.tree.map(np.asarray, whole)
    over = timestep.terminated | timestep.truncated
    assert over.any(0).all()
    return Play(state, timestep, actions, ~np.logical_or.accumulate(over[:-1], 0))


def random_play(name: str) -> Play:
    return play(name, scripts.at_random)


def living(name: str, recorded: Play) -> np.ndarray:
    return recorded.state.battle.health[..., : environment(name).spec.n_agents] > 0


# --- observations in every state of random play ---------------------------------------------------


@every_map
def test_observations_and_state_lie_between_minus_one_and_one_but_for_cooldowns(name: str) -> None:
    timesteps, here = random_play(name).timesteps, MAPS[name]
    assert np.isfinite(timesteps.observation.obs).all()
    assert np.abs(timesteps.observation.obs).max() <= 1
    width = 4 + here.ally_shields + here.n_types
    state = timesteps.observation.state.copy()
    ready = state[..., 1 : here.n_agents * width : width].copy()
    state[..., 1 : here.n_agents * width : width] = 0
    assert np.abs(state).max() <= 1
    assert ready.min() >= 0


@every_map
def test_the_dead_may_do_nothing_and_the_living_may_stop(name: str) -> None:
    recorded = random_play(name)
    available, alive = recorded.timesteps.observation.avail_actions, living(name, recorded)
    assert_array_equal(available[..., NO_OP], ~alive)
    assert_array_equal(available[..., STOP], alive)
    assert not available[~alive][:, 1:].any()


@every_map
def test_observations_agree_with_availability(name: str) -> None:
    recorded, here = random_play(name), MAPS[name]
    obs, _, available = recorded.timesteps.observation
    assert_array_equal(obs[..., :4] > 0, available[..., 2:6])
    width = 5 + here.enemy_shields + here.n_types
    rows = obs[..., 4 : 4 + here.n_enemies * width].reshape(*obs.shape[:-1], -1, width)
    assert_array_equal(rows[..., 0] > 0, available[..., 6:] & rows[..., 1:].any(-1))


@every_map
def test_others_are_visible_if_and_only_if_both_live_within_sight(name: str) -> None:
    recorded, here = random_play(name), MAPS[name]
    n, battle = here.n_agents, recorded.state.battle
    width = 5 + here.enemy_shields + here.n_types
    rows = recorded.timesteps.observation.obs[..., 4 : 4 + here.n_enemies * width]
    rows = rows.reshape(*rows.shape[:-1], here.n_enemies, width)
    x, y = battle.x, battle.y
    far = np.hypot(x[..., None, n:] - x[..., :n, None], y[..., None, n:] - y[..., :n, None])
    alive = battle.health > 0
    visible = (far < SIGHT) & alive[..., None, n:] & alive[..., :n, None]
    borderline = np.abs(far - SIGHT) < 1e-5
    assert_array_equal((rows[..., 4] > 0) | borderline, visible | borderline)


@every_map
def test_allies_see_each_other_at_the_same_distance(name: str) -> None:
    recorded, here = random_play(name), MAPS[name]
    n, width = here.n_agents, 5 + here.ally_shields + here.n_types
    start = 4 + here.n_enemies * (5 + here.enemy_shields + here.n_types)
    rows = recorded.timesteps.observation.obs[..., start : start + (n - 1) * width]
    rows = rows.reshape(*rows.shape[:-1], n - 1, width)
    distance = np.zeros((*rows.shape[:-2], n))
    for i in range(n):
        distance[..., i, [j for j in range(n) if j != i]] = rows[..., i, :, 1]
    assert_allclose(distance, np.swapaxes(distance, -1, -2), atol=1e-6)


@every_map
def test_the_dead_see_zeros_and_stay_dead(name: str) -> None:
    recorded = random_play(name)
    alive = living(name, recorded)
    assert not recorded.timesteps.observation.obs[~alive].any()
    assert not (alive[1:] & ~alive[:-1]).any()
    assert (~alive).any()


@every_map
def test_the_state_ends_with_the_actions_sent_last(name: str) -> None:
    recorded, here = random_play(name), MAPS[name]
    size = here.n_agents * here.n_actions
    last = recorded.timesteps.observation.state[..., -size:].reshape(
        *recorded.timesteps.reward.shape, here.n_agents, -1
    )
    assert not last[0].any()
    assert_array_equal(last[1:], np.eye(here.n_actions)[recorded.actions])


@every_map
def test_agents_are_numbered_by_kind_then_place_at_reset(name: str) -> None:
    here, battle = MAPS[name], random_play(name).state.battle
    n = here.n_agents
    rows = np.stack([here.type_index[:n], battle.x[0, 0, :n], battle.y[0, 0, :n]], 1).tolist()
    assert rows == sorted(rows)


# --- rewards, and how battles end ----------------------------------------------------------------


@every_map
def test_rewards_are_never_negative_and_sum_up_damage_kills_and_victory(name: str) -> None:
    recorded, here = random_play(name), MAPS[name]
    n, battle = here.n_agents, recorded.state.battle
    endurance = (battle.health + battle.shield)[..., n:]
    kills = (np.diff((battle.health[..., n:] > 0).sum(-1), axis=0) * -10.0).astype(float)
    lost = np.abs(-np.diff(endurance.sum(-1), axis=0) + kills) / here.reward_divisor
    won = recorded.timesteps.info["battle_won"][1:] * 200 / here.reward_divisor
    assert_allclose(recorded.timesteps.reward[1:], lost + won, atol=1e-4)
    assert (recorded.timesteps.reward >= 0).all()


@every_map
def test_an_episode_that_reaches_the_limit_is_truncated_and_not_won(name: str) -> None:
    recorded = random_play(name)
    timed_out = recorded.timesteps.truncated[-1]
    assert not recorded.won[timed_out].any()
    assert not (recorded.timesteps.truncated & recorded.timesteps.terminated).any()


@every_map
def test_random_play_never_wins_and_earns_a_little(name: str) -> None:
    band = {"3s_vs_5z": (2.2, 3.6), "5m_vs_6m": (1.2, 1.9), "MMM2": (1.2, 2.1)}[name]
    recorded = random_play(name)
    assert not recorded.won.any()
    assert band[0] < recorded.returns.mean() < band[1]


@every_map
def test_who_only_stands_loses_without_harming_anybody(name: str) -> None:
    recorded = play(name, scripts.all_stop)
    assert not recorded.won.any()
    assert (recorded.returns == 0).all()


@every_map
def test_going_for_the_nearest_enemy_does_not_win(name: str) -> None:
    assert play(name, scripts.nearest).won.mean() < 0.05


def test_kiting_wins_three_stalkers_against_five_zealots_at_length() -> None:
    recorded = play("3s_vs_5z", scripts.kite)
    assert recorded.won.mean() > 0.8
    assert not recorded.timesteps.info["dead_allies"][1:][recorded.going].any()
    assert 150 <= np.median(recorded.lengths) <= 230


def test_five_marines_who_shoot_at_the_nearest_leave_two_to_five_of_six() -> None:
    recorded = play("5m_vs_6m", scripts.nearest)
    left = 6 - np.where(recorded.going, recorded.timesteps.info["dead_enemies"][1:], 0).max(0)
    assert 2 <= left.mean() <= 5


def test_a_random_battle_of_marines_takes_as_long_as_in_the_game() -> None:
    assert 22 <= random_play("5m_vs_6m").lengths.mean() <= 40


def test_first_contact_comes_when_two_lines_have_closed_the_gap() -> None:
    # 14 cells less the formation and the enemies' reach, at 1.125 a step
    recorded = play("5m_vs_6m", scripts.all_stop)
    hurt = recorded.state.battle.health[:, 0, :5].sum(-1) < 5 * 45
    assert 6 <= int(hurt.argmax()) <= 8


def first_state(name: str) -> State:
    """That of every episode, unless noise is asked for."""
    return jax.tree.map(lambda x: np.asarray(x)[0, 0], random_play(name).state)


def in_battle(env: SMACJaxEnv, **changes: dict[int, float]) -> State:
    """The first state with the values of single units changed."""
    state = first_state(env.map.name)
    battle = state.battle
    for field, values in changes.items():
        column = getattr(battle, field).copy()
        for unit, value in values.items():
            column[unit] = value
        battle = battle._replace(**{field: column})
    return state._replace(battle=battle)


def act(env: SMACJaxEnv, state: State, *actions: int) -> tuple[State, TimeStep]:
    return programs(env).step(jax.random.key(1), state, np.array(actions))


def observe(env: SMACJaxEnv, state: State) -> Observation:
    return programs(env).observe(state)


def test_a_victory_over_the_last_enemy_is_worth_20_in_all() -> None:
    env = environment("5m_vs_6m")
    dead = dict.fromkeys(range(6, 11), 0.0)
    state = in_battle(env, health={**dead, 5: 6.0}, x={5: 13.0}, y={5: 16.0})
    after, timestep = act(env, state, *[6] * 5)
    while not timestep.terminated:
        after, timestep = act(env, after, *[6] * 5)
    assert timestep.info["battle_won"] == 1
    assert_allclose(timestep.reward, (6 + 10 + 200) / 26.5, rtol=1e-5)
    # with the rest of the damage and kills, 20
    assert_allclose(timestep.reward + (5 * (45 + 10) + 39) / 26.5, 20, rtol=1e-5)


def test_mmm2_is_won_with_the_enemy_medivac_still_flying() -> None:
    env = environment("MMM2")
    dead = dict.fromkeys(range(10, 20), 0.0)
    state = in_battle(env, health={**dead, 20: 1.0}, x={20: 12.0}, y={20: 16.0})
    _, timestep = act(env, state, *[16] * 9, 1)
    assert timestep.terminated
    assert timestep.info["battle_won"] == 1


def test_a_move_east_is_half_the_units_speed_at_most_and_needs_ground() -> None:
    recorded = random_play("5m_vs_6m")
    battle, went = recorded.state.battle, recorded.actions == EAST
    moved = np.diff(battle.x[..., :5], axis=0)
    alive = battle.health[1:, :, :5] > 0
    assert moved[went & alive].max() <= 1.125 + 1e-3
    edge = in_battle(environment("5m_vs_6m"), x={0: 29.5})
    assert not observe(environment("5m_vs_6m"), edge).avail_actions[0, EAST]


def test_whoever_may_be_attacked_is_reached_within_three_steps() -> None:
    env = environment("5m_vs_6m")
    far = 5.9
    state = in_battle(env, x={0: 10.0, 5: 10.0 + far}, y={0: 12.0, 5: 12.0})
    assert observe(env, state).avail_actions[0, 6]
    assert far < REACH
    for _ in range(3):
        state, _ = act(env, state, 6, 1, 1, 1, 1)
    assert state.battle.health[5] < 45


def test_an_unavailable_action_stops_the_agent_and_is_counted() -> None:
    env, state = environment("5m_vs_6m"), first_state("5m_vs_6m")
    after, _ = act(env, state, NO_OP, 6, STOP, STOP, STOP)
    stopped, _ = act(env, state, *[STOP] * 5)
    assert after.illegal_actions == 2
    assert_array_equal(after.battle.x, stopped.battle.x)
    assert after.last_actions.tolist() == [NO_OP, 6, STOP, STOP, STOP]  # what was sent


def test_checkify_turns_an_unavailable_action_into_an_error() -> None:
    env, state = environment("5m_vs_6m"), first_state("5m_vs_6m")
    step = jax.jit(checkify.checkify(env.step))
    error, _ = step(jax.random.key(0), state, np.array([6, 1, 1, 1, 1]))
    with pytest.raises(checkify.JaxRuntimeError, match="an unavailable action was chosen"):
        checkify.check_error(error)


def test_who_cannot_hit_what_flies_goes_on_with_what_it_did() -> None:
    env = environment("MMM2")
    places = {"x": {0: 14.0, 10: 18.0, 21: 17.0}, "y": {0: 16.0, 10: 16.0, 21: 14.0}}
    state = in_battle(env, **places)
    available = observe(env, state).avail_actions
    assert available[0, 6]
    assert available[0, 17]  # SMAC offers a Marauder the Medivac all the same
    state, _ = act(env, state, 6, *[1] * 9)
    after, _ = act(env, state, 17, *[1] * 9)
    assert after.battle.target[0] == 10


# --- choices --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "option", ["acquire_range", "leash", "slop", "heal_range", "heal_least_energy"]
)
def test_what_the_data_do_not_settle_is_an_option(option: str) -> None:
    assert getattr(environment("MMM2", **{option: 3.5}).dynamics.rules, option) == 3.5
    with pytest.raises(UsageError, match=f"smac-jax: {option} must be at least 0"):
        environment("MMM2", **{option: -1.0})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("leash", 7.0), ("respond_to_attack", False), ("slop", 0.0), ("heal_range", 5.0)),
        ("splash", "centre"),
    ],
)
def test_what_smaclite_decides_is_none_in_its_profile(option: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"{option} changes nothing with profile smaclite"):
        environment("3m", profile="smaclite", **{option: value})


def test_permuted_enemies_are_the_same_battle_under_other_numbers() -> None:
    env, permuted = environment("5m_vs_6m"), environment("5m_vs_6m", permute_enemies_on_reset=True)
    state, timestep = programs(permuted).reset(jax.random.key(3))
    order = np.asarray(state.enemy_order)
    assert sorted(order.tolist()) == list(range(6))
    assert order.tolist() != list(range(6))
    plain = observe(env, state._replace(enemy_order=None))
    rows, shown = (np.reshape(x.state[20:38], (6, 3)) for x in (plain, timestep.observation))
    assert_array_equal(shown, rows[order])
    k = int(np.flatnonzero(order == 4)[0])  # what the agents call the fifth enemy
    near = state.battle._replace(x=state.battle.x.at[9].set(12.0), y=state.battle.y.at[9].set(16))
    state = state._replace(battle=near)
    after, _ = act(permuted, state, 6 + k, *[1] * 4)
    assert after.battle.target[0] == 9


def test_start_noise_moves_everybody_a_little_and_keeps_the_order_of_agents() -> None:
    env = environment("MMM2", start_noise=0.5)
    state, _ = programs(env).reset(jax.random.key(0))
    x, y = np.asarray(state.battle.x), np.asarray(state.battle.y)
    start = MAPS["MMM2"].start
    assert 0 < np.abs(x[10:] - start[10:, 0]).max() <= 0.5
    rows = np.stack([MAPS["MMM2"].type_index[:10], x[:10], y[:10]], 1).tolist()
    assert rows == sorted(rows)


def test_sparse_rewards_pay_the_end_alone() -> None:
    env = environment("5m_vs_6m", reward_sparse=True)
    dead = dict.fromkeys(range(6, 11), 0.0)
    state = in_battle(env, health={**dead, 5: 6.0}, x={5: 13.0}, y={5: 16.0})
    _, timestep = act(env, state, *[6] * 5)
    assert_allclose(timestep.reward, 1 / 26.5)


def test_replay_keeps_a_twentieth_of_the_observation_s_size() -> None:
    env = environment("MMM2")
    state, timestep = jax.eval_shape(env.reset, jax.random.key(0))
    sizes = jax.eval_shape(env.encode, state), timestep.observation
    kept, shown = (sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(part)) for part in sizes)
    assert kept * 20 <= shown


@pytest.mark.parametrize("double_precision", [False, True])
def test_a_step_keeps_the_types_of_the_state(double_precision: bool) -> None:
    env = environment("5m_vs_6m", profile="smaclite")
    with jax.enable_x64(double_precision):
        state, _ = jax.eval_shape(env.reset, jax.random.key(0))
        after, _ = jax.eval_shape(env.step, jax.random.key(0), state, np.ones(5, int))
    assert after == state


OTHERS = [name for name in MAPS if name not in FOCUS]


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_map_has_the_shapes_of_its_spec(name: str) -> None:
    env = environment(name)
    _, timestep = jax.eval_shape(env.reset, jax.random.key(0))
    obs, state, avail_actions = timestep.observation
    assert obs.shape == (env.spec.n_agents, env.spec.obs_size)
    assert state.shape == (env.spec.state_size,)
    assert avail_actions.shape == (env.spec.n_agents, env.spec.n_actions)


# a lone enemy, the most pairs that shoot, walls and the largest battle
@pytest.mark.parametrize("name", ["2m_vs_1z", "27m_vs_30m", "corridor", "2c_vs_64zg"])
def test_on_other_maps_the_enemies_move(name: str) -> None:
    env = environment(name)
    state, timestep = programs(env).reset(jax.random.key(0))
    for _ in range(3):
        state, timestep = act(env, state, *[STOP] * env.spec.n_agents)
    assert np.isfinite(timestep.observation.obs).all()
    n = env.spec.n_agents
    place = np.stack([state.battle.x, state.battle.y], 1)
    assert (place[n:] != MAPS[name].start[n:]).any(1).all()


def test_a_spine_crawler_regains_health_which_is_paid_as_in_smac() -> None:
    env = environment("2s_vs_1sc")
    state, _ = programs(env).reset(jax.random.key(0))
    health = state.battle.health.at[2].set(290.0)
    state = state._replace(battle=state.battle._replace(health=health))
    after, timestep = act(env, state, STOP, STOP)
    assert_allclose(after.battle.health[2], 290 + 8 * 0.0170875, rtol=1e-6)
    assert_allclose(timestep.reward, 8 * 0.0170875 / 25.5, rtol=1e-2)
    assert_array_equal([after.battle.x[2], after.battle.y[2]], [14, 20])


@pytest.mark.parametrize(("name", "n"), [("3s_vs_5z", 256), ("MMM2", 32), ("2c_vs_64zg", 16)])
def test_the_larger_the_teams_the_fewer_battles_are_computed_at_once(name: str, n: int) -> None:
    assert module.battles_at_once(MAPS[name]) == n


def test_battles_computed_in_blocks_are_those_computed_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = jax.random.split(jax.random.key(0), 5)

    def third_states() -> State:
        env = registry.make_config("envs", "smac-jax", map="3m", start_noise=0.5).make()

        def step(state: State, key: jax.Array) -> tuple[State, None]:
            return env.step(key, state, np.array([EAST, STOP, EAST]))[0], None

        def battle(key: jax.Array) -> State:
            return jax.lax.scan(step, env.reset(key)[0], jax.random.split(key, 3))[0]

        return jax.jit(jax.vmap(battle))(keys)

    at_once = third_states()
    monkeypatch.setattr(module, "battles_at_once", lambda field: 2)
    for x, y in zip(*map(jax.tree.leaves, (third_states(), at_once)), strict=True):
        assert_allclose(x, y, rtol=1e-5, atol=1e-5)  # compiled otherwise, rounded otherwise


def test_a_large_teams_battles_move_alike_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = jax.random.split(jax.random.key(0), 3)

    def moved() -> Battle:
        env = registry.make_config("envs", "smac-jax", map="10m_vs_11m", start_noise=0.5).make()
        east = np.full(env.spec.n_agents, EAST)  # all crowd together
        return jax.jit(jax.vmap(lambda key: env.step(key, env.reset(key)[0], east)))(keys)[0].battle

    few = moved()
    monkeypatch.setattr(dynamics, "_FEW", 0)
    many = moved()
    assert np.abs(np.asarray(few.vx)).max() > 0.1
    for x, y in zip(*map(jax.tree.leaves, (few, many)), strict=True):
        assert_allclose(x, y, rtol=1e-5, atol=1e-5)  # compiled otherwise, rounded otherwise


def test_start_noise_puts_nobody_into_a_wall() -> None:
    env = environment("6h_vs_8z", start_noise=6.0)
    battles = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), 20))[0].battle
    x, y = np.asarray(battles.x).astype(int), np.asarray(battles.y).astype(int)
    ground = MAPS["6h_vs_8z"].ground
    assert ground is not None
    assert ground[y, x].all()
