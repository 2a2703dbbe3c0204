"""SMACv2 in JAX: each battle has other units in other places.

Observations, available actions, rewards and the draws of teams and starts follow SMACv2's
(`smacv2_jax.interface`, `sight`, `teams`); how battles proceed is `smac_jax`'s model of the engine.
Kinds are drawn for each battle, but the arrays have one shape, so a task is one compiled program.
"""

from dataclasses import dataclass, replace
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import checkify
from jaxtyping import Array, Float, Int, PRNGKeyArray

from macpo.bounds import Fraction, NonNegative, check_fields
from macpo.envs.base import Environment, first_step
from macpo.envs.smac_jax import features
from macpo.envs.smac_jax.dynamics import (
    JITTER,
    NOBODY,
    Battle,
    Dynamics,
    Orders,
    Rules,
    arrayed,
    battles_at_once,
)
from macpo.envs.smac_jax.environment import at_target, info_of, orders_of, units_of
from macpo.envs.smac_jax.features import STOP, Units
from macpo.envs.smac_jax.grounds import SIZE
from macpo.envs.smac_jax.maps import N_ACTIONS_NO_ATTACK
from macpo.envs.smac_jax.roster import Roster, looked_up, roster_of
from macpo.envs.smac_jax.splash import Splash
from macpo.envs.smacv2_jax import interface
from macpo.envs.smacv2_jax.sight import VIEWS, Memory, forget, look, nothing_seen
from macpo.envs.smacv2_jax.tasks import EPISODE_LIMIT, Race, Task, Teams
from macpo.envs.smacv2_jax.teams import draw_places, draw_teams, settle
from macpo.field_types import YOUNGER
from macpo.kernels.batch_last import env_axis_last
from macpo.types import Observation, Spec, TimeStep

RULES = Rules(nearest_each_step=True)


@dataclass(frozen=True)
class SMACv2Jax:
    """SMACv2 in JAX: its 15 tasks, with teams and starts drawn anew for each battle.

    Example:
        >>> SMACv2Jax(race="zerg", units="10v11").make().spec.n_actions
        17
    """

    race: Race = "terran"
    """Of both sides: Marines, Marauders and Medivacs; Stalkers, Zealots and Colossi; Zerglings,
    Hydralisks and Banelings."""
    units: Teams = "5v5"
    """Agents and enemies."""
    conic_fov: bool = False
    """Agents see and aim in a cone of 30°, which twelve more actions turn."""
    prob_obs_enemy: Fraction = 1.0
    """Probability that an agent may observe an enemy that another one has sighted; 0 in SMACv2's
    tasks of extended partial observability."""
    action_mask: bool = True
    """Whether only targets within reach are available; False in the tasks of extended partial
    observability, where an order at a target beyond it is not sent."""
    unmarked_enemies_blank_rows: bool = True
    """Whether an enemy that an agent may not observe also hides those with lower numbers from it:
    an oddity of SMACv2 (its issue 50), which published results include."""
    slop: Annotated[NonNegative, YOUNGER] = 1.0
    """Cells by which a target may leave the weapon's range once an attack has begun; none for
    Colossi, whatever it is."""
    splash: Annotated[Splash, YOUNGER] = "edge"
    """What of a unit a Colossus' beam or a Baneling's explosion must reach to hit it (assumed)."""
    heal_range: Annotated[NonNegative, YOUNGER] = 6.0
    """Cells, edge to edge, within which an enemy healer looks for patients (assumed)."""
    heal_least_energy: Annotated[NonNegative, YOUNGER] = 5.0
    """Energy below which a healer does not start to heal."""

    def __post_init__(self) -> None:
        check_fields(self, "smacv2-jax")

    def make(self) -> "SMACv2JaxEnv":
        """Build the environment."""
        return SMACv2JaxEnv(self)


Config = SMACv2Jax


class State(NamedTuple):
    """A battle and SMACv2's own counters."""

    battle: Battle
    kinds: Int[Array, "*B U"]
    """Of every unit, as its task numbers them."""
    last_actions: Int[Array, "*B N"]
    """−1 before the first step."""
    views: Int[Array, "*B N"] | None
    """The direction in which each agent looks; None without cones."""
    memory: Memory | None
    """None where all agents may observe whom they see."""
    t: Int[Array, "*B"]
    illegal_actions: Int[Array, "*B"]
    """Unavailable actions so far; each was treated as `stop`."""


class EncodedState(NamedTuple):
    """Only what observations depend on."""

    kinds: Array  # [U]
    place: Array  # [U, 2]
    health: Array  # [U]
    shield: Array | None  # [U], where units have one
    ready: Array  # [N] cooldown, or a healer's energy
    last_actions: Array
    views: Array | None
    shown: Array | None  # [N, E]


