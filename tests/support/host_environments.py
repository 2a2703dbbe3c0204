"""Plain Python environments small enough to compute by hand."""

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
