"""Types and array shapes of everything that flows through the library.

Axis letters: `B` episodes or parallel environments, `T` time, `N` agents,
`A` actions, `O` observation, `S` global state, `K` seeds. Arrays carry an agent axis;
dictionaries of agents stop at the adapters. Time-indexed names follow the convention that
`x_t` belongs to the state before action `u_t`, and `x_tp1` to the state after it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int, Num

if TYPE_CHECKING:
    from jaxtyping import Array
else:
    Array = Any  # JAX's would cost a worker, which needs none, a second of its start

PyTree: TypeAlias = Any
"""A nested container of arrays (jax.tree_util)."""
AnyArray: TypeAlias = Any
"""An array of NumPy or JAX, or one that they understand; they have no type in common."""
Untyped: TypeAlias = Any
"""Something of a library without type annotations, or of one that is not imported here."""


MAX_ACTIONS = 2**15
"""Of one agent: their numbers, and −1 for none, are kept in 16 bits."""


def action_dtype(n_actions: int) -> type[np.int8 | np.int16]:
    """The type in which the numbers of this many actions are kept; −1, for none, fits too."""
    return np.int8 if n_actions <= 2**7 else np.int16


@dataclass(frozen=True)
class Spec:
    """The sizes and conventions that an environment promises to keep.

    >>> Spec("doors", n_agents=2, n_actions=3, obs_size=4, state_size=5, episode_limit=50).n_agents
    2
    """

    name: str
    n_agents: int
    n_actions: int
    obs_size: int
    state_size: int
    episode_limit: int
    """Maximum number of env steps in an episode."""
    truncation_is_terminal: bool = False
    """Whether reaching the time limit ends the decision process (in SMAC it does)."""
    obs_agent_id: bool = True
    """Whether the agent's index is an input of the agents' networks."""
    obs_last_action: bool = True
    """Whether the agent's previous action is an input of the agents' networks."""
    return_bounds: tuple[float, float] | None = None
    """Smallest and largest undiscounted return, where known; used to draw axes."""


class Observation(NamedTuple):
    """Each agent's view of one state, the global state and the available actions.

    >>> import jax
    >>> from macpo.envs import PredatorPrey
    >>> state, step = PredatorPrey().make().reset(jax.random.key(0))
    >>> step.observation.obs.shape, step.observation.avail_actions.shape
    ((8, 75), (8, 6))
    """

    obs: Num[Array, "*B N O"]
    state: Num[Array, "*B S"]
    avail_actions: Bool[Array, "*B N A"]


class TimeStep(NamedTuple):
    """What `reset` and `step` return; a reset never replaces an episode's final observation.

    >>> import jax
    >>> from macpo.envs import PredatorPrey
    >>> state, step = PredatorPrey().make().reset(jax.random.key(0))
    >>> float(step.reward), bool(step.terminated), bool(step.truncated)
    (0.0, False, False)
    """

    observation: Observation
    reward: Float[Array, "*B"]
    terminated: Bool[Array, "*B"]
    truncated: Bool[Array, "*B"]
    info: dict[str, Array]


class Episodes(NamedTuple):
    """Whole episodes, one per row, as held in replay; steps past `length` are zeros.

    `encoded_state` is the environment's compact record of the states 0…T (see
    `Environment.encode`): the final state is kept, and no state is stored twice.
    """

    encoded_state: PyTree  # leaves [B, T+1, ...]
    actions: Int[Array, "*B T N"]
    reward: Float[Array, "*B T"]
    length: Int[Array, "*B"]
    terminated: Bool[Array, "*B"]


class Rollout(NamedTuple):
    """Episodes just played, and their outcomes."""

    episodes: Episodes
    outcome: dict[str, Num[Array, " B"]]
    """The `info` of each episode's last time step."""


class Batch(NamedTuple):
    """The input of an update."""

    episodes: Episodes
    importance: Float[Array, " B"]
    """Correction for how the episodes were drawn; ones for uniform sampling."""
    recent: Episodes | None = None
    """Some of the newest episodes, if the algorithm asks for them."""
    recent_differs: Bool[Array, ""] | bool = False
    """Whether replay holds enough older episodes for the newest to be a small part of it."""
    env_steps: Int[Array, ""] | int = 0
    """Env steps played so far, on which annealed quantities depend; offline, updates."""
    epsilon: Float[Array, ""] | float = 0.0
    """Exploration rate of the episodes played last, for policies that include exploration."""


Metrics: TypeAlias = dict[str, Array]
"""Scalars by name; `docs/metrics.md` explains each."""
