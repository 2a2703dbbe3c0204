"""Predator-Prey in plain NumPy: one environment, one process, written from the rules.

It shares no code with the library, so that agreement between the two means something, and it
is the baseline that the library's speed is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

SIGHT = 2
N_ACTIONS = 6
STAY, CATCH = 4, 5
# (row, column) offsets of the actions right, down, left, up; prey use the same order.
DIRECTIONS = ((0, 1), (1, 0), (0, -1), (-1, 0))
# Channels of a grid cell; the third one (hares) exists in the family's layout but stays empty.
AGENT, PREY, N_CHANNELS = 0, 1, 3


@dataclass(frozen=True)
class Choices:
    """All randomness of one step.

    The orders list who moves first, second, and so on. `prey_uniform[j]` in [0, 1) belongs to the
    j-th prey in processing order and picks among its free directions.
    """

    agent_order: NDArray[np.integer]
    prey_order: NDArray[np.integer]
    prey_uniform: NDArray[np.floating]


class PredatorPreyNumpy:
    """Predators on a grid must catch prey together; an attempt by too few is punished."""

    def __init__(
        self,
        height: int = 10,
        width: int = 10,
        n_predators: int = 8,
        n_prey: int = 8,
        n_catchers: int = 2,
        episode_limit: int = 200,
        capture_reward: float = 10.0,
        punishment: float = 0.0,
        block_occupied_moves: bool = False,
    ) -> None:
        self.height = height
        self.width = width
        self.n_predators = n_predators
        self.n_prey = n_prey
        self.n_catchers = n_catchers
        self.episode_limit = episode_limit
        self.capture_reward = capture_reward
        self.punishment = punishment
        self.block_occupied_moves = block_occupied_moves
        # A border as wide as the sight makes every observation window a plain slice.
        self.grid = np.zeros((height + 2 * SIGHT, width + 2 * SIGHT, N_CHANNELS), np.int8)
        self.agent_pos: list[tuple[int, int]] = []
        self.prey_pos: list[tuple[int, int]] = []
        self.agent_active: list[bool] = []
        self.prey_alive: list[bool] = []
        self.t = 0

    def reset(self, rng: np.random.Generator) -> None:
        """Start an episode: agents and prey on distinct, uniformly random cells."""
        n = self.n_predators + self.n_prey
        cells = rng.choice(self.height * self.width, size=n, replace=False)
        positions = np.stack(np.divmod(cells, self.width), axis=1)
        self.set_positions(
            positions[: self.n_predators],
            positions[self.n_predators :],
            np.ones(self.n_predators, bool),
            np.ones(self.n_prey, bool),
        )

    def set_positions(
        self,
        agent_pos: ArrayLike,
        prey_pos: ArrayLike,
        agent_active: ArrayLike,
        prey_alive: ArrayLike,
        t: int = 0,
    ) -> None:
        """Load a situation; the positions of frozen agents and captured prey do not matter."""
        self.agent_pos = [(int(row), int(col)) for row, col in np.asarray(agent_pos)]
        self.prey_pos = [(int(row), int(col)) for row, col in np.asarray(prey_pos)]
        self.agent_active = [bool(active) for active in np.asarray(agent_active)]
        self.prey_alive = [bool(alive) for alive in np.asarray(prey_alive)]
        self.t = t
        self.grid[:] = 0
        for (row, col), active in zip(self.agent_pos, self.agent_active, strict=True):
            if active:
                self.grid[row + SIGHT, col + SIGHT, AGENT] = 1
        for (row, col), alive in zip(self.prey_pos, self.prey_alive, strict=True):
            if alive:
                self.grid[row + SIGHT, col + SIGHT, PREY] = 1

    def draw_choices(self, rng: np.random.Generator) -> Choices:
        """Draw the randomness of one step."""
        return Choices(
            agent_order=rng.permutation(self.n_predators),
            prey_order=rng.permutation(self.n_prey),
            prey_uniform=rng.random(self.n_prey, dtype=np.float32),
        )

    def step(self, actions: ArrayLike, choices: Choices) -> tuple[float, bool, bool]:
        """Play one step and return (reward, terminated, truncated)."""
        acts = np.asarray(actions).tolist()
        self._move_agents(acts, choices)
        reward = self._move_prey(acts, choices)
        self.t += 1
        terminated = not any(self.prey_alive) or not any(self.agent_active)
        truncated = self.t >= self.episode_limit and not terminated
        return reward, terminated, truncated

    def get_obs(self) -> NDArray[np.int8]:
        """What each agent sees: the window around it, or zeros once it is frozen; [N, 75]."""
        size = 2 * SIGHT + 1
        obs = np.zeros((self.n_predators, size, size, N_CHANNELS), np.int8)
        for i, (row, col) in enumerate(self.agent_pos):
            if self.agent_active[i]:
                # The border shifts cell (row, col) by SIGHT, so the window starts right there.
                obs[i] = self.grid[row : row + size, col : col + size]
        return obs.reshape(self.n_predators, -1)

    def get_state(self) -> NDArray[np.int8]:
        """The whole grid, row-major with the channel last; [H * W * 3]."""
        return self.grid[SIGHT:-SIGHT, SIGHT:-SIGHT].reshape(-1).copy()

    def get_avail_actions(self) -> NDArray[np.bool_]:
        """Which actions each agent may take; [N, 6]."""
        avail = np.zeros((self.n_predators, N_ACTIONS), bool)
        avail[:, STAY] = True
        for i, (row, col) in enumerate(self.agent_pos):
            if not self.agent_active[i]:
                continue
            for action, (d_row, d_col) in enumerate(DIRECTIONS):
                r, c = row + d_row, col + d_col
                if not self._inside(r, c):
                    continue
                if not self.block_occupied_moves or self._empty(r, c):
                    avail[i, action] = True
                if self.grid[r + SIGHT, c + SIGHT, PREY]:
                    avail[i, CATCH] = True
        return avail

    def _move_agents(self, actions: list[int], choices: Choices) -> None:
        for i in choices.agent_order.tolist():
            if not self.agent_active[i] or actions[i] >= STAY:
                continue
            row, col = self.agent_pos[i]
            d_row, d_col = DIRECTIONS[actions[i]]
            target = (row + d_row, col + d_col)
            if self._inside(*target) and self._empty(*target):
                self._remove(AGENT, row, col)
                self._place(AGENT, *target)
                self.agent_pos[i] = target

    def _move_prey(self, actions: list[int], choices: Choices) -> float:
        reward = 0.0
        catching = [i for i, a in enumerate(actions) if a == CATCH and self.agent_active[i]]
        uniforms = choices.prey_uniform.tolist()
        for j, u in zip(choices.prey_order.tolist(), uniforms, strict=True):
            if not self.prey_alive[j]:
                continue
            row, col = self.prey_pos[j]
            neighbours = [(row + d_row, col + d_col) for d_row, d_col in DIRECTIONS]
            catchers = [i for i in catching if self.agent_pos[i] in neighbours]
            if len(catchers) >= self.n_catchers:
                reward += self.capture_reward
                self.prey_alive[j] = False
                self._remove(PREY, row, col)
                for i in catchers:
                    self.agent_active[i] = False
                    self._remove(AGENT, *self.agent_pos[i])
                # Whoever is frozen now no longer counts for the prey processed after this one.
                catching = [i for i in catching if i not in catchers]
                continue
            if catchers:
                reward += self.punishment
            free = [cell for cell in neighbours if self._inside(*cell) and self._empty(*cell)]
            if free:
                self._remove(PREY, row, col)
                self.prey_pos[j] = free[int(u * len(free))]
                self._place(PREY, *self.prey_pos[j])
        return reward

    def _inside(self, row: int, col: int) -> bool:
        return 0 <= row < self.height and 0 <= col < self.width

    def _empty(self, row: int, col: int) -> bool:
        r, c = row + SIGHT, col + SIGHT
        return not (self.grid[r, c, AGENT] or self.grid[r, c, PREY])

    def _place(self, channel: int, row: int, col: int) -> None:
        self.grid[row + SIGHT, col + SIGHT, channel] = 1

    def _remove(self, channel: int, row: int, col: int) -> None:
        self.grid[row + SIGHT, col + SIGHT, channel] = 0
