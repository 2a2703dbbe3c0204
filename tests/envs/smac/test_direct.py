"""SMAC's episodes over our own line to the game, against a stand-in that speaks its protocol."""

from contextlib import closing

import numpy as np
import pytest

from macpo.envs.smac.environment import Config, SMACEnv
from macpo.errors import UsageError

from .conftest import (
    FIVE_AGAINST_SIX,
    MARAUDER,
    MARAUDER_RL,
    MARINE,
    MARINE_RL,
    MEDIVAC,
    MEDIVAC_RL,
    Installation,
    last_available,
    play,
)

STOP = np.ones(5, int)
ALLIES = [  # not in the order in which SMAC numbers them; two cells from their enemies
    [MEDIVAC_RL, 10.0, 16.0, 150.0, 0.0],
    *([MARINE_RL, 12.0, 20.0 - i, 45.0, 0.0] for i in range(7)),
    *([MARAUDER_RL, 13.0, 15.0 - i, 125.0, 0.0] for i in range(2)),
]
ENEMIES = [
    *([MARINE, 14.0, 12.0 + i, 45.0, 0.0] for i in range(8)),
    *([MARAUDER, 15.0, 13.0 + i, 125.0, 0.0] for i in range(3)),
    [MEDIVAC, 29.0, 16.0, 150.0, 0.0],
]


def mmm2(installation: Installation, **changes: object) -> SMACEnv:
    installation.write("MMM2", {"allies": ALLIES, "enemies": ENEMIES} | changes)
    return Config(map="MMM2", client="pysc2", timeout=20).make()


def far_away(units: list[list[float]]) -> list[list[float]]:
    return [[kind, 29.0, *rest] for kind, _, *rest in units]


def rows(flat: np.ndarray, n: int) -> np.ndarray:
    return flat.reshape(n, -1)


# --- episodes -------------------------------------------------------------------------------------


def test_a_flawless_victory_without_regeneration_is_worth_20_in_every_episode(running):
    env, _ = running
    for _ in range(3):
        steps = play(env, env.reset(0))
        assert sum(float(timestep.reward) for timestep in steps) == pytest.approx(20, abs=1e-5)
        assert steps[-1].terminated and not steps[-1].truncated
        assert steps[-1].info == {"battle_won": 1, "dead_allies": 0, "dead_enemies": 6}


def test_damage_and_kills_are_rewarded_in_parts_of_530_on_5m_vs_6m(running):
    env, _ = running
    env.reset(0)
    timestep = env.step(np.full(5, 6))  # five hits of 9: an enemy's 45 health, and its death
    assert timestep.reward == pytest.approx((45 + 10) / (530 / 20))


def test_health_that_an_enemy_regains_is_rewarded_as_damage(
    installation: Installation, env: SMACEnv
):
    installation.write("5m_vs_6m", FIVE_AGAINST_SIX | {"regeneration": 4.0})
    env.reset(0)
    env.step(np.array([6, 1, 1, 1, 1]))
    assert env.step(STOP).reward == pytest.approx(4 / (530 / 20))


def test_time_steps_have_the_spec_s_shapes(running):
    env, _ = running
    for timestep in (env.reset(0), env.step(STOP)):
        obs, state, available = timestep.observation
        assert obs.shape == (env.spec.n_agents, env.spec.obs_size) == (5, 55)
        assert state.shape == (env.spec.state_size,) == (98,)
        assert available.shape == (env.spec.n_agents, env.spec.n_actions) == (5, 12)
        assert {x.dtype for x in (obs, state, timestep.reward)} == {np.dtype("float32")}
        flags = (available, timestep.terminated, timestep.truncated)
        assert {x.dtype for x in flags} == {np.dtype(bool)}
        assert set(timestep.info) == {"battle_won", "dead_allies", "dead_enemies"}


def test_observations_and_state_stay_within_one(running):
    env, _ = running
    first = env.reset(0)
    for timestep in [first, *play(env, first)]:
        assert (np.abs(timestep.observation.obs) <= 1).all()
        assert (np.abs(timestep.observation.state) <= 1).all()


def test_the_time_limit_truncates_and_is_no_victory(running):
    env, _ = running
    timestep = env.reset(0)
    for _ in range(70):
        assert not (timestep.terminated or timestep.truncated)
        timestep = env.step(STOP)
    assert timestep.truncated and not timestep.terminated
    assert timestep.info["battle_won"] == 0 and timestep.reward == 0


