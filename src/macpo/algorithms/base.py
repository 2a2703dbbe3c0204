"""What the training loop asks of an algorithm."""

from typing import Any, NamedTuple, Protocol

from jaxtyping import Array, Bool, Float, Int

from macpo.types import Batch, Key, Metrics, Observation, PyTree, Spec
from macpo.weighting.base import Scheme, State


class LearnerState(NamedTuple):
    """Everything that learning changes."""

    params: PyTree
    targets: PyTree
    optimiser: PyTree
    weighting: State


class Algorithm(Protocol):
    """Pure functions over a `LearnerState`; the same ones whether one seed runs or many."""

    @property
    def spec(self) -> Spec:
        """The environment it was built for."""
        ...

    def init(self, key: Key) -> LearnerState:
        """Fresh networks and optimiser."""
        ...

    def initial_hidden(self, n_envs: int) -> PyTree:
        """The agents' recurrent state at the start of an episode."""
        ...

    def act(
        self,
        params: PyTree,
        key: Key,
        hidden: PyTree,
        seen: Observation,
        last_action: Int[Array, "B N"],
        epsilon: Float[Array, ""] | float,
    ) -> tuple[PyTree, Int[Array, "B N"]]:
        """(next recurrent state, actions); epsilon 0 is greedy."""
        ...

    def update_bytes(self, batch_size: int) -> int:
        """About how many bytes an update works in."""
        ...

    @property
    def wants_recent(self) -> bool:
        """Whether updates need the newest episodes beside the batch."""
        ...

    def update(
        self, state: LearnerState, batch: Batch, key: Key, sync_targets: Bool[Array, ""]
    ) -> tuple[LearnerState, Metrics, Float[Array, "B T"]]:
        """One gradient step on episodes sorted from longest to shortest; then, where asked, the
        copy of the online networks into the targets. The last result is the unweighted absolute TD
        error of every step, 0 on padding."""
        ...


class AlgorithmConfig(Protocol):
    """The `Config` of an algorithm module: a frozen dataclass that builds the algorithm."""

    def make(self, env: Any, scheme: Scheme) -> Algorithm:
        """Build the algorithm for an environment and a weighting."""
        ...
