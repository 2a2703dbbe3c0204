"""Episodes outside of replay: one by one, end to end in chunks, and what each of them must be."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int, Num, Shaped
from numpy.typing import DTypeLike

from macpo.bounds import NonNegativeInt, PositiveInt, check_fields
from macpo.envs.host import availability
from macpo.errors import UsageError, require, shown
from macpo.types import MAX_ACTIONS, Spec, action_dtype

CHUNK = 100
"""Episodes in a chunk; the last one has what is left."""
ENCODED = "encoded"
"""Begins the names of what an environment's own record of its states consists of."""
Rows: TypeAlias = Literal["episodes", "steps", "states"]
"""What an array of a chunk has a row for."""


class Episode(NamedTuple):
    """An episode of T env steps in NumPy arrays: T+1 states, the final one included.

    In an episode that is not `terminated`, value goes on after the final state (a time limit).

    >>> import numpy as np
    >>> obs, state, avail_actions = np.zeros((2, 1, 4)), np.zeros((2, 5)), np.ones((2, 1, 3), bool)
    >>> actions, reward = np.array([[2]]), np.array([1.0])
    >>> Episode(obs, state, avail_actions, actions, reward, terminated=True).actions.shape
    (1, 1)
    """

    obs: Num[np.ndarray, "Tp1 N O"]
    state: Num[np.ndarray, "Tp1 S"]
    avail_actions: Bool[np.ndarray, "Tp1 N A"]
    actions: Int[np.ndarray, "T N"]
    reward: Float[np.ndarray, " T"]
    terminated: bool
    encoded: Mapping[str, Num[np.ndarray, "Tp1 *X"]] = MappingProxyType({})
    """The states as their environment encodes them, where it has a way of its own."""


@dataclass(frozen=True)
class Sizes:
    """Of the environment in which episodes were played."""

    name: str
    n_agents: PositiveInt
    n_actions: PositiveInt
    obs_size: NonNegativeInt
    state_size: NonNegativeInt
    episode_limit: PositiveInt

    def __post_init__(self) -> None:
        check_fields(self, "environment")
        require(self.n_actions <= MAX_ACTIONS, f"n_actions must be at most {MAX_ACTIONS:,}.")

    @classmethod
    def of(cls, spec: Spec) -> "Sizes":
        """Those of an environment."""
        return cls(
            spec.name,
            spec.n_agents,
            spec.n_actions,
            spec.obs_size,
            spec.state_size,
            spec.episode_limit,
        )


class Chunk(NamedTuple):
    """Some episodes end to end: E of them, R env steps and R + E states in all."""

    length: Int[np.ndarray, " E"]
    terminated: Bool[np.ndarray, " E"]
    actions: Int[np.ndarray, "R N"]
    reward: Float[np.ndarray, " R"]
    obs: Num[np.ndarray, "RpE N O"]
    state: Num[np.ndarray, "RpE S"]
    avail_actions: Bool[np.ndarray, "RpE N A"]
    encoded: Mapping[str, Num[np.ndarray, "RpE *X"]]

    def arrays(self) -> dict[str, Shaped[np.ndarray, "..."]]:
        """All of them by the names that they have in a file."""
        own = {name: x for name, x in self._asdict().items() if name != ENCODED}
        return {**own, **self.encoded}


ROWS: Mapping[str, Rows] = {
    "length": "episodes",
    "terminated": "episodes",
    "actions": "steps",
    "reward": "steps",
}
"""Of the fields that have no row for each state."""
OWN = tuple(name for name in Chunk._fields if name != ENCODED)
"""The fields that every file has, in their order."""
_ARRAYS = ("obs", "state", "avail_actions", "actions", "reward")
"""The arrays of an `Episode`."""


# --- from one form to the other -------------------------------------------------------------------


def in_turns(episodes: Iterable[Episode]) -> Iterator[list[Episode]]:
    """As many at a time as a chunk has."""
    turn: list[Episode] = []
    for episode in episodes:
        turn.append(episode)
        if len(turn) == CHUNK:
            yield turn
            turn = []
    if turn:
        yield turn


def chunk_of(episodes: list[Episode]) -> Chunk:
    """The episodes end to end; UsageError unless all encode their states in the same way."""
    names = [*episodes[0].encoded]
    require(
        all([*episode.encoded] == names for episode in episodes),
        "all episodes of a file must encode their states in the same way, or none.",
    )
    return Chunk(
        length=np.array([len(episode.reward) for episode in episodes], np.int32),
        terminated=np.array([episode.terminated for episode in episodes], bool),
        actions=np.concatenate([episode.actions for episode in episodes]),
        reward=np.concatenate([episode.reward for episode in episodes]),
        obs=np.concatenate([episode.obs for episode in episodes]),
        state=np.concatenate([episode.state for episode in episodes]),
        avail_actions=np.concatenate([episode.avail_actions for episode in episodes]),
        encoded={name: np.concatenate([x.encoded[name] for x in episodes]) for name in names},
    )


def episodes_of(chunk: Chunk) -> Iterator[Episode]:
    """The episodes one by one."""
    ends = np.cumsum(chunk.length).tolist()
    for i, end in enumerate(ends):
        steps = slice(end - int(chunk.length[i]), end)
        states = slice(steps.start + i, steps.stop + i + 1)
        yield Episode(
            chunk.obs[states],
            chunk.state[states],
            chunk.avail_actions[states],
            chunk.actions[steps],
            chunk.reward[steps],
            bool(chunk.terminated[i]),
            {name: x[states] for name, x in chunk.encoded.items()},
        )