class SMACv2JaxEnv(Environment):
    """The battles that an `SMACv2Jax` describes."""

    def __init__(self, config: SMACv2Jax) -> None:
        self.config = config
        options = ("slop", "splash", "heal_range", "heal_least_energy")
        self.rules = replace(RULES, **{name: getattr(config, name) for name in options})
        self.task = task = Task(config.race, config.units, config.conic_fov)
        self.spec = Spec(
            name="smacv2-jax",
            n_agents=task.n_agents,
            n_actions=task.n_actions,
            obs_size=task.obs_size,
            state_size=task.state_size,
            episode_limit=EPISODE_LIMIT,
            truncation_is_terminal=True,  # as in all results on SMACv2
        )
        # who sights an enemy before others matters only where some agent may then not observe it
        self.remembers = config.prob_obs_enemy < 1 or config.unmarked_enemies_blank_rows
        self._step = env_axis_last(self._eight_loops, battles_at_once(task))

    # --- the environment contract -------------------------------------------------------------

    def reset(self, key: PRNGKeyArray) -> tuple[State, TimeStep]:
        """New teams at new places; agents are numbered by kind, then by x, then by y."""
        team_key, place_key, look_key = jax.random.split(key, 3)
        kinds, points = draw_teams(team_key, self.task), draw_places(place_key, self.task)
        return self._first(look_key, kinds, settle(self.task, self._roster(kinds), points))

    def deploy(
        self, key: PRNGKeyArray, kinds: Int[Array, " U"], places: Float[Array, "U 2"]
    ) -> tuple[State, TimeStep]:
        """A battle of these units, allies first, at these places instead of drawn ones."""
        return self._first(key, jnp.asarray(kinds, jnp.int8), jnp.asarray(places, jnp.float32))

    def dynamics_of(self, kinds: Int[Array, " U"]) -> Dynamics:
        """The rules for a battle of these units, for `macpo.envs.smac_jax.scripts`."""
        return Dynamics(self.task, self._roster(kinds), self.rules)

    def step(
        self, key: PRNGKeyArray, state: State, actions: Int[Array, " N"]
    ) -> tuple[State, TimeStep]:
        """Eight game loops. An unavailable action is treated as `stop` and counted."""
        task, before = self.task, units_of(state.battle)
        columns = interface.columns_of(task, state.kinds)
        available = self.available(columns, before, state.views)
        legal = jnp.take_along_axis(available, actions[:, None].astype(jnp.int32), 1)[:, 0]
        checkify.debug_check(legal.all(), "an unavailable action was chosen")
        noise_key, look_key = jax.random.split(key)
        noise = jax.random.uniform(noise_key, state.kinds.shape, minval=JITTER[0], maxval=JITTER[1])
        obeyed = jnp.where(legal, actions, STOP).astype(jnp.int32)
        orders = self._orders(state, columns, obeyed)
        battle = self._step(state.battle, orders, noise, state.kinds)
        units = units_of(battle)
        views = state.views
        if views is not None:
            turns = (obeyed >= N_ACTIONS_NO_ATTACK) & (obeyed < task.first_target)
            views = jnp.where(turns, obeyed - N_ACTIONS_NO_ATTACK, views).astype(views.dtype)
        memory = state.memory
        if memory is not None:
            memory = forget(memory, units.health > 0)
            memory = self._look(look_key, memory, columns, units, views)
        after = State(
            battle,
            state.kinds,
            actions.astype(jnp.int8),
            views,
            memory,
            state.t + 1,
            state.illegal_actions
            + (~legal & (before.health[: task.n_agents] > 0)).sum(dtype=jnp.int32),
        )
        over, won = interface.outcome(task, columns, units)
        reward = interface.reward(task, columns, before, units)
        truncated = (after.t >= EPISODE_LIMIT) & ~over
        info = info_of(battle, task.n_agents, won)
        return after, TimeStep(
            self.observe(after), reward.astype(jnp.float32), over, truncated, info
        )

    def observe(self, state: State) -> Observation:
        """SMACv2's observations, global state and available actions."""
        return self.decode(self.encode(state))

    def encode(self, state: State) -> EncodedState:
        """Kinds, positions, health and readiness, and what is hidden."""
        battle, n = state.battle, self.task.n_agents
        heals = interface.columns_of(self.task, state.kinds).heals[:n]
        return EncodedState(
            kinds=state.kinds,
            place=jnp.stack([battle.x, battle.y], 1),
            health=battle.health,
            shield=battle.shield if self.task.ally_shields else None,
            ready=jnp.where(heals, battle.energy[:n], battle.cooldown[:n]),
            last_actions=state.last_actions,
            views=state.views,
            shown=None if state.memory is None else state.memory.shown,
        )

    def decode(self, encoded: EncodedState) -> Observation:
        """Observe the encoded battle."""
        task, n = self.task, self.task.n_agents
        columns, views = interface.columns_of(task, encoded.kinds), encoded.views
        shield = jnp.zeros(len(encoded.health)) if encoded.shield is None else encoded.shield
        ready = jnp.concatenate([encoded.ready, jnp.zeros(task.n_enemies)])
        units = Units(
            encoded.place[:, 0], encoded.place[:, 1], encoded.health, shield, ready, ready
        )
        alive = units.health > 0
        visible = interface.in_sight(task, columns, units, views) & alive & alive[:n, None]
        if encoded.shown is not None:
            visible = jnp.concatenate([visible[:, :n], encoded.shown], 1)
        looks = [] if views is None else [jnp.asarray(VIEWS)[views, k] for k in (0, 1)]
        place = [units.x[:n] / SIZE, units.y[:n] / SIZE]
        near = interface.in_reach(task, columns, units, views)
        seen = features.available_actions(task, columns, units, near)
        return Observation(
            features.observe(task, columns, units, seen, visible, [*place, *looks]),
            features.global_state(task, columns, units, encoded.last_actions, looks),
            self.available(columns, units, views),
        )

    # --- its parts ----------------------------------------------------------------------------

    def _roster(self, kinds: Int[Array, " U"]) -> Roster:
        return roster_of(self.task.cast, kinds[:, None], self.task.n_agents)

    def _eight_loops(
        self,
        battle: Battle,
        orders: Orders,
        noise: Float[Array, "U E"],
        kinds: Int[Array, "U E"],
    ) -> Battle:
        units = roster_of(self.task.cast, kinds, self.task.n_agents)
        return Dynamics(self.task, units, self.rules).step(battle, orders, noise)

    def _first(
        self, key: PRNGKeyArray, kinds: Int[Array, " U"], places: Float[Array, "U 2"]
    ) -> tuple[State, TimeStep]:
        """The first state and time step of these units, once the agents are numbered."""
        task, n = self.task, self.task.n_agents
        by_name = sorted(range(len(task.kinds)), key=lambda k: task.kinds[k])
        rank = looked_up(np.argsort(by_name), kinds[:n])
        order = jnp.lexsort((places[:n, 1], places[:n, 0], rank))
        order = jnp.concatenate([order, jnp.arange(n, len(kinds))])
        kinds, places = kinds[order], places[order]
        battle = arrayed(self._roster(kinds), places[:, 0], places[:, 1])
        views = jnp.zeros(n, jnp.int8) if task.conic_fov else None
        memory = None
        if self.remembers:
            columns = interface.columns_of(task, kinds)
            memory = nothing_seen(n, task.n_enemies)
            memory = self._look(key, memory, columns, units_of(battle), views)
        zero = jnp.zeros((), jnp.int32)
        state = State(battle, kinds, jnp.full(n, -1, jnp.int8), views, memory, zero, zero)
        info = info_of(battle, n, jnp.zeros((), bool))
        return state, first_step(self.observe(state), **info)

    def _look(
        self,
        key: PRNGKeyArray,
        memory: Memory,
        columns: features.Columns,
        units: Units,
        views: Array | None,
    ) -> Memory:
        """The memory once the agents have looked, in a random order."""
        n, config = self.task.n_agents, self.config
        alive = units.health > 0
        sights = interface.in_sight(self.task, columns, units, views) & alive[:n, None]
        uniform_noise = jax.random.uniform(key, (1 + self.task.n_enemies, n))
        turn = jnp.argsort(uniform_noise[0])
        told = uniform_noise[1:] < config.prob_obs_enemy
        blanks = config.unmarked_enemies_blank_rows
        return look(memory, sights[:, n:], alive[n:], turn, told, blanks)

    def available(self, columns: features.Columns, units: Units, views: Array | None) -> Array:
        """[N, A] which actions each agent may take."""
        near = interface.in_reach(self.task, columns, units, views)
        if not self.config.action_mask:
            near = jnp.ones_like(near)
        available = features.available_actions(self.task, columns, units, near)
        return interface.with_views(self.task, available)

    def _orders(self, state: State, columns: features.Columns, actions: Int[Array, " N"]) -> Orders:
        """The allies' orders. The last one stands where none is sent: for a target that an agent
        cannot hit or that is out of its reach, and when it turns its view."""
        task, n = self.task, self.task.n_agents
        number = actions - task.first_target
        target = jnp.where(columns.heals[:n], number, n + number)
        aims = number >= 0
        near = interface.in_reach(task, columns, units_of(state.battle), state.views)
        can = near & self._roster(state.kinds).can_target[:n, :, 0]
        turns = (actions >= N_ACTIONS_NO_ATTACK) & ~aims
        kept = turns | (aims & ~at_target(can, target))
        return orders_of(state.battle, actions, jnp.where(aims, target, NOBODY), kept)
