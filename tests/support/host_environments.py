"""Plain Python environments small enough to compute by hand."""

import os
import time
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

from macpo.envs.host import HostEnvironment, numpy_time_step
from macpo.types import Spec, TimeStep


class HostCounting(HostEnvironment):
    """Counts env steps up to a goal of 2 to 4, which the seed decides; rewarded with the actions.

    Truncated at the limit, and terminated at the goal otherwise.
    """

    def __init__(self, episode_limit: int = 4) -> None:
        self.spec = Spec("host-counting", 2, 3, 2, 1, episode_limit)

    def reset(self, seed: int) -> TimeStep:
        self.t, self.goal = 0, 2 + int(np.random.default_rng(seed).integers(3))
        return self.time_step(0.0)

    def step(self, actions: Int[np.ndarray, " N"]) -> TimeStep:
        self.t += 1
        return self.time_step(float(actions.sum()))

    def time_step(self, reward: float) -> TimeStep:
        terminated = self.t >= self.goal
        truncated = self.t >= self.spec.episode_limit and not terminated
        return numpy_time_step(
            np.full((2, 2), self.t),
            [self.goal],
            [[True, True, False], [True, True, True]],
            reward,
            terminated,
            truncated,
            {"clock": self.t},
        )


class HostDrawn(HostCounting):
    """Draws a bar as long as the number of env steps, ten pixels each, if it is made to."""

    def __init__(
        self,
        draws: Literal["bar", "grey", "raises", "dies", "hangs"] = "bar",
        render_mode: str | None = None,
    ) -> None:
        super().__init__()
        self.draws, self.render_mode = draws, render_mode

    def render(self) -> Any:
        if self.render_mode != "rgb_array":
            return None
        if self.draws == "raises":
            raise OSError("no display")
        if self.draws == "dies":
            os._exit(3)
        if self.draws == "hangs":
            time.sleep(1000)
        picture = np.full((20, 60, 3), 255, np.uint8)
        picture[5:15, : 10 * self.t] = (200, 30, 30)
        return picture[..., 0] if self.draws == "grey" else picture
