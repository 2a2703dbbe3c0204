"""StarCraft micromanagement in JAX: SMAC's interface on a model of the game's engine.

Observations, available actions and rewards are exactly SMAC's (`smac_jax.features`); how battles
proceed is a model of the engine (`smac_jax.dynamics`). Results on it are not results on StarCraft
II; docs/starcraft.md compares the two.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import checkify
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from macpo.bounds import Bounds, NonNegative, check_fields
from macpo.envs.base import Environment, first_step
from macpo.envs.smac_jax import features
from macpo.envs.smac_jax.dynamics import (
    JITTER,
    NOBODY,
    Battle,
    Dynamics,
    Orders,
    Rules,
    battles_at_once,
    beginning,
)
from macpo.envs.smac_jax.features import MOVE_AMOUNT, MOVES, NORTH, STOP, WEST, Rewards, Units
from macpo.envs.smac_jax.maps import N_ACTIONS_NO_ATTACK, battle_map, in_smaclite
from macpo.envs.smac_jax.splash import Splash
from macpo.errors import require
from macpo.field_types import YOUNGER
from macpo.kernels.batch_last import env_axis_last
from macpo.types import Observation, PyTree, Spec, TimeStep

Profile = Literal["sc2", "smaclite"]


@dataclass(frozen=True)
class SMACJax:
    """StarCraft micromanagement in JAX: SMAC's 23 maps, its interface, a model of the engine.

    Example:
        >>> SMACJax(map="5m_vs_6m").make().spec.n_agents
        5
    """

    map: str = "3s_vs_5z"
    """One of SMAC's maps: MMM2, 5m_vs_6m, corridor, … (docs/starcraft.md lists them)."""
    profile: Profile = "sc2"
    """Unit data and rules: the game's, or those of SMAClite (for comparison with it)."""
    reward_sparse: bool = False
    """Only victory (1) and defeat (−1) are rewarded, divided like every reward."""
    reward_only_positive: bool = True
    """Whether harm to the allies is left out of the reward, as in SMAC."""
    reward_regeneration: bool = True
    """Whether health that enemies regain is rewarded as if they had lost it, as in SMAC."""
    permute_enemies_on_reset: bool = False
    """Renumber the enemies in every episode, as the game may; by default they keep their
    numbers."""
    start_noise: Annotated[float, Bounds(at_least=0, at_most=32)] = 0.0
    """Largest random shift of each unit's start along x and along y, in cells; the game has
    none."""
    acquire_range: NonNegative = 5.0
    """Cells, edge to edge, within which an enemy engages (assumed; its weapon's range where that
    is larger)."""
    leash: NonNegative = 6.0
    """Cells beyond which it abandons a target that does not fight it (assumed)."""
    respond_to_attack: bool = True
    """Whether an enemy engages any unit that targets it, at any distance (assumed)."""
    slop: NonNegative = 1.0
    """Cells by which a target may leave the weapon's range once an attack has begun; none for
    Colossi and Spine Crawlers, whatever it is."""
    splash: Annotated[Splash, YOUNGER] = "edge"
    """What of a unit a Colossus' beam or a Baneling's explosion must reach to hit it (assumed)."""
    heal_range: NonNegative = 6.0
    """Cells, edge to edge, within which an enemy healer looks for patients (assumed)."""
    heal_least_energy: NonNegative = 5.0
    """Energy below which a healer does not start to heal."""

    def __post_init__(self) -> None:
        check_fields(self, "smac-jax")
        battle_map(self.map)
        for option in _DECIDED_BY_SMACLITE if self.profile == "smaclite" else ():
            require(
                getattr(self, option) == getattr(type(self), option),
                f"smac-jax: {option} changes nothing with profile smaclite, whose rule is another; "
                "leave it out.",
            )

    def make(self) -> "SMACJaxEnv":
        """Build the environment."""
        return SMACJaxEnv(self)


_DECIDED_BY_SMACLITE = ("leash", "respond_to_attack", "slop", "splash", "heal_range")
Config = SMACJax


class State(NamedTuple):
    """A battle and SMAC's own counters."""

    battle: Battle
    last_actions: Int[Array, "*B N"]
    """−1 before the first step."""
    t: Int[Array, "*B"]
    enemy_order: Int[Array, "*B e"] | None
    """The enemy behind each number that the agents use; None where numbers never change."""
    illegal_actions: Int[Array, "*B"]
    """Unavailable actions so far; each was treated as `stop`."""


class EncodedState(NamedTuple):
    """Only what observations depend on."""

    place: Array  # [U, 2]
    health: Array  # [U]
    shield: Array | None  # [units that have one]
    ready: Array  # [N] cooldown, or a healer's energy
    last_actions: Array
    enemy_order: Array | None