# --- what they must be ----------------------------------------------------------------------------


_OUT_OF_RANGE = "an action is not between 0 and {:,}"


def n_rows(length: Int[np.ndarray, " E"]) -> dict[Rows, int]:
    """How many rows arrays of episodes of such lengths have."""
    n_steps = int(length.sum(dtype=np.int64))
    return {"episodes": len(length), "steps": n_steps, "states": n_steps + len(length)}


def own_rows(sizes: Sizes) -> dict[str, tuple[tuple[int, ...], DTypeLike | None]]:
    """(shape, type) of a row of each field that every file has; without a type: numbers."""
    n_agents, n_actions = sizes.n_agents, sizes.n_actions
    return {
        "length": ((), np.int32),
        "terminated": ((), bool),
        "actions": ((n_agents,), action_dtype(n_actions)),
        "reward": ((), np.float32),
        "obs": ((n_agents, sizes.obs_size), None),
        "state": ((sizes.state_size,), None),
        "avail_actions": ((n_agents, n_actions), bool),
    }


def check(chunk: Chunk, sizes: Sizes, first: int) -> None:
    """UsageError, which names the episode, unless these are episodes of such an environment.

    `first` is the number of episodes before them.
    """
    n_actions, length = sizes.n_actions, chunk.length
    n, own = n_rows(length), own_rows(sizes)
    for name, x in chunk.arrays().items():
        row, of_type = own.get(name, (x.shape[1:], None))
        shape, dtype = (n[ROWS.get(name, "states")], *row), np.dtype(of_type or x.dtype)
        require(
            x.shape == shape and x.dtype == dtype,
            f"{name} is {x.dtype}{list(x.shape)}, expected {dtype}{list(shape)}.",
        )
    limit = sizes.episode_limit
    ends = {
        "episodes": np.arange(1, len(length) + 1),
        "steps": np.cumsum(length),
        "states": np.cumsum(length + 1),
    }

    def require_all(name: str, is_right: Bool[np.ndarray, "R ..."], what: str) -> None:
        right = is_right.all(tuple(range(1, is_right.ndim)))
        if not right.all():
            of = ends[ROWS.get(name, "states")]
            episode = first + int(np.searchsorted(of, right.argmin(), "right"))
            raise UsageError(f"episode {episode}: {what}.")

    in_time = (length >= 1) & (length <= limit)
    require_all("length", in_time, f"its length is not between 1 and {limit:,} env steps")
    for name, x in chunk.arrays().items():
        if x.dtype.kind == "f":
            require_all(name, np.isfinite(x), f"its {name} holds what is no finite number")
    some = np.logical_or.reduce(chunk.avail_actions, -1)
    require_all("avail_actions", some, "in one of its states an agent has no available action")
    actions = chunk.actions.astype(np.int64)
    in_range = (actions >= 0) & (actions < n_actions)
    require_all("actions", in_range, _OUT_OF_RANGE.format(n_actions - 1))
    state = np.arange(n["steps"]) + np.repeat(np.arange(len(length)), length)  # of each step
    available = np.take_along_axis(chunk.avail_actions[state], actions[..., None], -1)
    require_all("actions", available, "an action was taken that avail_actions says is not there")


def checked_episode(given: object, number: int, sizes: Sizes) -> Episode:
    """A user's episode in NumPy arrays of the types that a file has; UsageError if it is none."""
    where = f"episode {number}:"
    if not isinstance(given, Episode):
        raise UsageError(f"{where} it must be a macpo.Episode(…), not {shown(given)}.")
    try:
        arrays = {name: np.asarray(getattr(given, name)) for name in _ARRAYS}
        encoded = {str(name): np.asarray(x) for name, x in given.encoded.items()}
        mask, terminated = availability(arrays["avail_actions"]), bool(given.terminated)
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{where} {error}") from error
    n = arrays["reward"].size
    rows, own = n_rows(np.array([n])), own_rows(sizes)
    for name, x in arrays.items():
        shape = (rows[ROWS.get(name, "states")], *own[name][0])
        require(
            x.shape == shape,
            f"{where} {name} has shape {list(x.shape)}; with {n} rewards it must be {list(shape)}.",
        )
        kinds = "iu" if name == "actions" else "biuf"
        require(x.dtype.kind in kinds, f"{where} {name} holds {x.dtype}, which are no numbers.")
    for name, x in encoded.items():
        require(
            name.startswith(ENCODED) and x.ndim > 0 and len(x) == n + 1,
            f"{where} what is encoded needs names that begin with {ENCODED} and {n + 1} rows.",
        )
    require(n > 0, f"{where} it has no env step.")
    actions = arrays["actions"]
    require(  # before they are kept in fewer bits
        bool(((actions >= 0) & (actions < sizes.n_actions)).all()),
        f"{where} {_OUT_OF_RANGE.format(sizes.n_actions - 1)}.",
    )
    return Episode(
        _in_32_bits(arrays["obs"]),
        _in_32_bits(arrays["state"]),
        mask,
        actions.astype(action_dtype(sizes.n_actions)),
        arrays["reward"].astype(np.float32),
        terminated,
        {name: _in_32_bits(x) for name, x in encoded.items()},
    )


def _in_32_bits(x: Num[np.ndarray, "..."]) -> Num[np.ndarray, "..."]:
    """Numbers of 64 bits in as many as JAX computes with."""
    narrow = {"float64": np.float32, "int64": np.int32, "uint64": np.uint32}
    return x.astype(narrow.get(x.dtype.name, x.dtype))
