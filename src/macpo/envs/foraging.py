"""Level-Based Foraging: agents of different levels collect food, which some cannot lift alone.

An agent that loads beside food lifts it if its level, together with those of all others who load
there in the same step, reaches the food's. What is lifted is gone, and the team earns its level's
share of all food, so that an episode earns at most 1.

Rules, actions and observations are those of lbforaging 2.0 (Foraging-SIZExSIZE-Np-Mf-v3): agents
whose targets coincide do not move, and two may change places; windows are counted from their own
upper left corner, and near the upper and left border they show other agents, but not food, farther
away. Two things differ: a time-out is `truncated` here, and where agents begin does not depend on
the episode before.

Source: Papoudakis et al. 2021, "Benchmarking Multi-Agent Deep Reinforcement Learning Algorithms in
Cooperative Tasks"; Christianos et al. 2020 (lbforaging).
"""

from dataclasses import dataclass
from typing import Annotated, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from macpo.bounds import Bounds, NonNegative, PositiveInt, check_fields
from macpo.envs.base import Environment, first_step
from macpo.errors import require
from macpo.types import Observation, Spec, TimeStep

NONE, NORTH, SOUTH, WEST, EAST, LOAD = range(6)
MOVES = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (0, 0))  # (row, column) of each action
Side: TypeAlias = Annotated[int, Bounds(at_least=3, at_most=127)]
Level: TypeAlias = Annotated[int, Bounds(at_least=1, at_most=40)]
"""Three of them in a byte: the highest level of food."""
Few: TypeAlias = Annotated[int, Bounds(at_least=1, at_most=100)]


@dataclass(frozen=True)
class LevelBasedForaging:
    """Level-Based Foraging: food that takes several agents to lift (lbforaging's rules).

    Example:
        >>> LevelBasedForaging(n_agents=3, force_coop=True).make().spec.n_actions
        6
    """

    height: Side = 8
    """Rows of the grid."""
    width: Side = 8
    """Columns of the grid."""
    n_agents: Few = 2
    """Agents."""
    n_food: Few = 2
    """Food at the start. It keeps clear of the border and of other food; what finds no place in the
    grid is left out."""
    sight: Annotated[int, Bounds(at_least=1, at_most=127)] | None = None
    """How many cells away an agent sees; None: the whole grid (lbforaging's `-2s` is 2)."""
    min_agent_level: Level = 1
    """Lowest level of an agent."""
    max_agent_level: Level = 2
    """Highest level of an agent."""
    max_food_level: Annotated[int, Bounds(at_least=1, at_most=127)] | None = None
    """Highest level of food; None: the sum of the three lowest levels of agents."""
    force_coop: bool = False
    """Whether all food has the highest level (`-coop`)."""
    penalty: NonNegative = 0.0
    """What an agent costs the team that loads in vain (`-pen`: 0.1)."""
    normalise_reward: bool = True
    """Whether the team earns a share of all food; if not, food times the levels that lift it."""
    mask_invalid_actions: bool = False
    """Whether steps off the grid or into food, and loading beside none, are unavailable; in
    published results they are available and do nothing."""
    episode_limit: PositiveInt = 50
    """Env steps after which an episode is truncated."""

    def __post_init__(self) -> None:
        check_fields(self, "foraging")
        require(
            self.min_agent_level <= self.max_agent_level,
            f"foraging: agents have levels from {self.min_agent_level} to {self.max_agent_level}; "
            "min_agent_level must not be above max_agent_level.",
        )
        cells = self.height * self.width
        require(
            self.n_agents + self.n_food <= cells,
            f"foraging: {self.n_agents} agents and {self.n_food} food need more than the {cells} "
            f"cells of a {self.height}×{self.width} grid; enlarge it or take fewer.",
        )

    def make(self) -> "ForagingEnv":
        """Build the environment."""
        return ForagingEnv(self)


Config = LevelBasedForaging


class State(NamedTuple):
    """Where everybody and everything is."""

    agent: Int[Array, "N 2"]
    """Row and column."""
    agent_level: Int[Array, " N"]
    food: Int[Array, "F 2"]
    """In the order of rows, then columns."""
    food_level: Int[Array, " F"]
    """0 for food that is gone."""
    spawned: Int[Array, ""]
    """Levels of all food at the start."""
    t: Int[Array, ""]


