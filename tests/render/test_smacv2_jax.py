"""Films of SMACv2's battles: the units that were drawn, the actions that turn a view."""

import functools
from typing import Any

import jax
import numpy as np
import pytest

from macpo.envs.smac_jax.dynamics import NOBODY
from macpo.envs.smac_jax.features import EAST, NO_OP, STOP
from macpo.envs.smacv2_jax.environment import Config, SMACv2JaxEnv, State
from macpo.render.battle import BattleEpisode, Point
from macpo.render.frames import stored_picture
from macpo.render.options import FilmOptions
from macpo.render.panel import panel_of
from macpo.render.smacv2_jax import WIDTHS, battle_episode, film

MARINES = Config("terran").make()
CONES = Config("terran", conic_fov=True).make()
KINDS = np.array([1, 0, 0, 0, 2, 0, 1, 0, 0, 2], np.int8)  # a marauder, three marines, a medivac
PLACES = np.array([(10 + 3 * (i // 5), 10 + 2 * (i % 5)) for i in range(10)], np.float32)


@functools.cache
def start(env: SMACv2JaxEnv) -> State:
    state, _ = jax.jit(env.deploy)(jax.random.key(0), KINDS, PLACES)
    return jax.tree.map(np.asarray, state)


def recorded(env: SMACv2JaxEnv, *actions: int) -> BattleEpisode:
    states: Any = [start(env), start(env)]
    return battle_episode(env, states, np.array([actions]), ["", ""])


def test_the_units_are_those_that_were_drawn() -> None:
    episode = recorded(MARINES, *[STOP] * 5)
    assert episode.kinds[:5] == ("marauder", "marine", "marine", "marine", "medivac")
    assert episode.map.name == "terran_5_vs_5"


def test_orders_are_read_with_and_without_actions_that_turn_a_view() -> None:
    plain, cones = recorded(MARINES, 7, EAST, STOP, 8, 6), recorded(CONES, 19, EAST, 9, 20, 18)
    assert plain.ordered[0].tolist() == [6, NOBODY, NOBODY, 7, 0]
    assert cones.ordered[0].tolist() == plain.ordered[0].tolist()
    assert cones.actions[0].tolist() == [7, EAST, NO_OP, 8, 6]
    assert [cones.doing(agent, 0) for agent in range(3)] == [
        "attacks enemy 1",
        "moves east",
        "turns its view to 90°",
    ]


def test_every_living_agent_s_cone_is_drawn_or_that_of_the_agent_that_is_followed() -> None:
    views = np.array([0, 3, 6, 9, 1], np.int8)
    state = start(CONES)._replace(views=views)
    dead = state.battle._replace(health=np.where(np.arange(10) == 2, 0, state.battle.health))
    one_is_dead = state._replace(battle=dead)

    def cones(state: State, agent: int | None) -> list[tuple[Point, float, float]]:
        drawn = list[list[tuple[Point, float, float]]]()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("macpo.render.smac_jax.draw_cones", lambda _, x, width: drawn.append(x))
            film(CONES, [state], np.zeros((0, 5)), [""], FilmOptions(agent=agent))[0]()
        return drawn[0]

    assert cones(one_is_dead, None) == [
        ((10, 10), 10, 0),  # a marauder, which sees ten cells far, to the east
        ((10, 12), 9, 90),
        ((10, 16), 9, 270),
        ((10, 18), 11, 30),
    ]
    assert cones(state, 2) == [((10, 14), 9, 180)]
    assert cones(one_is_dead, 2) == []


def test_the_legend_has_a_cone_where_agents_see_in_cones() -> None:
    def texts(env: SMACv2JaxEnv) -> list[str]:
        lines = panel_of(recorded(env, *[STOP] * 5), 960, None).lines
        return [entry.text for line in lines for entry in line]

    assert texts(CONES) == [*texts(MARINES), "field of view"]


@pytest.mark.parametrize("env", [MARINES, CONES], ids=["plain", "cones"])
def test_available_actions_are_those_of_the_environment(env: SMACv2JaxEnv) -> None:
    available = np.asarray(jax.jit(env.observe)(start(env)).avail_actions)
    shown = [*range(6), *range(env.task.first_target, env.spec.n_actions)]
    np.testing.assert_array_equal(recorded(env, *[STOP] * 5).available(0), available[:, shown])


def test_an_agent_s_actions_can_be_shown() -> None:
    pictures = film(CONES, [start(CONES)], np.zeros((0, 5)), [""], FilmOptions(agent=4))
    assert pictures[0]().width == 960


def test_a_battle_in_replay_is_drawn_as_it_was() -> None:
    state = start(MARINES)
    encoded = MARINES.encode(state)
    actions = np.full(5, STOP)
    stored = stored_picture(MARINES, (encoded, encoded), 0, actions, "step 0")
    small = FilmOptions(width=WIDTHS[0])
    (drawn, *_) = film(MARINES, [state, state], actions[None], ["step 0", "step 0"], small)
    assert stored.tobytes() == drawn().tobytes()