def test_stopping_deals_no_damage(running):
    env, _ = running
    first = env.reset(0)
    after = env.step(STOP).observation.state
    np.testing.assert_array_equal(after[20:38], first.observation.state[20:38])


def test_a_defeat_ends_the_episode_without_a_bonus(installation: Installation, env: SMACEnv):
    installation.write("5m_vs_6m", FIVE_AGAINST_SIX | {"enemy_damage": 45.0})
    env.reset(0)
    timestep = env.step(STOP)
    assert timestep.terminated and not timestep.truncated
    assert timestep.info == {"battle_won": 0, "dead_allies": 5, "dead_enemies": 0}
    assert timestep.reward == 0


def test_both_sides_dead_end_the_episode_for_neither(installation: Installation):
    one_hit_left = {
        "allies": [[MARINE_RL, 12.0, 12.0 + i, 45.0, 0.0, 44.0] for i in range(3)],
        "enemies": [[MARINE, 16.0, 12.0 + i, 45.0, 0.0, 44.0] for i in range(3)],
    }
    installation.write("3m", one_hit_left | {"enemy_damage": 9.0})
    with closing(Config(map="3m", client="pysc2", timeout=20).make()) as env:
        env.reset(0)
        timestep = env.step(np.array([6, 7, 8]))
        assert timestep.terminated
        assert timestep.info == {"battle_won": 0, "dead_allies": 3, "dead_enemies": 3}
        assert timestep.reward == pytest.approx((3 * 1 + 3 * 10) / (365 / 20))
        # the map has recreated all units within the same step; the next episode is a fresh one
        assert env.reset(0).info["dead_allies"] == 0


def test_a_dead_agent_sees_nothing_and_does_nothing(installation: Installation, env: SMACEnv):
    installation.write("5m_vs_6m", FIVE_AGAINST_SIX | {"enemy_damage": 8.0})
    timestep = env.reset(0)
    while timestep.info["dead_allies"] == 0:
        timestep = env.step(STOP)
    dead = np.flatnonzero(timestep.observation.avail_actions[:, 0])
    assert len(dead) == timestep.info["dead_allies"] < 5
    assert not timestep.observation.avail_actions[dead, 1:].any()
    assert not timestep.observation.obs[dead].any()
    assert not rows(timestep.observation.state[:20], 5)[dead].any()
    env.step(last_available(timestep))
    assert len(installation.requests("action")[-1]["actions"]) == 5 - len(dead)


def test_the_state_ends_with_the_actions_that_were_sent(running):
    env, _ = running
    assert not env.reset(0).observation.state[38:].any()
    timestep = env.step(np.array([1, 2, 3, 4, 5]))
    last = rows(timestep.observation.state[38:], 5)
    np.testing.assert_array_equal(last, np.eye(12)[[1, 2, 3, 4, 5]])


def test_an_action_that_is_not_available_is_refused(running):
    env, _ = running
    env.reset(0)
    with pytest.raises(UsageError, match="agent 2 cannot take action 0; available: 1, 2"):
        env.step(np.array([1, 1, 0, 1, 1]))


def test_a_step_after_the_end_of_an_episode_is_refused(running):
    env, _ = running
    play(env, env.reset(0))
    with pytest.raises(UsageError, match="call reset first"):
        env.step(STOP)


# --- Medivacs -------------------------------------------------------------------------------------


def test_mmm2_is_won_when_only_the_enemy_s_medivac_is_left(installation: Installation):
    with closing(mmm2(installation)) as env:
        timestep = play(env, env.reset(0))[-1]
    assert timestep.terminated and timestep.info["battle_won"] == 1
    assert timestep.info["dead_enemies"] == 11


def test_mmm2_is_lost_when_only_our_medivac_is_left(installation: Installation):
    allies = [[MEDIVAC_RL, 3.0, 16.0, 150.0, 0.0], *ALLIES[1:]]
    with closing(mmm2(installation, allies=allies, enemy_damage=30.0)) as env:
        timestep = env.reset(0)
        while not timestep.terminated:
            timestep = env.step(np.where(timestep.observation.avail_actions[:, 0], 0, 1))
    assert timestep.info["battle_won"] == 0
    assert timestep.info["dead_allies"] == 9


