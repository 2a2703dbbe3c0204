"""Predator-Prey: eight hunters on a grid, who must catch their prey together.

Source: MAC-PO, appendix E.1; the rules are those of the environment that the experiments of the
PyMARL family use ("stag hunt"). A prey with enough adjacent catchers (in the papers two) is
captured (+10) and removed together with all of them. Fewer are punished, once per prey. Each
capture takes at least two hunters out, so the largest return of the default game is 40.

Everything is computed by comparing cell numbers: no grid, no dynamic index. Whatever the caller's
`vmap`, the turn-taking runs with the environments along the last axis (see `kernels.batch_last`):
each comparison is then one wide vector instruction on bytes.
"""

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray

from macpo.bounds import Bounds, Finite, PositiveInt, check_fields
from macpo.envs.base import Environment, first_step
from macpo.errors import UsageError, require, shown
from macpo.field_types import Unchecked
from macpo.kernels.batch_last import env_axis_last
from macpo.machine import on_accelerator
from macpo.types import Observation, PyTree, Spec, TimeStep

RIGHT, DOWN, LEFT, UP, STAY, CATCH = range(6)
MOVES = ((0, 1), (1, 0), (0, -1), (-1, 0))  # (row, column) steps of the first four actions
SIGHT = 2  # an agent sees the 5×5 window around itself
WINDOW = 2 * SIGHT + 1
CENTRE = SIGHT * WINDOW + SIGHT
AGENTS, PREY, HARES = range(3)  # channels; the original's third one stays empty in this game
CHANNELS = 3
Animals: TypeAlias = Annotated[int, Bounds(at_least=1, at_most=1024)]
"""A step compares each with each, one after another in the compiled program."""
MAX_CELLS = 2**16 - 1  # the last number of 16 bits stands for those who are gone


@dataclass(frozen=True)
class PredatorPrey:
    """Predator-Prey: hunters must catch together; a lone catch is punished (MAC-PO, App. E.1).

    Example:
        >>> PredatorPrey(punishment=-2).make().spec.n_agents
        8
    """

    height: PositiveInt = 10
    """Rows of the grid."""
    width: PositiveInt = 10
    """Columns of the grid."""
    n_predators: Animals = 8
    """Hunters, the agents."""
    n_prey: Animals = 8
    """Prey; they move at random."""
    n_catchers: Annotated[int, Bounds(at_least=1, at_most=len(MOVES))] = 2
    """How many must catch a prey in the same step to capture it (PyMARL's stag hunt:
    `capture_action_conditions`). They stand beside it, and in a corner there is room for two."""
    episode_limit: PositiveInt = 200
    """Env steps after which an episode is truncated."""
    capture_reward: Finite = 10.0
    """Team reward for a captured prey (appendix E.1; section 5.2.1 says 1)."""
    punishment: Annotated[float, Bounds(at_most=0)] = 0.0
    """Team reward (≤ 0) per prey with too few catchers, however many they are. The paper uses 0,
    −0.5, −1.5 and −2."""
    block_occupied_moves: bool = False
    """Whether moves into occupied cells are unavailable, as the paper says; in the released
    environment they are available and do nothing."""

    def __post_init__(self) -> None:
        given: Unchecked = self.punishment
        if isinstance(given, int | float) and given > 0:
            raise UsageError(
                f"predator-prey: punishment must be 0 or negative, not {shown(given)}; did you "
                f"mean {shown(-given)}?"
            )
        check_fields(self, "predator-prey")
        cells = self.height * self.width
        require(
            cells <= MAX_CELLS,
            f"predator-prey: a {self.height}×{self.width} grid has {cells:,} cells, but they are "
            f"numbered in 16 bits; make it at most {MAX_CELLS:,}.",
        )
        population = self.n_predators + self.n_prey
        require(
            population <= cells,
            f"predator-prey: {self.n_predators} predators and {self.n_prey} prey need "
            f"{population} cells but a {self.height}×{self.width} grid has {cells}; "
            "enlarge the grid or take fewer.",
        )
        needed = f"predator-prey: a prey is captured by {self.n_catchers} catchers, but "
        require(
            self.n_catchers <= self.n_predators,
            f"{needed}n_predators is {self.n_predators}; lower n_catchers or take more predators.",
        )
        room = min(self.height - 1, 2) + min(self.width - 1, 2)
        require(
            self.n_catchers <= room,
            f"{needed}a cell of a {self.height}×{self.width} grid has at most {room} neighbours; "
            "lower n_catchers or enlarge the grid.",
        )

    def make(self) -> "PredatorPreyEnv":
        """Build the environment."""
        return PredatorPreyEnv(self)


