"""A small game in plain Python, for workers; it can be configured to fail in every way."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from macpo.envs.host import EnvironmentLost, HostEnvironment
from macpo.types import Observation, Spec, TimeStep

Fault = Literal[
    "none",
    "dies",
    "hangs",
    "lost",
    "raises",
    "orphans",
    "orphaned",
    "shape",
    "endless",
    "spec",
    "nan",
]


class Sums(HostEnvironment):
    """Agents see two random numbers, which limit their actions, and are rewarded for high actions.

    The seed decides after how many steps it terminates; it is truncated at the limit. The agents
    have different numbers of actions, and the last action of each is not always available.
    """

    N_ACTIONS = (3, 5)
    LIMIT = 5

    def __init__(self, config: "Config") -> None:
        self.config = config
        limit = self.LIMIT
        if config.fault == "spec" and os.getpid() == os.getsid(0) and self._first_time():
            limit += 1  # in a worker, which leads its own session
        self.spec = Spec(
            name="sums",
            n_agents=2,
            n_actions=max(self.N_ACTIONS),
            obs_size=3,
            state_size=2,
            episode_limit=limit,
            truncation_is_terminal=config.truncation_is_terminal,
        )

    def reset(self, seed: int) -> TimeStep:
        self.rng, self.t, self.total = np.random.default_rng(seed), 0, 0
        self.goal = int(self.rng.integers(2, self.LIMIT + 3))
        return self._time_step(0.0)

    def step(self, actions: np.ndarray) -> TimeStep:
        assert self.avail[np.arange(2), actions].all(), "an unavailable action"
        self.t += 1
        if self.t == 2 and self.config.fault != "none" and self._first_time():
            FAULTS[self.config.fault](self)
        self.total += int(actions.sum())
        if self.config.seconds:
            time.sleep(self.config.seconds)
        return self._time_step(float(actions.sum()) + float(self.numbers.sum()))

    def close(self) -> None:
        if self.config.once:
            Path(self.config.once).with_suffix(".closed").touch()

    def _time_step(self, reward: float) -> TimeStep:
        self.numbers = self.rng.random(2).astype(np.float32)
        obs = np.stack([[self.t, *self.numbers], [self.t, *self.numbers[::-1]]]).astype(np.float32)
        self.avail = (
            np.arange(5) < np.array(self.N_ACTIONS)[:, None] - (self.numbers > 0.5)[:, None]
        )
        endless = self.config.fault == "endless"
        terminated = self.t >= self.goal and not endless
        truncated = self.t >= self.LIMIT and not terminated and not endless
        info = {"total": self.total, "won": terminated}
        observation = Observation(obs, self.numbers, self.avail)  # type: ignore[arg-type]
        return TimeStep(observation, reward, terminated, truncated, info)  # type: ignore[arg-type]

    def _first_time(self) -> bool:
        """Whether no process has met the fault before; always True if the fault is to recur."""
        if not self.config.once:
            return True
        try:
            Path(self.config.once).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def _dies(game: Sums) -> None:
    print("the game crashed")
    os.kill(os.getpid(), signal.SIGKILL)


def _hangs(game: Sums) -> None:
    time.sleep(1000)


def _lost(game: Sums) -> None:
    raise EnvironmentLost("the line dropped")


def _raises(game: Sums) -> None:
    raise ZeroDivisionError("a bug of the user's")


def _orphans(game: Sums) -> None:
    child = subprocess.Popen(["sleep", "1000"])
    Path(game.config.once).write_text(str(child.pid))
    _dies(game)


def _orphaned(game: Sums) -> None:
    Path(game.config.once).write_text(str(os.getpid()))
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(1000)


def _shape(game: Sums) -> None:
    game._time_step = lambda reward: TimeStep(  # type: ignore[method-assign, assignment]
        Observation(np.zeros((2, 7)), np.zeros(2), np.ones((2, 5), bool)),  # type: ignore[arg-type]
        0.0,
        False,
        False,
        {},  # type: ignore[arg-type]
    )


def _nan(game: Sums) -> None:
    game.numbers = np.full(2, np.nan, np.float32)  # of which the reward is made


FAULTS: dict[str, Callable[[Sums], None]] = {
    "dies": _dies,
    "hangs": _hangs,
    "lost": _lost,
    "raises": _raises,
    "orphans": _orphans,
    "orphaned": _orphaned,
    "shape": _shape,
    "endless": lambda game: None,
    "spec": lambda game: None,
    "nan": _nan,
}


@dataclass(frozen=True)
class Config:
    """Sums, with a fault in the second step."""

    fault: Fault = "none"
    once: str = ""
    """A file that marks the fault as past; without one the fault occurs in every episode."""
    seconds: float = 0.0
    """Duration of a step."""
    truncation_is_terminal: bool = False

    def make(self) -> Sums:
        return Sums(self)