class ForagingEnv(Environment):
    """The game that a `LevelBasedForaging` describes."""

    def __init__(self, config: LevelBasedForaging) -> None:
        self.config = config
        self.sight = config.sight or max(config.height, config.width)
        obs_size = 3 * (config.n_food + config.n_agents)
        is_share = config.normalise_reward and config.penalty == 0
        self.spec = Spec(
            name="foraging",
            n_agents=config.n_agents,
            n_actions=len(MOVES),
            obs_size=obs_size,
            state_size=config.n_agents * obs_size,
            episode_limit=config.episode_limit,
            return_bounds=(0.0, 1.0) if is_share else None,
        )

    # --- the environment contract -------------------------------------------------------------

    def reset(self, key: PRNGKeyArray) -> tuple[State, TimeStep]:
        """Agents on distinct cells, then food, one after another, where there is room."""
        config = self.config
        where_key, level_key, food_key, food_level_key = jax.random.split(key, 4)
        cells = jax.random.permutation(where_key, config.height * config.width)
        agent = self._row_column(cells[: config.n_agents])
        agent_level = jax.random.randint(
            level_key, (config.n_agents,), config.min_agent_level, config.max_agent_level + 1
        )
        highest = config.max_food_level
        top = jnp.sort(agent_level)[:3].sum() if highest is None else jnp.asarray(highest)
        lowest = top if config.force_coop else jnp.ones_like(top)
        levels = jax.random.randint(food_level_key, (config.n_food,), lowest, top + 1)
        food, is_there = self._scatter(food_key, agent)
        food_level = jnp.where(is_there, levels, 0)
        state = self.initial_state(agent, agent_level, food, food_level)
        return state, first_step(self.observe(state))

    def step(
        self, key: PRNGKeyArray, state: State, actions: Int[Array, " N"]
    ) -> tuple[State, TimeStep]:
        """Move, then lift; nothing is left to chance."""
        valid = self._valid(state)
        chosen = jnp.take_along_axis(valid, actions[:, None].astype(int), 1)[:, 0]
        actions = jnp.where(chosen, actions, NONE)
        after = state._replace(agent=self._move(state.agent, actions), t=state.t + 1)
        food_level, reward = self._lift(after, actions == LOAD)
        after = after._replace(food_level=food_level)
        terminated = ~(food_level > 0).any()
        truncated = (after.t >= self.config.episode_limit) & ~terminated
        return after, TimeStep(self.observe(after), reward, terminated, truncated, {})

    def observe(self, state: State) -> Observation:
        """Each agent's food and agents in sight; the state is all of that."""
        return self.decode(self.encode(state))

    def encode(self, state: State) -> tuple[Array, ...]:
        """Rows, columns and levels: a byte each."""
        return state.agent, state.agent_level, state.food, state.food_level

    def decode(self, encoded: tuple[Array, ...]) -> Observation:
        """Observe the encoded cells again."""
        agent, agent_level, food, food_level = (x.astype(jnp.int32) for x in encoded)
        zero = jnp.zeros((), jnp.int32)
        state = State(agent, agent_level, food, food_level, zero, zero)
        obs = jax.vmap(lambda i: self._observe_from(state, i))(jnp.arange(self.spec.n_agents))
        avail = self._valid(state)
        if not self.config.mask_invalid_actions:
            avail = jnp.ones_like(avail)
        return Observation(obs.astype(jnp.int8), obs.reshape(-1).astype(jnp.int8), avail)

    # --- its parts ----------------------------------------------------------------------------

    def initial_state(
        self,
        agent: Int[Array, "N 2"],
        agent_level: Int[Array, " N"],
        food: Int[Array, "F 2"],
        food_level: Int[Array, " F"],
    ) -> State:
        """The state with everybody and everything at explicit (row, column) positions."""
        cell = food[:, 0] * self.config.width + food[:, 1]
        order = jnp.argsort(jnp.where(food_level > 0, cell, jnp.iinfo(jnp.int32).max))
        return State(
            agent=agent.astype(jnp.int8),
            agent_level=agent_level.astype(jnp.int8),
            food=food[order].astype(jnp.int8),
            food_level=food_level[order].astype(jnp.int8),
            spawned=food_level.sum().astype(jnp.int32),
            t=jnp.zeros((), jnp.int32),
        )

    def _row_column(self, cell: Int[Array, " n"]) -> Int[Array, "n 2"]:
        return jnp.stack([cell // self.config.width, cell % self.config.width], -1)

    def _scatter(
        self, key: PRNGKeyArray, agent: Int[Array, "N 2"]
    ) -> tuple[Int[Array, "F 2"], Bool[Array, " F"]]:
        """(cells of the food, whether it found room), each uniform over the room that is left."""
        height, width, n = self.config.height, self.config.width, self.config.n_food
        cells = self._row_column(jnp.arange(height * width))
        row, column = cells.T
        inside = (row > 0) & (row < height - 1) & (column > 0) & (column < width - 1)
        is_free = inside & ~(cells[:, None] == agent).all(-1).any(-1)

        def place(is_free: Array, key: PRNGKeyArray) -> tuple[Array, tuple[Array, Array]]:
            found = is_free.any()
            drawn = jax.random.categorical(key, jnp.where(is_free | ~found, 0.0, -jnp.inf))
            down, right = jnp.abs(cells - cells[drawn]).T
            near = ((down <= 1) & (right <= 1)) | (jnp.minimum(down, right) == 0) & (
                down + right <= 2
            )
            return is_free & ~(near & found), (cells[drawn], found)

        _, placed = jax.lax.scan(place, is_free, jax.random.split(key, n))
        return placed

    def _valid(self, state: State) -> Bool[Array, "N 6"]:
        """Which actions of each agent do anything."""
        there = state.agent[:, None].astype(jnp.int32) + jnp.array(MOVES)
        size = jnp.array([self.config.height, self.config.width])
        on_grid = ((there >= 0) & (there < size)).all(-1)
        is_food = (there[:, :, None] == state.food).all(-1) & (state.food_level > 0)
        valid = on_grid & ~is_food.any(-1)
        return valid.at[:, LOAD].set(_beside(state.agent, state).any(-1))

    def _move(self, agent: Int[Array, "N 2"], actions: Int[Array, " N"]) -> Int[Array, "N 2"]:
        """The agents in their new cells, except for those who want the same one."""
        goal = agent + jnp.array(MOVES, agent.dtype)[actions]
        rivals = (goal[:, None] == goal).all(-1).sum(-1)
        return jnp.where((rivals == 1)[:, None], goal, agent)

    def _lift(
        self, state: State, loading: Bool[Array, " N"]
    ) -> tuple[Int[Array, " F"], Float[Array, ""]]:
        """(levels of the food that is left, reward)"""
        lifting = _beside(state.agent, state) & loading[:, None]
        strength = jnp.where(lifting, state.agent_level[:, None].astype(jnp.int32), 0).sum(0)
        level = state.food_level.astype(jnp.int32)
        tried = lifting.any(0)
        lifted = tried & (strength >= level)
        # each earns level · food, divided by the levels of all who lift it if normalised
        earned = level / state.spawned if self.config.normalise_reward else level * strength
        in_vain = (lifting & ~lifted).sum()
        reward = jnp.where(lifted, earned, 0.0).sum() - self.config.penalty * in_vain
        left = jnp.where(lifted, 0, state.food_level)
        return left.astype(state.food_level.dtype), reward.astype(jnp.float32)

    def _observe_from(self, state: State, i: Int[Array, ""]) -> Int[Array, " O"]:
        """(row, column, level) of the food in sight, of oneself, of the others in sight."""
        own, sight = state.agent[i], self.sight
        corner = jnp.maximum(own - sight, 0)
        is_seen = (jnp.abs(state.food - own) <= sight).all(-1) & (state.food_level > 0)
        food = _listed(state.food - corner, state.food_level, jnp.where(is_seen, 0, 1))
        place = state.agent - corner
        is_seen = ((place >= 0) & (place <= 2 * sight)).all(-1)
        rank = jnp.where(jnp.arange(len(place)) == i, -1, jnp.where(is_seen, 0, 1))
        return jnp.concatenate([food, _listed(place, state.agent_level, rank)])


def _beside(agent: Int[Array, "N 2"], state: State) -> Bool[Array, "N F"]:
    """Whether each agent stands beside each food that is left."""
    away = jnp.abs(agent[:, None].astype(jnp.int32) - state.food).sum(-1)
    return (away == 1) & (state.food_level > 0)


def _listed(
    place: Int[Array, "n 2"], level: Int[Array, " n"], rank: Int[Array, " n"]
) -> Int[Array, " 3n"]:
    """Rows of (row, column, level) by rank; those of rank 1 are out of sight, (−1, −1, 0)."""
    rows = jnp.concatenate([place, level[:, None]], -1)
    unseen = jnp.array([-1, -1, 0], rows.dtype)
    rows = jnp.where((rank == 1)[:, None], unseen, rows)
    return rows[jnp.argsort(rank, stable=True)].reshape(-1)
