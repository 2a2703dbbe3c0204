"""Episodes written down time step by time step, as their workers report them."""

import math
from collections.abc import Mapping

import jax
import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import DTypeLike

from macpo.errors import require
from macpo.experiment import NonFiniteRewards
from macpo.training.host.slot import Slot
from macpo.training.rewards import ADVICE
from macpo.types import AnyArray, Episodes, Observation, Rollout, Spec, action_dtype


class EpisodeWriter:
    """`n` episodes, one a row, and how far each of them has got."""

    def __init__(
        self, spec: Spec, n: int, keep_states: bool, nonfinite_rewards: NonFiniteRewards = "refuse"
    ) -> None:
        self.spec = spec
        self._nonfinite_rewards: NonFiniteRewards = nonfinite_rewards
        agents, limit = (n, spec.n_agents), spec.episode_limit
        dtype = action_dtype(spec.n_actions)
        self.t: Int[np.ndarray, " n"] = np.zeros(n, np.int32)
        self.observation = _observations(spec, n)
        """The newest of each row."""
        self.last_action: Int[np.ndarray, "n N"] = np.full(agents, -1, dtype)
        self.waiting: Bool[np.ndarray, " n"] = np.zeros(n, bool)
        """For actions of the policy."""
        self.started: Bool[np.ndarray, " n"] = np.zeros(n, bool)
        """And not yet over."""
        self.outcomes: list[Mapping[str, float]] = [{} for _ in range(n)]
        self.episodes = Episodes(
            encoded_state=_observations(spec, n, limit + 1) if keep_states else (),
            actions=_zeros((n, limit, spec.n_agents), dtype),
            reward=_zeros((n, limit), np.float32),
            length=_zeros(n, np.int32),
            terminated=_zeros(n, bool),
        )

    def add(self, row: int, slot: Slot, outcome: Mapping[str, float] | None) -> None:
        """Write a time step; with an outcome it is the last one."""
        episodes, limit = self.episodes, self.spec.episode_limit
        if self.started[row]:
            t = self.t[row]
            self._check_reward(float(slot.reward[0]), int(t) + 1)
            episodes.actions[row, t] = self.last_action[row]
            episodes.reward[row, t] = slot.reward[0]
            episodes.length[row] = self.t[row] = t + 1
        for array, value in zip(self.observation, slot, strict=False):
            array[row] = value
        for array, value in zip(episodes.encoded_state, slot, strict=False):
            array[row, self.t[row]] = value
        over = outcome is not None
        require(
            over or self.t[row] < limit,
            f"{self.spec.name} goes on after {limit} env steps, its episode_limit; its step must "
            "say truncated then.",
        )
        self.started[row] = self.waiting[row] = not over
        if over:
            cut = slot.truncated[0] and self.spec.truncation_is_terminal
            episodes.terminated[row] = slot.terminated[0] or cut
            self.outcomes[row] = outcome

    def _check_reward(self, reward: float, t: int) -> None:
        if self._nonfinite_rewards == "refuse":
            require(
                math.isfinite(reward),
                f"{self.spec.name} paid a reward of {reward} in step {t} of an episode; {ADVICE}",
            )

    def discard(self, row: int) -> None:
        """Erase the row, to start it anew."""
        self.started[row] = self.waiting[row] = False
        self.t[row], self.last_action[row] = 0, -1
        for array in jax.tree.leaves(self.episodes):
            array[row] = 0

    def answer(self, actions: Int[np.ndarray, "n N"]) -> Bool[np.ndarray, " n"]:
        """Note the actions of the rows that wait for some; which rows these were."""
        answered = self.waiting.copy()
        self.last_action[answered] = actions[answered]
        self.waiting[:] = False
        return answered

    def finish(self) -> Rollout:
        """All episodes; every row must be over."""
        names = set(self.outcomes[0])
        require(
            all(names == set(outcome) for outcome in self.outcomes),
            f"{self.spec.name} ends episodes with different names in info; they must be the same.",
        )
        outcome: dict[str, AnyArray] = {
            name: np.array([outcome[name] for outcome in self.outcomes], np.float32)
            for name in sorted(names)
        }
        return Rollout(self.episodes, outcome)


# the types of episodes speak of JAX arrays; workers fill NumPy's, which learners take as well
def _zeros(shape: int | tuple[int, ...], dtype: DTypeLike) -> AnyArray:
    return np.zeros(shape, dtype)


def _observations(spec: Spec, *leading: int) -> Observation:
    n = spec.n_agents
    return Observation(
        _zeros((*leading, n, spec.obs_size), np.float32),
        _zeros((*leading, spec.state_size), np.float32),
        _zeros((*leading, n, spec.n_actions), bool),
    )
