"""The contract of JAX environments.

An environment is a pure object: everything that changes is in the state that `reset` and `step`
return. Methods are written for one environment; the caller applies `jax.vmap`.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

from array_api_compat import array_namespace
from jaxtyping import Float, Int, Num

from macpo.types import Observation, PyTree, Spec, TimeStep

if TYPE_CHECKING:
    from jaxtyping import Array, PRNGKeyArray

    from macpo.envs.host import HostEnvironment
else:
    Array = PRNGKeyArray = Any  # as in `macpo.types`


class EnvConfig(Protocol):
    """The `Config` of an environment module: a frozen dataclass that builds the environment."""

    def make(self) -> "Environment | HostEnvironment":
        """Build the environment these parameters describe."""
        ...


class Environment(ABC):
    """A JAX environment: subclasses define `reset`, `step` and `observe`, and set `spec`.

    `info` has the same names in every time step; a number that is not known yet is NaN, and is left
    out of means.

    >>> import jax
    >>> from macpo.envs import TwoStep
    >>> env = TwoStep().make()
    >>> state, step = env.reset(jax.random.key(0))
    >>> state, step = env.step(jax.random.key(1), state, jax.numpy.array([0, 0]))
    >>> float(step.reward), bool(step.terminated)
    (0.0, False)
    """

    spec: Spec
    assumptions: tuple[str, ...] = ()
    """How an adapter reads the environment behind it, in words; `macpo check-env` shows them."""

    @abstractmethod
    def reset(self, key: PRNGKeyArray) -> tuple[PyTree, TimeStep]:
        """Start an episode; the first time step has reward 0."""

    @abstractmethod
    def step(
        self, key: PRNGKeyArray, state: PyTree, actions: Int[Array, " N"]
    ) -> tuple[PyTree, TimeStep]:
        """Advance one env step. Never resets: the final state of an episode is returned."""

    @abstractmethod
    def observe(self, state: PyTree) -> Observation:
        """Everything that agents and learner may see of a state."""

    def encode(self, state: PyTree) -> PyTree:
        """The smallest pytree of arrays from which `decode` rebuilds `observe(state)` exactly.

        Replay stores this. By default it is the observation itself.
        """
        return self.observe(state)

    def decode(self, encoded: PyTree) -> Observation:
        """The observation of an encoded state."""
        return encoded


def first_step(observation: Observation, **info: Array) -> TimeStep:
    """The time step of a fresh episode.

    >>> import jax.numpy as jnp
    >>> from macpo.envs import Observation
    >>> observation = Observation(jnp.zeros((2, 3)), jnp.zeros(4), jnp.ones((2, 5), bool))
    >>> bool(first_step(observation).terminated)
    False
    """
    import jax.numpy as jnp

    false = jnp.zeros((), bool)
    return TimeStep(observation, jnp.zeros((), jnp.float32), false, false, info)


def mean_of_known(x: Num[Array, "*B"]) -> Float[Array, ""]:
    """The mean of the numbers that are not NaN, which stands for not known; NaN if none is.

    Takes arrays of JAX or NumPy.
    """
    xp = array_namespace(x)
    known = ~xp.isnan(x)
    total = xp.sum(xp.where(known, x, xp.zeros_like(x)), dtype=xp.float32)
    n_known = xp.sum(known, dtype=xp.float32)
    rest = xp.where(n_known > 0, total / xp.clip(n_known, 1), xp.nan)
    return xp.where(xp.all(known), xp.mean(x, dtype=xp.float32), rest)


def tree_bytes(tree: PyTree) -> int:
    """Bytes of all arrays (or shape structs) in a pytree."""
    import jax

    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