class SMACJaxEnv(Environment):
    """The battles that an `SMACJax` describes."""

    def __init__(self, config: SMACJax) -> None:
        self.config = config
        here = battle_map(config.map)
        rules = Rules(
            acquire_range=config.acquire_range,
            leash=config.leash,
            respond=config.respond_to_attack,
            slop=config.slop,
            splash=config.splash,
            heal_range=config.heal_range,
            heal_least_energy=config.heal_least_energy,
        )
        if config.profile == "smaclite":
            here = in_smaclite(here)
            rules = replace(
                rules, slop=0.0, energy_per_health=1 / 3, nearest_each_loop=True, orca=True
            )
        self.map = here
        self.rewards = Rewards(
            config.reward_sparse, config.reward_only_positive, config.reward_regeneration
        )
        self.columns = features.columns_of(here)
        self.dynamics = Dynamics(here, here.roster, rules)
        self.spec = Spec(
            name="smac-jax",
            n_agents=here.n_agents,
            n_actions=here.n_actions,
            obs_size=here.obs_size,
            state_size=here.state_size,
            episode_limit=here.episode_limit,
            truncation_is_terminal=True,  # as in all results on SMAC
        )
        self._step = env_axis_last(self.dynamics.step, battles_at_once(here))
        self._shields = np.flatnonzero([kind.shield > 0 for kind in here.kinds])
        self._heals = here.roster.heals[: here.n_agents, 0]

    # --- the environment contract -------------------------------------------------------------

    def reset(self, key: PRNGKeyArray) -> tuple[State, TimeStep]:
        """All units at their starts; agents are numbered by kind, then by x, then by y."""
        n, e = self.map.n_agents, self.map.n_enemies
        battle = beginning(self.map)
        order_key, noise_key = jax.random.split(key)
        if self.config.start_noise:
            battle = self._scattered(noise_key, battle)
        permuted = self.config.permute_enemies_on_reset
        order = jax.random.permutation(order_key, e).astype(jnp.int8) if permuted else None
        zero = jnp.zeros((), jnp.int32)
        state = State(battle, jnp.full(n, -1, jnp.int8), zero, order, zero)
        return state, first_step(self.observe(state), **self._info(state))

    def step(
        self, key: PRNGKeyArray, state: State, actions: Int[Array, " N"]
    ) -> tuple[State, TimeStep]:
        """Eight game loops. An unavailable action is treated as `stop` and counted."""
        legal = jnp.take_along_axis(self._available(state), actions[:, None], 1)[:, 0]
        checkify.debug_check(legal.all(), "an unavailable action was chosen")
        n = self.map.n_agents
        before = state.battle
        obeyed = jnp.where(legal, actions, STOP)
        noise = jnp.zeros(len(self.map.kinds))
        if self.config.profile == "sc2":
            noise = jax.random.uniform(key, noise.shape, minval=JITTER[0], maxval=JITTER[1])
        battle = self._step(before, self._orders(state, obeyed), noise)
        after = State(
            battle,
            actions.astype(jnp.int8),
            state.t + 1,
            state.enemy_order,
            state.illegal_actions + (~legal & (before.health[:n] > 0)).sum(dtype=jnp.int32),
        )
        units = units_of(battle)
        over, _ = features.outcome(self.map, units)
        reward = features.reward(self.map, units_of(before), units, self.rewards)
        truncated = (after.t >= self.spec.episode_limit) & ~over
        return after, TimeStep(
            self.observe(after), reward.astype(jnp.float32), over, truncated, self._info(after)
        )

    def observe(self, state: State) -> Observation:
        """SMAC's observations, global state and available actions."""
        return self.decode(self.encode(state))

    def encode(self, state: State) -> EncodedState:
        """Positions, health and readiness: a twentieth of the observation's size."""
        battle, n = state.battle, self.map.n_agents
        return EncodedState(
            place=jnp.stack([battle.x, battle.y], 1),
            health=battle.health,
            shield=battle.shield[self._shields] if self._shields.size else None,
            ready=jnp.where(self._heals, battle.energy[:n], battle.cooldown[:n]),
            last_actions=state.last_actions,
            enemy_order=state.enemy_order,
        )

    def decode(self, encoded: EncodedState) -> Observation:
        """Observe the encoded battle."""
        u = len(self.map.kinds)
        shield = jnp.zeros(u)
        if encoded.shield is not None:
            shield = shield.at[self._shields].set(encoded.shield)
        ready = jnp.concatenate([encoded.ready, jnp.zeros(self.map.n_enemies)])
        units = Units(
            encoded.place[:, 0], encoded.place[:, 1], encoded.health, shield, ready, ready
        )
        columns = jax.tree.map(jnp.asarray, self.columns)
        if encoded.enemy_order is not None:
            units, columns = (self._renumbered(x, encoded.enemy_order) for x in (units, columns))
        available = features.available_actions(self.map, columns, units)
        return Observation(
            features.observe(self.map, columns, units, available),
            features.global_state(self.map, columns, units, encoded.last_actions),
            available,
        )

    # --- its parts ----------------------------------------------------------------------------

    def _available(self, state: State) -> Array:
        units = units_of(state.battle)
        if state.enemy_order is not None:
            units = self._renumbered(units, state.enemy_order)
        return features.available_actions(self.map, self.columns, units)

    def _renumbered(self, per_unit: PyTree, order: Array) -> PyTree:
        """Rows of the enemies in the order in which the agents see them."""
        n = self.map.n_agents
        return jax.tree.map(lambda x: jnp.concatenate([x[:n], x[n:][order]]), per_unit)

    def _orders(self, state: State, actions: Int[Array, " N"]) -> Orders:
        """The allies' orders; an agent that cannot hit the chosen target keeps its last order."""
        n = self.map.n_agents
        number = actions - N_ACTIONS_NO_ATTACK
        target = n + number
        if state.enemy_order is not None:
            target = n + state.enemy_order[jnp.maximum(number, 0)]
        target = jnp.where(self._heals, number, target)
        aims = actions >= N_ACTIONS_NO_ATTACK
        rejected = aims & ~at_target(self.dynamics.units.can_target[:n, :, 0], target)
        return orders_of(state.battle, actions, jnp.where(aims, target, NOBODY), rejected)

    def _scattered(self, key: PRNGKeyArray, battle: Battle) -> Battle:
        """Starts shifted a little (into no wall), and agents of a kind renumbered by position."""
        n, noise = self.map.n_agents, self.config.start_noise
        place = jnp.stack([battle.x, battle.y], 1)
        place += jax.random.uniform(key, place.shape, minval=-noise, maxval=noise)
        (left, right), (bottom, top) = self.map.walkable
        x, y = jnp.clip(place[:, 0], left, right - 1), jnp.clip(place[:, 1], bottom, top - 1)
        stays = ~features.walkable(self.map, x, y)
        x, y = jnp.where(stays, battle.x, x), jnp.where(stays, battle.y, y)
        order = jnp.lexsort((y[:n], x[:n], self.map.type_index[:n]))
        order = jnp.concatenate([order, jnp.arange(n, len(x))])
        return battle._replace(x=x[order], y=y[order])

    def _info(self, state: State) -> dict[str, Array]:
        """SMAC's own: whether the battle was won, and how many units died."""
        _, won = features.outcome(self.map, units_of(state.battle))
        return info_of(state.battle, self.map.n_agents, won)


