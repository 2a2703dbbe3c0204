"""Films of SMACv2's battles, drawn like those of `smac_jax`."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from macpo.envs.smac_jax.dynamics import NOBODY, arrayed
from macpo.envs.smac_jax.features import NO_OP
from macpo.envs.smac_jax.maps import N_ACTIONS_NO_ATTACK
from macpo.envs.smac_jax.roster import roster_of
from macpo.envs.smacv2_jax import interface
from macpo.envs.smacv2_jax.environment import EncodedState, SMACv2JaxEnv, State
from macpo.envs.smacv2_jax.sight import nothing_seen
from macpo.envs.smacv2_jax.tasks import N_VIEWS
from macpo.render.battle import BattleEpisode, Cones, ending, units_at
from macpo.render.ink import Picture
from macpo.render.options import USUAL, FilmOptions
from macpo.render.smac_jax import FPS, SHOWS_AGENT, WIDTHS, film_of
from macpo.types import PyTree

__all__ = ["FPS", "SHOWS_AGENT", "WIDTHS", "film", "stored_state"]


def film(
    env: SMACv2JaxEnv,
    states: Sequence[State],
    actions: Int[np.ndarray, "T N"],
    captions: Sequence[str],
    options: FilmOptions = USUAL,
) -> list[Picture]:
    """The pictures of an episode, as many as of one of `smac_jax`."""
    return film_of(battle_episode(env, states, actions, captions), options)


def battle_episode(
    env: SMACv2JaxEnv,
    states: Sequence[State],
    actions: Int[np.ndarray, "T N"],
    captions: Sequence[str],
) -> BattleEpisode:
    """The battle to be drawn, from its T+1 states and T actions."""
    stacked: PyTree = jax.tree.map(lambda *x: np.stack([np.asarray(v) for v in x]), *states)
    task, n, kinds = env.task, env.spec.n_agents, np.asarray(states[0].kinds)
    columns = interface.columns_of(task, kinds)
    actions = np.asarray(actions, np.int64).reshape(-1, n)
    number = actions - task.first_target
    turns = (actions >= N_ACTIONS_NO_ATTACK) & (number < 0)
    angle = (actions - N_ACTIONS_NO_ATTACK) * 360 // N_VIEWS
    smacs = np.where(number >= 0, N_ACTIONS_NO_ATTACK + number, np.where(turns, NO_OP, actions))
    shown = [*range(N_ACTIONS_NO_ATTACK), *range(task.first_target, task.n_actions)]

    def available(step: int) -> Bool[np.ndarray, "N A"]:
        views = states[step].views
        may = env.available(columns, units_at(stacked.battle, step), views)
        return np.asarray(may)[:, shown]

    names = [task.kinds[kind] for kind in kinds]
    result = interface.outcome(task, columns, units_at(stacked.battle, -1))
    return BattleEpisode(
        task.with_teams(tuple(names[:n]), tuple(names[n:])),
        stacked.battle,
        smacs,
        np.where(number < 0, NOBODY, np.where(columns.heals[:n], number, n + number)),
        np.arange(task.n_enemies),
        captions,
        ending(result, states[-1], env.spec),
        available,
        np.where(turns, angle, -1) if task.conic_fov else None,
        _cones(stacked.views, columns.sight[:n]) if task.conic_fov else None,
    )


def _cones(views: Int[np.ndarray, "T1 N"], sight: Float[np.ndarray, " N"]) -> Cones:
    width = 360 / N_VIEWS
    return Cones(views * width, width, sight)


def stored_state(env: SMACv2JaxEnv, encoded: EncodedState, t: int) -> State:
    """The battle of an encoded state; targets, what is in the air and who owns an enemy are not
    known."""
    task, n = env.task, env.spec.n_agents
    kinds = np.asarray(encoded.kinds)
    heals = interface.columns_of(task, kinds).heals[:n]
    units = roster_of(task.cast, kinds[:, None], n)
    battle = arrayed(units, jnp.asarray(encoded.place[:, 0]), jnp.asarray(encoded.place[:, 1]))
    battle = battle._replace(
        health=encoded.health,
        shield=battle.shield if encoded.shield is None else encoded.shield,
        energy=battle.energy.at[:n].set(jnp.where(heals, encoded.ready, battle.energy[:n])),
        cooldown=battle.cooldown.at[:n].set(jnp.where(heals, 0.0, encoded.ready)),
    )
    memory = None
    if encoded.shown is not None:
        memory = nothing_seen(n, task.n_enemies)._replace(shown=encoded.shown)
    time, none = jnp.asarray(t, jnp.int32), jnp.zeros((), jnp.int32)
    return State(battle, encoded.kinds, encoded.last_actions, encoded.views, memory, time, none)
