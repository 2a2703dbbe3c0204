"""What happens between two states of a battle."""

import functools
import math
from typing import Any

import jax
import numpy as np
import pytest

from macpo.envs.smac_jax.dynamics import NOBODY, Battle
from macpo.envs.smac_jax.environment import Config, SMACJaxEnv, State
from macpo.envs.smac_jax.features import EAST, NO_OP, NORTH, STOP, WEST
from macpo.render.battle import BattleEpisode, Burst, Shot, battle_episode

MARINES = Config("3m").make()
STALKERS = Config("2s3z").make()  # 0 and 1 are the Stalkers, 2 to 4 the Zealots
MEDICS = Config("MMM").make()  # 9 is the Medivac
BANELINGS = Config("bane_vs_bane").make()  # 0 to 3 and 44 to 47; the others are Zerglings
READY = 0.0


@functools.cache
def first_state(env: SMACJaxEnv) -> State:
    return jax.jit(lambda key: env.reset(key)[0])(jax.random.key(0))


def start(env: SMACJaxEnv, t: int = 0, **units: dict[int, float]) -> State:
    """The first state, with values of some units put in their place."""
    state = first_state(env)
    battle: Any = jax.tree.map(np.array, state.battle)
    for name, values in units.items():
        for unit, value in values.items():
            getattr(battle, name)[unit] = value
    return jax.tree.map(np.asarray, state)._replace(battle=Battle(*battle), t=np.int32(t))


def recorded(env: SMACJaxEnv, *states: State, action: int = STOP) -> BattleEpisode:
    """The battle with these states; every agent chooses the same action."""
    actions = np.full((len(states) - 1, env.spec.n_agents), action)
    return battle_episode(env, states, actions, [""] * len(states))


def test_a_weapon_that_cools_has_not_fired() -> None:
    before, after = start(MARINES, cooldown={0: 12.0}), start(MARINES, cooldown={0: 4.0})
    assert recorded(MARINES, before, after).shots == []


def test_a_weapon_whose_cooldown_rose_has_fired_at_the_target() -> None:
    after = start(MARINES, cooldown={0: 10.0}, target={0: 4})
    (shot,) = recorded(MARINES, start(MARINES), after).shots
    assert (shot.by, shot.at) == (0, 4)
    ago = 0.8608 * 16 + 0.5 - 10.0  # its period, with the mean of the noise, less what is left
    assert shot.start == shot.end == pytest.approx(8 - ago + 0.05 * 16)


def test_a_shot_begun_before_leaves_when_its_windup_is_over() -> None:
    before = start(STALKERS, cooldown={0: 22.0}, windup={0: 2.0}, target={0: 5})
    after = start(STALKERS, cooldown={0: 14.0}, target={0: 5})
    (shot,) = recorded(STALKERS, before, after).shots
    assert (shot.by, shot.at, shot.start) == (0, 5, 2.0)


def test_a_shot_that_is_still_begun_has_not_left() -> None:
    after = start(STALKERS, cooldown={0: 22.0}, windup={0: 2.0}, target={0: 5})
    assert recorded(STALKERS, start(STALKERS), after).shots == []


def test_a_missile_under_way_strikes_when_the_state_says() -> None:
    sent = {"hit_target": {0: 6}, "hit_in": {0: 2.5}, "target": {0: 5}}
    (shot,) = recorded(STALKERS, start(STALKERS), start(STALKERS, cooldown={0: 20.0}, **sent)).shots
    assert (shot.by, shot.at, shot.end) == (0, 6, 10.5)
    assert shot.start < 8


def test_a_zealot_strikes_twice() -> None:
    after = start(STALKERS, cooldown={2: 15.0}, target={2: 7})
    first, second = recorded(STALKERS, start(STALKERS), after).shots
    assert (first.by, first.at) == (second.by, second.at) == (2, 7)
    assert second.start - first.start == pytest.approx(0.28 * 16)


def test_who_killed_its_target_had_chosen_it() -> None:
    after = start(MARINES, cooldown={0: 10.0}, target={0: NOBODY}, health={4: 0.0})
    (shot,) = recorded(MARINES, start(MARINES), after, action=6 + 1).shots
    assert (shot.by, shot.at) == (0, 4)


@pytest.mark.parametrize(("cooldown", "at"), [(6.5, 0), (12.0, 1)])
def test_an_enemy_that_changed_its_target_fired_at_the_one_it_had_then(
    cooldown: float, at: int
) -> None:
    before, after = start(MARINES, target={3: 0}), start(MARINES, target={3: 1})
    after.battle.cooldown[3] = cooldown  # fired early in the step, or late
    (shot,) = recorded(MARINES, before, after).shots
    assert (shot.by, shot.at) == (3, at)


def test_a_baneling_that_was_killed_explodes_in_that_step() -> None:
    dead = start(BANELINGS, health={45: 0.0})
    film = recorded(BANELINGS, start(BANELINGS), dead, dead)
    assert film.bursts == [Burst(45, 4, 8)]


def test_a_baneling_that_attacks_explodes_then_and_fires_no_shot() -> None:
    after = start(BANELINGS, health={0: 0.0}, cooldown={0: 8.8}, target={0: 30})
    film = recorded(BANELINGS, start(BANELINGS), after)
    (burst,) = film.bursts
    assert (burst.by, burst.end) == (0, 8)
    assert burst.start == pytest.approx(8 - (0.833 * 16 + 0.5 - 8.8))
    assert film.shots == []