def at_target(pairs: Array, target: Int[Array, " N"]) -> Array:
    """[N] the entry of [N, U] for each agent's target; False for `NOBODY`."""
    return ((target[:, None] == np.arange(pairs.shape[1])) & pairs).any(1)


def orders_of(
    battle: Battle, actions: Int[Array, " N"], target: Int[Array, " N"], kept: Bool[Array, " N"]
) -> Orders:
    """Orders to move, to stop, or to go for a target, but for agents whose last order is `kept`."""
    n = len(actions)
    moves = (actions >= NORTH) & (actions <= WEST)
    way = jnp.asarray(MOVES)[jnp.clip(actions - NORTH, 0, 3)] * MOVE_AMOUNT
    order = Orders(
        target=target.astype(jnp.int32),
        goal_x=battle.x[:n] + way[:, 0],
        goal_y=battle.y[:n] + way[:, 1],
        walks=moves,
    )
    standing = Orders(*(x[:n] for x in (battle.target, battle.goal_x, battle.goal_y, battle.walks)))
    return jax.tree.map(lambda new, old: jnp.where(kept, old, new), order, standing)


def info_of(battle: Battle, n: int, won: Array) -> dict[str, Array]:
    """Whether the battle was won, and how many units died; the first n are the allies."""
    fallen = battle.health <= 0
    return {
        "battle_won": won.astype(jnp.float32),
        "dead_allies": fallen[:n].sum(dtype=jnp.float32),
        "dead_enemies": fallen[n:].sum(dtype=jnp.float32),
    }


def units_of(battle: Battle) -> Units:
    """What the interface shows of a battle's units."""
    return Units(battle.x, battle.y, battle.health, battle.shield, battle.energy, battle.cooldown)