def test_a_medivac_heals_allies_with_its_energy(installation: Installation):
    hurt = [MARINE_RL, 11.0, 18.0, 45.0, 0.0, 20.0]  # the first of the Marines in agents' order
    allies = [*ALLIES[:1], hurt, *ALLIES[2:]]
    with closing(mmm2(installation, allies=allies, enemies=far_away(ENEMIES))) as env:
        before = rows(env.reset(0).observation.state[:70], 10)
        after = rows(env.step(np.array([1] * 9 + [6 + 2])).observation.state[:70], 10)
    order = installation.requests("action")[-1]["actions"][9]["actionRaw"]["unitCommand"]
    assert order["abilityId"] == 386
    assert int(order["targetUnitTag"]) == 4_300_000_002
    np.testing.assert_allclose((before[2, 0], after[2, 0]), (25 / 45, 29.5 / 45))
    np.testing.assert_allclose((before[9, 1], after[9, 1]), (50 / 200, 48.5 / 200))


def test_a_medivac_may_heal_every_ally_in_reach_but_itself(installation: Installation):
    with closing(mmm2(installation, enemies=far_away(ENEMIES))) as env:
        available = env.reset(0).observation.avail_actions
    np.testing.assert_array_equal(available[9, 6:], [True] * 9 + [False] * 3)


# --- numbering ------------------------------------------------------------------------------------


def test_agents_are_sorted_by_type_then_x_then_y(installation: Installation):
    with closing(mmm2(installation)) as env:
        allies = rows(env.reset(0).observation.state[:70], 10)
    np.testing.assert_array_equal(allies[:, 4:].argmax(1), [0] * 2 + [1] * 7 + [2])
    y = allies[:9, 3] * 32 + 16
    np.testing.assert_allclose(y, [14, 15, *range(14, 21)], atol=1e-5)


def test_enemies_are_numbered_as_each_episode_shows_them(installation: Installation):
    with closing(mmm2(installation)) as env:
        states = [env.reset(0).observation.state for _ in range(2)]
    kinds = [rows(state[70:142], 12)[:, 3:].argmax(1) for state in states]
    np.testing.assert_array_equal(kinds[0], [1] * 8 + [0] * 3 + [2])
    np.testing.assert_array_equal(kinds[1], kinds[0][::-1])  # as the stand-in creates them


def test_on_bane_vs_bane_both_kinds_of_both_sides_are_told_apart(installation: Installation):
    baneling_rl, zergling_rl, baneling, zergling = 2001, 2002, 9, 105
    units = {
        "allies": [
            *([zergling_rl, 8.0, 6.0 + i, 35.0, 0.0] for i in range(20)),
            *([baneling_rl, 7.0, 6.0 + i, 30.0, 0.0] for i in range(4)),
        ],
        "enemies": [
            *([zergling, 24.0, 6.0 + i, 35.0, 0.0] for i in range(20)),
            *([baneling, 25.0, 6.0 + i, 30.0, 0.0] for i in range(4)),
        ],
    }
    installation.write("bane_vs_bane", units)
    with closing(Config(map="bane_vs_bane", client="pysc2", timeout=20).make()) as env:
        first, second = (env.reset(0).observation for _ in range(2))
    assert (env.spec.obs_size, env.spec.state_size, env.spec.n_actions) == (336, 984, 30)
    allies, enemies = rows(first.state[: 24 * 6], 24), rows(first.state[24 * 6 : 24 * 11], 24)
    assert allies[:, 4:].argmax(1).tolist() == [0] * 4 + [1] * 20  # agents: by the game's types
    assert enemies[:, 3:].argmax(1).tolist() == [1] * 20 + [0] * 4  # as the game shows them
    enemies = rows(second.state[24 * 6 : 24 * 11], 24)
    assert enemies[:, 3:].argmax(1).tolist() == [0] * 4 + [1] * 20


def test_on_2s_vs_1sc_the_enemy_is_a_structure_that_is_attacked_like_a_unit(
    installation: Installation,
):
    stalker_rl, spine_crawler = 2001, 98
    allies = [[stalker_rl, 9.0 + 2 * i, 16.0, 80.0, 80.0] for i in range(2)]
    units = {"allies": allies, "enemies": [[spine_crawler, 14.0, 16.0, 300.0, 0.0]]}
    installation.write("2s_vs_1sc", units)
    with closing(Config(map="2s_vs_1sc", client="pysc2", timeout=20).make()) as env:
        timestep = env.reset(0)
        assert timestep.observation.avail_actions[:, 6].tolist() == [True, True]
        state = env.step(np.array([6, 6])).observation.state
    assert (env.spec.n_actions, env.spec.state_size) == (7, 27)
    assert 0 < state[2 * 5] < 1  # its health
    assert len(installation.requests("action")[-1]["actions"]) == 2