Config = PredatorPrey


class State(NamedTuple):
    """Where everybody is: a cell is row · width + column, or `PredatorPreyEnv.gone`."""

    agent_cell: Int[Array, "*B N"]
    prey_cell: Int[Array, "*B M"]
    t: Int[Array, "*B"]


class Choices(NamedTuple):
    """The random choices of one step, drawn in advance so that a test can supply them."""

    agent_order: Int[Array, "*B N"]
    """Who moves first, second, …"""
    prey_order: Int[Array, "*B M"]
    prey_uniform: Float[Array, "*B M"]
    """u of the j-th prey in processing order; it takes free direction floor(u · free)."""


class PredatorPreyEnv(Environment):
    """The game that a `PredatorPrey` describes."""

    def __init__(self, config: PredatorPrey) -> None:
        self.config = config
        cells = config.height * config.width
        self.dtype = np.min_scalar_type(cells)
        self.gone = int(np.iinfo(self.dtype).max)
        most = config.capture_reward * min(config.n_prey, config.n_predators // config.n_catchers)
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
        self._turns = env_axis_last(self._take_turns)
        self._windows = env_axis_last(self._look_around)

    # --- the environment contract -------------------------------------------------------------

    def reset(self, key: PRNGKeyArray) -> tuple[State, TimeStep]:
        """Agents, then prey, on distinct cells chosen uniformly."""
        n, population = self.config.n_predators, self.config.n_predators + self.config.n_prey
        cells = jax.random.permutation(key, self.config.height * self.config.width)[:population]
        cells = cells.astype(self.dtype)
        state = State(cells[:n], cells[n:], jnp.zeros((), jnp.int32))
        return state, first_step(self.observe(state))

    def step(
        self, key: PRNGKeyArray, state: State, actions: Int[Array, " N"]
    ) -> tuple[State, TimeStep]:
        """Advance one step with random choices drawn from `key`."""
        return self.transition(state, actions, self.draw(key))

    def observe(self, state: State) -> Observation:
        """5×5 windows of the living, the whole grid, and each agent's available actions."""
        return self.decode(self.encode(state))

    def encode(self, state: State) -> tuple[Array, Array]:
        """The cell numbers: 16 bytes a state instead of 948."""
        return state.agent_cell, state.prey_cell

    def decode(self, encoded: tuple[Array, Array]) -> Observation:
        """Observe the encoded cells again."""
        agent_cell, prey_cell = encoded
        agents = self._windows(agent_cell, agent_cell)
        prey = self._windows(agent_cell, prey_cell)

        place, channel = np.divmod(np.arange(self.spec.obs_size, dtype=np.uint32), CHANNELS)
        obs = _by_channel(channel, agents[:, None], prey[:, None]) >> place & 1

        place, channel = np.divmod(np.arange(self.spec.state_size), CHANNELS)
        place = place.astype(self.dtype)
        there = [_any(cell[:, None] == place) for cell in (agent_cell, prey_cell)]
        state = _by_channel(channel, *there)

        avail_actions = self._available(agent_cell, agents, prey)
        return Observation(obs.astype(jnp.int8), state.astype(jnp.int8), avail_actions)

    # --- its parts ----------------------------------------------------------------------------

    def draw(self, key: PRNGKeyArray) -> Choices:
        """Draw the random choices of one step."""
        n, m = self.config.n_predators, self.config.n_prey
        u = jax.random.uniform(key, (n + 2 * m,))
        return Choices(_order(u[:n]), _order(u[n : n + m]), u[n + m :])

    def transition(
        self, state: State, actions: Int[Array, " N"], choices: Choices
    ) -> tuple[State, TimeStep]:
        """Advance one step with the given random choices."""
        agent_cell, prey_cell, reward, over = self._turns(
            state.agent_cell, state.prey_cell, actions.astype(jnp.int8), *choices
        )
        after = State(agent_cell, prey_cell, state.t + 1)
        truncated = (after.t >= self.config.episode_limit) & ~over
        return after, TimeStep(self.observe(after), reward, over, truncated, {})

    def initial_state(
        self,
        agent_pos: Num[np.ndarray, "N 2"],
        prey_pos: Num[np.ndarray, "M 2"],
        agent_active: Bool[np.ndarray, " N"] | None = None,
        prey_alive: Bool[np.ndarray, " M"] | None = None,
        t: int = 0,
    ) -> State:
        """The state with everybody at explicit (row, column) positions."""

        def cell(pos: np.ndarray, present: np.ndarray | None) -> Array:
            pos = np.asarray(pos, np.int64)
            number = pos[..., 0] * self.config.width + pos[..., 1]
            present = np.ones(number.shape, bool) if present is None else np.asarray(present)
            return jnp.asarray(np.where(present, number, self.gone), self.dtype)

        return State(
            cell(agent_pos, agent_active), cell(prey_pos, prey_alive), jnp.asarray(t, jnp.int32)
        )

    # --- observations -------------------------------------------------------------------------

    def _look_around(self, agent_cell: Int[Array, "N E"], other_cell: Int[Array, "n E"]) -> Array:
        """Each agent's window as a number: one bit for every cell that holds one of the others."""
        # XLA stores the results of divisions, and all below is vector arithmetic on them.
        row, column, here = self._row_column(agent_cell)
        other_row, other_column, other_here = self._row_column(other_cell)
        down, right = other_row - row[:, None], other_column - column[:, None]
        in_sight = (jnp.abs(down) <= SIGHT) & (jnp.abs(right) <= SIGHT) & here[:, None] & other_here
        bit = jnp.uint32(1) << (CENTRE + down * WINDOW + right).astype(jnp.uint32)
        # No two stand on the same cell, so the sum of their bits is the union.
        return jnp.where(in_sight, bit, 0).sum(1, dtype=jnp.uint32)

    def _row_column(self, cell: Array) -> tuple[Array, Array, Array]:
        """Row, column, and whether that is on the grid: those who are gone are below it."""
        row, column = cell // self.config.width, cell % self.config.width
        return row.astype(jnp.int32), column.astype(jnp.int32), row < self.config.height

    def _available(self, agent_cell: Array, agents: Array, prey: Array) -> Bool[Array, "N 6"]:
        """Each agent's available actions, from its cell and its two windows."""
        moves = [there != agent_cell for there in self._neighbours(agent_cell)]
        next_to = [1 << (CENTRE + row * WINDOW + column) for row, column in MOVES]
        if self.config.block_occupied_moves:
            taken = agents | prey
            moves = [ok & (taken & bit == 0) for ok, bit in zip(moves, next_to, strict=True)]
        stay = jnp.ones_like(moves[0])
        return jnp.stack([*moves, stay, prey & sum(next_to) != 0], -1)

    # --- the rules ----------------------------------------------------------------------------

    def _neighbours(self, cell: Array) -> list[Array]:
        """The cells to the right, below, left and above; the cell itself for a step off the grid.

        One's own cell is never free, so that such a step leads nowhere; nor do those of the gone.
        """
        height, width = self.config.height, self.config.width
        here, column = cell != self.gone, cell % width
        steps = (
            (cell + 1, column < width - 1),
            (cell + width, cell < (height - 1) * width),
            (cell - 1, column > 0),
            (cell - width, cell >= width),
        )
        return [jnp.where(here & inside, there, cell) for there, inside in steps]

    def _take_turns(
        self,
        agent_cell: Int[Array, "N E"],
        prey_cell: Int[Array, "M E"],
        actions: Int[Array, "N E"],
        agent_order: Int[Array, "N E"],
        prey_order: Int[Array, "M E"],
        prey_uniform: Float[Array, "M E"],
    ) -> tuple[Array, Array, Array, Array]:
        """(agent_cell, prey_cell, reward, whether the hunt is over) after one step."""
        agent_turn, prey_turn = _turn(agent_order), _turn(prey_order)
        agents, prey = _line_up(agent_turn, agent_cell), _line_up(prey_turn, prey_cell)
        actions = _line_up(agent_turn, actions)
        agents = self._move_agents(agents, prey, actions)
        agents, prey, reward = self._hunt(agents, prey, actions == CATCH, prey_uniform)
        over = ~_any(agents != self.gone) | ~_any(prey != self.gone)
        return _disband(agent_turn, agents), _disband(prey_turn, prey), reward, over

    # In the next two, arrays are queues along their first axis: it is the turn of whoever stands at
    # 0, and after everybody's turn all are back in place. (XLA:CPU does not vectorise the kernels
    # into which a dynamic index such as x[k] is fused: with 512 environments, 3.6 times the time.)

    def _move_agents(self, agents: Array, prey: Array, actions: Array) -> Array:
        """Agents move one after another, each into its target cell if that is free by then."""
        goal = agents
        for action, there in enumerate(self._neighbours(agents)):
            goal = jnp.where(actions == action, there, goal)
        goal = jnp.where(_any(prey[:, None] == goal), agents, goal)

        def take_turn(_: Array, queues: tuple[Array, Array]) -> tuple[Array, Array]:
            agents, goal = queues
            moved = jnp.where(_any(agents == goal[0]), agents[0], goal[0])
            return _next(agents, moved), _next(goal, goal[0])

        return _in_turn(len(agents), take_turn, (agents, goal))[0]

    def _hunt(
        self, agents: Array, prey: Array, catching: Array, uniform: Array
    ) -> tuple[Array, Array, Array]:
        """Prey, one after another, are caught or step aside: (agents, prey, reward)."""
        gone = np.asarray(self.gone, self.dtype)
        capture, punishment = self.config.capture_reward, self.config.punishment
        enough = self.config.n_catchers

        def take_turn(_: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
            agents, reward, prey, near, uniform = carry
            beside = _any(near[0][:, None] == agents)
            catchers = catching & beside & (agents != gone)
            n_catchers = _count(catchers)
            captured = n_catchers >= enough
            reward += jnp.where(captured, capture, jnp.where(n_catchers > 0, punishment, 0.0))
            free = ~_any(agents[:, None] == near[0]) & ~_any(prey[:, None] == near[0])
            moved = _step_aside(prey[0], near[0], free, uniform[0])
            prey = _next(prey, jnp.where(captured, gone, moved))
            agents = jnp.where(catchers & captured, gone, agents)
            return agents, reward, prey, _next(near, near[0]), _next(uniform, uniform[0])

        near = jnp.stack(self._neighbours(prey), 1)  # a prey stays where it is until its turn
        reward = jnp.zeros(agents.shape[1:], jnp.float32)
        carry = (agents, reward, prey, near, uniform)
        agents, reward, prey, _, _ = _in_turn(len(prey), take_turn, carry)
        return agents, prey, reward


def _in_turn(n: int, take_turn: Callable[[Array, PyTree], PyTree], carry: PyTree) -> PyTree:
    """`carry` after n turns, which are laid out on an accelerator: that launches fewer kernels."""
    return jax.lax.fori_loop(0, n, take_turn, carry, unroll=n if on_accelerator() else 1)


def _step_aside(cell: Array, near: Array, free: Array, uniform: Array) -> Array:
    """One of the free neighbours, uniformly; the cell itself if there is none."""
    choice = jnp.floor(uniform * _count(free)).astype(jnp.int8)
    before = jnp.zeros_like(choice)
    for there, ok in zip(near, free, strict=True):
        cell = jnp.where(ok & (before == choice), there, cell)
        before += ok.astype(jnp.int8)
    return cell


def _by_channel(channel: np.ndarray, agents: Array, prey: Array) -> Array:
    """Interleave the channels: faster than to stack them along so short a last axis."""
    nothing = jnp.zeros((), agents.dtype)
    return jnp.where(channel == AGENTS, agents, jnp.where(channel == PREY, prey, nothing))


def _order(u: Float[Array, " n"]) -> Int[Array, " n"]:
    """A uniformly random order from iid uniforms: who is k-th smallest, for each k."""
    number = np.arange(len(u), dtype=np.min_scalar_type(len(u)))
    before = number < number[:, None]  # settles ties, which have probability 2⁻²³
    rank = jnp.where(before, u <= u[:, None], u < u[:, None]).sum(1, dtype=number.dtype)
    return jnp.where(rank == number[:, None], number, 0).sum(1, dtype=number.dtype)


def _turn(order: Int[Array, "n E"]) -> Bool[Array, "n n E"]:
    """[k, i]: whether the k-th turn is i's."""
    return order[:, None] == np.arange(len(order), dtype=order.dtype)[:, None]


def _line_up(turn: Bool[Array, "n n E"], x: Num[Array, "n E"]) -> Num[Array, "n E"]:
    """From the order of numbers to that of turns."""
    return jnp.where(turn, x, 0).sum(1, dtype=x.dtype)


def _disband(turn: Bool[Array, "n n E"], x: Num[Array, "n E"]) -> Num[Array, "n E"]:
    """From the order of turns back to that of numbers."""
    return jnp.where(turn, x[:, None], 0).sum(0, dtype=x.dtype)


def _next(queue: Num[Array, "n *E"], last: Num[Array, "*E"]) -> Num[Array, "n *E"]:
    """The queue without its first, and with `last` at its end."""
    return jnp.concatenate([queue[1:], last[None]])


# These two reductions are written out, so that XLA fuses them with what reads them: fewer kernels.
# A true one (`.sum`, elsewhere) ends a fusion: its result is stored, not recomputed by each reader.


def _any(flags: Bool[Array, "n *E"]) -> Bool[Array, "*E"]:
    return functools.reduce(operator.or_, list(flags))


def _count(flags: Bool[Array, "n *E"]) -> Int[Array, "*E"]:
    return functools.reduce(operator.add, list(flags.astype(jnp.int8)))
