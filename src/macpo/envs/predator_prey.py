"""Predator-Prey: eight hunters on a grid, who must catch in pairs.

Source: MAC-PO, appendix E.1; the rules are those of the environment that the experiments of the
PyMARL family use ("stag hunt"). A prey with two or more adjacent catchers is captured (+10) and
removed together with all its catchers; a lone catcher is punished. Each capture takes at least two
hunters out, so the largest return of the default game is 40.

Everything is computed by comparing cell numbers: no grid, no dynamic index. Agent and prey axes
come first and batch axes last, and `vmap` keeps it so (see `_env_axis_last`); with many
environments each comparison is then one wide vector instruction on bytes.
"""

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from macpo.envs.base import Environment, first_step
from macpo.errors import require
from macpo.types import Key, Observation, Spec, TimeStep

RIGHT, DOWN, LEFT, UP, STAY, CATCH = range(6)
MOVES = ((0, 1), (1, 0), (0, -1), (-1, 0))  # (row, column) steps of the first four actions
SIGHT = 2  # an agent sees the 5×5 window around itself
WINDOW = 2 * SIGHT + 1
CHANNELS = 3  # agents, prey, and hares: the original's third channel, empty in this game


@dataclass(frozen=True)
class Config:
    """Predator-Prey: hunters must catch in pairs; a lone catch is punished (MAC-PO, App. E.1)."""

    height: int = 10
    """Rows of the grid."""
    width: int = 10
    """Columns of the grid."""
    n_predators: int = 8
    """Hunters, the agents."""
    n_prey: int = 8
    """Prey; they move at random."""
    episode_limit: int = 200
    """Env steps after which an episode is truncated."""
    capture_reward: float = 10.0
    """Team reward for a prey caught by two or more (appendix E.1; section 5.2.1 says 1)."""
    punishment: float = 0.0
    """Team reward (≤ 0) per prey with a lone catcher. The paper uses 0, −0.5, −1.5 and −2."""
    block_occupied_moves: bool = False
    """Whether moves into occupied cells are unavailable, as the paper says; in the released
    environment they are available and do nothing."""

    def __post_init__(self) -> None:
        cells = self.height * self.width
        population = self.n_predators + self.n_prey
        require(
            min(self.height, self.width, self.n_predators, self.n_prey, self.episode_limit) >= 1,
            "predator-prey: height, width, n_predators, n_prey and episode_limit must be at least "
            f"1, not {self.height}, {self.width}, {self.n_predators}, {self.n_prey} and "
            f"{self.episode_limit}; give positive whole numbers.",
        )
        require(
            population <= cells,
            f"predator-prey: {self.n_predators} predators and {self.n_prey} prey need "
            f"{population} cells but a {self.height}×{self.width} grid has {cells}; "
            "enlarge the grid or take fewer.",
        )
        require(
            self.punishment <= 0,
            f"predator-prey: punishment must be 0 or negative, not {self.punishment}; "
            f"did you mean {-self.punishment}?",
        )

    def make(self) -> "PredatorPrey":
        """Build the environment."""
        return PredatorPrey(self)


class State(NamedTuple):
    """Where everybody is: a cell is row · width + column, or `PredatorPrey.gone`."""

    agent_cell: Int[Array, "*B N"]
    prey_cell: Int[Array, "*B M"]
    t: Int[Array, "*B"]


class Choices(NamedTuple):
    """The chance of one step, drawn in advance so that a test can supply it."""

    agent_order: Int[Array, "*B N"]
    """Who moves first, second, …"""
    prey_order: Int[Array, "*B M"]
    prey_uniform: Float[Array, "*B M"]
    """u of the j-th prey in processing order; it takes free direction floor(u · free)."""


