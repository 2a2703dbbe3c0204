"""What the training loop asks of an algorithm."""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from macpo.types import Batch, Metrics, Observation, PyTree, Spec
from macpo.weighting.weighting import Weighting, WeightingState


class LearnerState(NamedTuple):
    """Everything that learning changes."""

    params: PyTree
    targets: PyTree
    optimiser: PyTree
    weighting: WeightingState


class Recent(NamedTuple):
    """Which of the newest episodes an update needs beside its batch."""

    n_episodes: int
    """How many."""
    window: int
    """From how many newest ones they are drawn; as many as `n_episodes`: exactly those."""


class About(NamedTuple):
    """An algorithm's row in the table of `macpo list algorithms`."""

    agents: str
    """What the agents' recurrent network puts out."""
    critic: str
    mixer: str
    extra: str
    """Networks besides these."""
    paper: str
    on_policy: bool = False
    """Whether it learns only from the episodes just played, so that no weighting applies."""


class Algorithm(Protocol):
    """Pure functions over a `LearnerState`; the same ones whether one seed runs or many."""

    @property
    def spec(self) -> Spec:
        """The environment it was built for."""
        ...

    def init(self, key: PRNGKeyArray) -> LearnerState:
        """Fresh networks and optimiser."""
        ...

    def initial_hidden(self, n_envs: int) -> PyTree:
        """The agents' recurrent state at the start of an episode."""
        ...

    def act(
        self,
        params: PyTree,
        key: PRNGKeyArray,
        hidden: PyTree,
        observation: Observation,
        last_action: Int[Array, "B N"],
        epsilon: Float[Array, ""] | float | None,
    ) -> tuple[PyTree, Int[Array, "B N"]]:
        """(next recurrent state, actions); without an epsilon the best actions, as in a test."""
        ...

    def update_bytes(self, batch_size: int) -> int:
        """About how many bytes an update works in."""
        ...

    def recent(self, batch_size: int, buffer_size: int) -> Recent | None:
        """The newest episodes that updates need beside the batch, where they need any."""
        ...

    def update(
        self, state: LearnerState, batch: Batch, key: PRNGKeyArray, sync_targets: Bool[Array, ""]
    ) -> tuple[LearnerState, Metrics, Float[Array, "B T"]]:
        """One gradient step on episodes sorted from longest to shortest; then, where asked, the
        copy of the online networks into the targets. The last result is the unweighted absolute TD
        error of every step, 0 on padding. One without replay also reports `pi_taken_mean`, the
        mean probability that its policies give to the actions taken."""
        ...


class AlgorithmConfig(Protocol):
    """The `Config` of an algorithm module: a frozen dataclass that builds the algorithm."""

    about: ClassVar[About]
    schedule: ClassVar[Mapping[str, Any]]
    """Settings of `Run` that differ from the defaults where nothing else is asked for."""

    def make(self, env: Any, weighting: Weighting) -> Algorithm:
        """Build the algorithm for an environment and a weighting."""
        ...
