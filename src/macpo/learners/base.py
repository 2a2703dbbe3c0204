"""The interface between the training loop and an algorithm."""

from typing import ClassVar, NamedTuple, Protocol

from jaxtyping import Array, Float, Int, PRNGKeyArray

from macpo.envs.base import Environment
from macpo.field_types import Dataclass, Settings
from macpo.types import Batch, Metrics, Observation, PyTree, Spec
from macpo.weighting.weighting import Weighting, WeightingState


class LearnerState(NamedTuple):
    """Everything that an update changes.

    Example:
        >>> import jax
        >>> from macpo.algorithms import VDN
        >>> from macpo.envs import TwoStep
        >>> from macpo.weighting import Uniform
        >>> learner = VDN().make(TwoStep().make(), Uniform())
        >>> learner.init(jax.random.key(0))._fields
        ('params', 'target_networks', 'opt_state', 'weighting_state')
    """

    params: PyTree
    target_networks: PyTree
    opt_state: PyTree
    weighting_state: WeightingState


class UpdateResult(NamedTuple):
    """A learner after one update.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from macpo.learners import LearnerState
        >>> state = LearnerState(params={}, target_networks={}, opt_state={}, weighting_state=None)
        >>> UpdateResult(state, {"loss": jnp.float32(0.5)}, jnp.zeros((8, 20))).td_error_abs.shape
        (8, 20)
    """

    state: LearnerState
    metrics: Metrics
    td_error_abs: Float[Array, "B T"]
    """Unweighted absolute TD errors of the batch's steps; 0 on padding."""


class RecentEpisodes(NamedTuple):
    """Which of the newest episodes an update needs besides its batch."""

    n_episodes: int
    window: int
    """They are drawn from this many newest episodes; if it equals `n_episodes`, all are taken."""


class About(NamedTuple):
    """An algorithm's row in the table of `macpo list algorithms`.

    Example:
        >>> about = About("utilities", critic="–", mixer="sum", extra="–", paper="an example")
        >>> about.on_policy
        False
    """

    agents: str
    """The outputs of the agents' recurrent network."""
    critic: str
    mixer: str
    extra: str
    """Further networks."""
    paper: str
    on_policy: bool = False
    """Whether it learns only from the episodes just played, so that no weighting applies."""


class Algorithm(Protocol):
    """Pure functions of a `LearnerState`, the same for one seed and for many.

    `ValueBasedLearner` and `ActorCriticLearner` are the two that there are.

    Example:
        >>> import jax
        >>> from macpo.algorithms import QMIX
        >>> from macpo.envs import TwoStep
        >>> from macpo.weighting import Uniform
        >>> learner: Algorithm = QMIX().make(TwoStep().make(), Uniform())
        >>> learner.spec.n_agents, learner.initial_hidden(n_envs=5).shape
        (2, (5, 2, 64))
    """

    @property
    def spec(self) -> Spec:
        """The environment it was built for."""
        ...

    def init(self, key: PRNGKeyArray) -> LearnerState:
        """Fresh networks and optimisers; target networks are copies."""
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
        """(next recurrent state, actions); greedy, as in evaluation, if epsilon is None."""
        ...

    def update_bytes(self, batch_size: int) -> int:
        """The approximate number of bytes that an update needs to work in."""
        ...

    def recent_episodes(self, batch_size: int, buffer_size: int) -> RecentEpisodes | None:
        """The newest episodes that an update needs besides its batch, if any."""
        ...

    def update(self, state: LearnerState, batch: Batch, key: PRNGKeyArray) -> UpdateResult:
        """One gradient step on episodes sorted from longest to shortest.

        An on-policy algorithm also reports `pi_taken_mean`, the mean probability that its policies
        give to the actions taken.
        """
        ...

    def sync_targets(self, state: LearnerState) -> LearnerState:
        """The state with the target networks replaced by copies of the online ones."""
        ...


class AlgorithmConfig(Dataclass, Protocol):
    """The configuration of an algorithm: a frozen dataclass that builds it."""

    about: ClassVar[About]
    schedule: ClassVar[Settings]
    """The algorithm's own defaults for settings of `Run`."""

    def make(self, env: Environment, weighting: Weighting) -> Algorithm:
        """Build the algorithm for an environment and a weighting."""
        ...