class PredatorPrey(Environment):
    """The game of `Config`."""

    def __init__(self, config: Config) -> None:
        self.config = config
        cells = config.height * config.width
        self.dtype = jnp.dtype(jnp.uint8 if cells <= 255 else jnp.uint16)
        self.gone = int(np.iinfo(self.dtype).max)
        most = config.capture_reward * min(config.n_prey, config.n_predators // 2)
        self.spec = Spec(
            name="predator-prey",
            n_agents=config.n_predators,
            n_actions=6,
            obs_size=WINDOW * WINDOW * CHANNELS,
            state_size=cells * CHANNELS,
            episode_limit=config.episode_limit,
            obs_agent_id=False,
            return_bounds=(0.0, most) if config.punishment == 0 else None,
        )
        self._transition = _env_axis_last(self._transition_native)
        self._observe = _env_axis_last(self._observe_native)

    # --- the environment contract -------------------------------------------------------------

    def reset(self, key: Key) -> tuple[State, TimeStep]:
        """Agents, then prey, on distinct cells chosen uniformly."""
        n, population = self.config.n_predators, self.config.n_predators + self.config.n_prey
        cells = jax.random.permutation(key, self.config.height * self.config.width)[:population]
        cells = cells.astype(self.dtype)
        state = State(cells[:n], cells[n:], jnp.zeros((), jnp.int32))
        return state, first_step(self.observe(state))

    def step(self, key: Key, state: State, actions: Int[Array, " N"]) -> tuple[State, TimeStep]:
        """Advance one step with chance drawn from `key`."""
        return self.transition(state, actions, self.draw(key))

    def observe(self, state: State) -> Observation:
        """5×5 windows of the living, the whole grid, and what each agent may do."""
        return Observation(*self._observe(state.agent_cell, state.prey_cell))

    def remember(self, state: State) -> tuple[Array, Array]:
        """The cell numbers: 16 bytes a state instead of 948."""
        return state.agent_cell, state.prey_cell

    def recall(self, memory: tuple[Array, Array]) -> Observation:
        """Observe the remembered cells again."""
        return Observation(*self._observe(*memory))

    # --- its parts ----------------------------------------------------------------------------

    def draw(self, key: Key) -> Choices:
        """The chance of one step."""
        n, m = self.config.n_predators, self.config.n_prey
        u = jax.random.uniform(key, (n + 2 * m,))
        return Choices(_order(u[:n]), _order(u[n : n + m]), u[n + m :])

    def transition(
        self, state: State, actions: Int[Array, " N"], choices: Choices
    ) -> tuple[State, TimeStep]:
        """Advance one step with the given chance."""
        agent_cell, prey_cell, reward, over = self._transition(
            state.agent_cell, state.prey_cell, actions.astype(jnp.int8), *choices
        )
        after = State(agent_cell, prey_cell, state.t + 1)
        truncated = (after.t >= self.config.episode_limit) & ~over
        return after, TimeStep(*self.observe(after), reward, over, truncated, {})

    def initial_state(
        self,
        agent_pos: Num[np.ndarray, "N 2"],
        prey_pos: Num[np.ndarray, "M 2"],
        agent_active: Bool[np.ndarray, " N"] | None = None,
        prey_alive: Bool[np.ndarray, " M"] | None = None,
        t: int = 0,
    ) -> State:
        """The state with everybody at explicit (row, column) positions."""

        def cell(pos: Any, present: Any) -> Array:
            pos = np.asarray(pos, np.int64)
            number = pos[..., 0] * self.config.width + pos[..., 1]
            present = np.ones(number.shape, bool) if present is None else np.asarray(present)
            return jnp.asarray(np.where(present, number, self.gone), self.dtype)

        return State(
            cell(agent_pos, agent_active), cell(prey_pos, prey_alive), jnp.asarray(t, jnp.int32)
        )

    # --- the rules, on arrays whose batch axes come last --------------------------------------

    def _row_column(self, cell: Array) -> tuple[Array, Array]:
        """Signed (row, column); of those who are gone, far outside every window."""
        wide = cell.astype(jnp.int8 if self.dtype == jnp.uint8 else jnp.int16)
        far = jnp.asarray(-100, wide.dtype)
        row = (cell // self.config.width).astype(wide.dtype)
        column = (cell % self.config.width).astype(wide.dtype)
        here = cell != self.gone
        return jnp.where(here, row, far), jnp.where(here, column, far)

    def _neighbours(self, cell: Array) -> list[tuple[Array, Array]]:
        """For right, down, left, up: (the neighbouring cell, whether it is inside the grid)."""
        height, width = self.config.height, self.config.width
        row, column = self._row_column(cell)
        here = cell != self.gone
        inside = (column < width - 1, row < height - 1, column > 0, row > 0)
        offset = (1, width, -1, -width)
        return [
            (cell + jnp.asarray(step, jnp.int32).astype(self.dtype), ok & here)
            for step, ok in zip(offset, inside, strict=True)
        ]

    def _transition_native(
        self,
        agent_cell: Int[Array, "N *E"],
        prey_cell: Int[Array, "M *E"],
        actions: Int[Array, "N *E"],
        agent_order: Int[Array, "N *E"],
        prey_order: Int[Array, "M *E"],
        prey_uniform: Float[Array, "M *E"],
    ) -> tuple[Array, Array, Array, Array]:
        """(agent_cell, prey_cell, reward, whether the hunt is over) after one step."""
        gone = jnp.asarray(self.gone, self.dtype)
        agent_number, prey_number = _numbers(agent_cell), _numbers(prey_cell)

        # 1. Agents move one after another, each into its target cell if that is free by then.
        target = agent_cell
        for action, (cell, inside) in enumerate(self._neighbours(agent_cell)):
            target = jnp.where((actions == action) & inside, cell, target)

        def move_agent(k: Array, agent_cell: Array) -> Array:
            mine = agent_order[k] == agent_number
            goal = _pick(mine, target)
            occupied = _any(agent_cell == goal) | _any(prey_cell == goal)
            return jnp.where(mine & ~occupied, goal, agent_cell)

        agent_cell = jax.lax.fori_loop(0, self.config.n_predators, move_agent, agent_cell)

        # 2. Prey, one after another, are caught or step aside.
        row, column = self._row_column(agent_cell)
        catching = actions == CATCH

        def move_prey(k: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            agent_cell, prey_cell, reward = carry
            mine = prey_order[k] == prey_number
            cell = _pick(mine, prey_cell)
            alive = cell != gone
            prey_row, prey_column = self._row_column(cell)
            distance = jnp.abs(row - prey_row) + jnp.abs(column - prey_column)
            catchers = catching & (agent_cell != gone) & (distance == 1)
            n_catchers = _sum(catchers.astype(jnp.int8))
            captured, lone = alive & (n_catchers >= 2), alive & (n_catchers == 1)
            reward += jnp.where(captured, self.config.capture_reward, 0.0)
            reward += jnp.where(lone, self.config.punishment, 0.0)
            agent_cell = jnp.where(catchers & captured, gone, agent_cell)

            free = [
                (there, inside & ~_any(agent_cell == there) & ~_any(prey_cell == there))
                for there, inside in self._neighbours(cell)
            ]
            n_free = sum(ok.astype(jnp.int8) for _, ok in free)
            choice = jnp.floor(prey_uniform[k] * n_free).astype(jnp.int8)
            moved, before = cell, jnp.zeros_like(n_free)
            for there, ok in free:
                moved = jnp.where(ok & (before == choice), there, moved)
                before = before + ok.astype(jnp.int8)
            after = jnp.where(captured, gone, moved)
            prey_cell = jnp.where(mine & alive, after, prey_cell)
            return agent_cell, prey_cell, reward

        reward = jnp.zeros(agent_cell.shape[1:], jnp.float32)
        agent_cell, prey_cell, reward = jax.lax.fori_loop(
            0, self.config.n_prey, move_prey, (agent_cell, prey_cell, reward)
        )
        over = ~_any(prey_cell != gone) | ~_any(agent_cell != gone)
        return agent_cell, prey_cell, reward, over

    def _observe_native(
        self, agent_cell: Int[Array, "N *E"], prey_cell: Int[Array, "M *E"]
    ) -> tuple[Array, Array, Array]:
        """(obs [N, 75, *E], state [300, *E], avail_actions [N, 6, *E])."""
        batch = agent_cell.shape[1:]
        here = agent_cell != self.gone

        # Each window is a 25-bit number per channel: set one bit per visible entity, then unfold.
        row, column = self._row_column(agent_cell)
        bit = np.arange(WINDOW * WINDOW, dtype=np.uint32).reshape(1, -1, *[1] * len(batch))
        seen = [
            ((self._window(row, column, here, other)[:, None] >> bit) & 1).astype(jnp.int8)
            for other in (agent_cell, prey_cell)
        ]
        obs = jnp.stack([*seen, jnp.zeros_like(seen[0])], 2)
        obs = obs.reshape(self.config.n_predators, -1, *batch)

        grid = np.arange(self.config.height * self.config.width, dtype=np.int32)
        grid = jnp.asarray(grid, self.dtype).reshape(-1, *[1] * len(batch))
        there = [_any(c[:, None] == grid).astype(jnp.int8) for c in (agent_cell, prey_cell)]
        state = jnp.stack([*there, jnp.zeros_like(there[0])], 1).reshape(-1, *batch)

        moves, near_prey = [], jnp.zeros_like(here)
        for cell, inside in self._neighbours(agent_cell):
            prey_there = inside & _any(prey_cell[:, None] == cell[None])
            near_prey |= prey_there
            if self.config.block_occupied_moves:
                inside &= ~prey_there & ~_any(agent_cell[:, None] == cell[None])
            moves.append(inside)
        avail = jnp.stack([*moves, jnp.ones_like(here), near_prey], 1)
        return obs, state, avail

    def _window(self, row: Array, column: Array, here: Array, other: Array) -> Array:
        """One bit for each cell of every agent's window that holds one of `other`."""
        other_row, other_column = self._row_column(other)
        bits = []
        for r, c in zip(other_row, other_column, strict=True):
            down, right = r - row + SIGHT, c - column + SIGHT
            inside = (down >= 0) & (down < WINDOW) & (right >= 0) & (right < WINDOW)
            place = (down * WINDOW + right).astype(jnp.uint32) & 31
            bits.append(jnp.where(inside & here, jnp.uint32(1) << place, jnp.uint32(0)))
        return functools.reduce(operator.or_, bits)


def _numbers(cells: Array) -> Array:
    """0, 1, 2, … along the first axis."""
    return np.arange(cells.shape[0], dtype=np.int8).reshape(-1, *[1] * (cells.ndim - 1))


def _order(u: Float[Array, " n"]) -> Int[Array, " n"]:
    """A uniformly random order from iid uniforms: who is k-th smallest, for each k."""
    rank = (u[None, :] < u[:, None]).sum(-1)  # ties have probability 2⁻²⁴ and favour nobody twice
    return _first(rank[None, :] == jnp.arange(u.shape[0])[:, None])


def _first(flags: Bool[Array, "k n"]) -> Int[Array, " k"]:
    return jnp.argmax(flags, -1).astype(jnp.int8)


# Reductions over the few agents are written out: XLA then fuses them with their neighbours.


def _any(flags: Bool[Array, "n *E"]) -> Bool[Array, "*E"]:
    return functools.reduce(operator.or_, list(flags))


def _sum(values: Num[Array, "n *E"]) -> Num[Array, "*E"]:
    return functools.reduce(operator.add, list(values))


def _pick(one: Bool[Array, "n *E"], values: Num[Array, "n *E"]) -> Num[Array, "*E"]:
    """The value where exactly one flag is set."""
    return _sum(jnp.where(one, values, jnp.zeros_like(values)))


def _env_axis_last(native: Callable[..., Any]) -> Callable[..., Any]:
    """Under `vmap`, run `native` once with the batch axis moved to the end, not to the front."""
    call = jax.custom_batching.custom_vmap(native)

    @call.def_vmap
    def _rule(axis_size: int, in_batched: list[bool], *args: Array) -> tuple[Any, Any]:
        last = [
            jnp.moveaxis(x, 0, -1)
            if batched
            else jnp.broadcast_to(x[..., None], (*x.shape, axis_size))
            for x, batched in zip(args, in_batched, strict=True)
        ]
        out = call(*last)
        return jax.tree.map(lambda x: jnp.moveaxis(x, -1, 0), out), jax.tree.map(
            lambda _: True, out
        )

    return call