def test_in_smaclite_only_a_baneling_that_attacks_explodes() -> None:
    env = Config("bane_vs_bane", profile="smaclite").make()
    after = start(env, health={0: 0.0, 1: 0.0}, cooldown={0: 12.0}, target={0: 30})
    assert [burst.by for burst in recorded(env, start(env), after).bursts] == [0]


def test_neither_the_living_nor_other_kinds_explode() -> None:
    after = start(BANELINGS, health={0: 1.0, 4: 0.0})
    assert recorded(BANELINGS, start(BANELINGS), after).bursts == []


def test_a_medivac_that_lost_energy_has_healed() -> None:
    after = start(MEDICS, energy={9: 48.9}, target={9: 3})
    assert recorded(MEDICS, start(MEDICS), after).heals == [Shot(9, 3, 0, 8)]


def test_a_medivac_that_gained_energy_has_not_healed() -> None:
    after = start(MEDICS, energy={9: 50.28125}, target={9: 3})
    assert recorded(MEDICS, start(MEDICS), after).heals == []


def test_places_in_between_lie_on_a_straight_line() -> None:
    film = recorded(MARINES, start(MARINES, x={0: 8.0}), start(MARINES, x={0: 9.0}))
    assert [film.place(0, loop)[0] for loop in (0, 2, 8)] == [8.0, 8.25, 9.0]


def test_a_unit_falls_with_the_first_state_in_which_it_is_dead() -> None:
    dead = start(MARINES, health={1: 0.0})
    assert recorded(MARINES, start(MARINES), dead, dead).fell.tolist() == [
        math.inf,
        8,
        *[math.inf] * 4,
    ]


@pytest.mark.parametrize(
    ("dead", "t", "ending"),
    [
        ((3, 4, 5), 9, "VICTORY"),
        ((0, 1, 2), 9, "DEFEAT"),
        ((), 60, "TIME OUT"),
        ((3, 4, 5), 60, "VICTORY"),
        ((0, 3), 9, None),
    ],
)
def test_the_ending_is_that_of_the_last_state(
    dead: tuple[int, ...], t: int, ending: str | None
) -> None:
    assert recorded(MARINES, start(MARINES, t, health=dict.fromkeys(dead, 0.0))).ending == ending


def test_enemies_are_called_and_aimed_at_by_the_numbers_that_agents_know() -> None:
    state = start(MARINES)._replace(enemy_order=np.array([2, 0, 1]))
    film = recorded(MARINES, state, state, action=6)  # the enemy that they call 0
    assert film.names == ("0", "1", "2", "1", "2", "0")
    assert film.ordered.tolist() == [[5, 5, 5]]


def test_moves_and_rest_aim_at_nobody() -> None:
    for action in (NO_OP, STOP, EAST):
        assert (
            recorded(MARINES, start(MARINES), start(MARINES), action=action).ordered == NOBODY
        ).all()


def test_in_a_battle_all_harm_that_agents_do_is_explained_by_a_strike() -> None:
    reset, step = jax.jit(MARINES.reset), jax.jit(MARINES.step)
    state, timestep = reset(jax.random.key(0))
    states, actions = [state], []
    for t in range(MARINES.spec.episode_limit):
        # attack if possible, else go east
        avail = np.array(timestep.observation.avail_actions)
        wish = np.where(avail[:, 6:].any(1), 6 + avail[:, 6:].argmax(1), EAST)
        actions.append(np.where(avail[:, NO_OP], NO_OP, wish))
        state, timestep = step(jax.random.key(t), state, actions[-1])
        states.append(state)
        if timestep.terminated:
            break
    film = battle_episode(MARINES, states, np.array(actions), [""] * len(states))
    harmed = np.argwhere(np.diff(film.battle.health[:, 3:], axis=0) < 0)
    assert len(harmed) > 10
    for t, enemy in harmed:  # when in a step a shot falls is known to two loops
        strikes = [shot.end for shot in film.shots if shot.at == 3 + enemy]
        assert any(8 * t - 2 <= end <= 8 * t + 8 + 2 for end in strikes), (t, enemy)


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (NO_OP, "does nothing"),
        (STOP, "stops"),
        (NORTH, "moves north"),
        (WEST, "moves west"),
        (6 + 2, "attacks enemy 2"),
    ],
)
def test_what_an_agent_does_is_said_in_words(action: int, words: str) -> None:
    episode = recorded(MARINES, start(MARINES), start(MARINES), action=action)
    assert episode.doing(0, 0) == words
    assert episode.doing(0, 1) == ""  # the episode is over


def test_a_healer_heals_an_ally() -> None:
    assert (
        recorded(MEDICS, start(MEDICS), start(MEDICS), action=6 + 2).doing(9, 0) == "heals ally 2"
    )


def test_the_dead_do_nothing() -> None:
    dead = start(MARINES, health={1: 0.0})
    assert recorded(MARINES, dead, dead, action=NO_OP).doing(1, 0) == "dead"


@pytest.mark.parametrize("permuted", [False, True])
@pytest.mark.parametrize("name", ["3m", "MMM"])
def test_available_actions_are_those_of_the_environment(name: str, permuted: bool) -> None:
    env = Config(name, permute_enemies_on_reset=permuted).make()
    state = start(env, x={0: 14.0, env.map.n_agents: 16.0}, health={1: 0.0})
    np.testing.assert_array_equal(
        recorded(env, state).available(0), jax.jit(env.observe)(state).avail_actions
    )