def test_an_episode_begins_when_all_units_have_been_recreated(
    installation: Installation, env: SMACEnv
):
    installation.write("5m_vs_6m", FIVE_AGAINST_SIX | {"delay": 9})
    env.reset(0)
    env.step(np.array([6, 1, 1, 1, 1]))
    again = env.reset(0)
    assert (rows(again.observation.state[:20], 5)[:, 0] == 1).all()
    assert (rows(again.observation.state[20:38], 6)[:, 0] == 1).all()
    assert [row["count"] for row in installation.requests("step")] == [8, 2, *[1] * 7]


# --- terrain --------------------------------------------------------------------------------------

BAND = {"walkable": (2, 30, 13, 16)}


@pytest.mark.parametrize("old_grid", [False, True], ids=["a bit a cell", "a byte a cell"])
def test_agents_may_go_where_the_game_says_that_the_ground_is_walkable(
    installation: Installation, env: SMACEnv, old_grid: bool
):
    installation.write("5m_vs_6m", FIVE_AGAINST_SIX | BAND | {"old_grid": old_grid})
    moves = env.reset(0).observation.avail_actions[:, 2:6]
    # the agents stand at y = 12 … 16; the columns are north, south, east, west
    expected = [[1, 0, 0, 0], [1, 0, 1, 1], [1, 1, 1, 1], [0, 1, 1, 1], [0, 1, 0, 0]]
    np.testing.assert_array_equal(moves, expected)


def test_an_observation_begins_with_the_moves_that_are_available(running):
    env, _ = running
    obs, _, available = env.reset(0).observation
    np.testing.assert_array_equal(obs[:, :4], available[:, 2:6])


def test_places_in_the_state_are_measured_in_playable_areas(
    installation: Installation, env: SMACEnv
):
    installation.write("5m_vs_6m", FIVE_AGAINST_SIX | {"playable": (16, 8)})
    allies = rows(env.reset(0).observation.state[:20], 5)
    np.testing.assert_allclose(allies[:, 2], (12 - 16) / 16)
    np.testing.assert_allclose(allies[:, 3], (np.arange(12, 17) - 16) / 8)


# --- requests -------------------------------------------------------------------------------------


def test_actions_are_sent_as_orders_to_units(running):
    env, installation = running
    env.reset(0)
    env.step(np.array([1, 2, 3, 4, 8]))
    sent = installation.requests("action")[-1]["actions"]
    orders = [row["actionRaw"]["unitCommand"] for row in sent]
    first = int(orders[0]["unitTags"][0])
    assert [int(order["unitTags"][0]) - first for order in orders] == [0, 1, 2, 3, 4]
    assert [order["abilityId"] for order in orders] == [4, 16, 16, 16, 23]
    points = [order.get("targetWorldSpacePos") for order in orders]
    assert points == [None, {"x": 12, "y": 15}, {"x": 12, "y": 12}, {"x": 14, "y": 15}, None]
    assert int(orders[4]["targetUnitTag"]) - first == 5 + 2


def test_a_move_goes_as_far_as_the_unit_can_in_eight_loops(running):
    env, installation = running
    before = rows(env.reset(0).observation.state[:20], 5)
    after = rows(env.step(np.full(5, 4)).observation.state[:20], 5)
    np.testing.assert_allclose(after[:, 2] - before[:, 2], 1.125 / 32, atol=1e-6)
    assert installation.requests("step")[-1] == {"count": 8}


def test_the_game_is_created_with_its_map_opponent_and_seed(installation: Installation):
    with closing(Config(map="5m_vs_6m", difficulty="A", client="pysc2", timeout=20).make()) as env:
        env.reset(7)
    (create,) = installation.requests("create_game")
    assert create["randomSeed"] == 7
    assert create["localMap"]["mapPath"].endswith("Maps/SMAC_Maps/5m_vs_6m.SC2Map")
    assert create["playerSetup"] == [
        {"type": "Participant"},
        {"type": "Computer", "race": "Terran", "difficulty": "CheatInsane"},
    ]
    (join,) = installation.requests("join_game")
    assert join["race"] == "Terran" and join["options"] == {"raw": True, "score": False}
