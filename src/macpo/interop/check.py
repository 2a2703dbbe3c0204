"""Does an environment keep its promises? Random available actions, then what is wrong, in words.

wrong = [result for result in examine(make_env("two-step")) if result.findings]

A check is a function that yields findings; the first sentence of its docstring says what holds
where it yields none. `OF_EPISODES` look at what was played, `OF_JAX` and `OF_HOST` at the
environment itself.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from macpo import machine
from macpo.envs.base import Environment
from macpo.envs.host import HostEnvironment
from macpo.errors import describe_exception
from macpo.interop.to_host import OnHost, on_host
from macpo.types import Observation, PyTree, Spec, TimeStep

MOST_ACTIONS = 127  # replay keeps an action in one signed byte
RESTARTS, WARM_UP = 100, 20
GROWTH = 32 * 2**20  # bytes; allocators keep a few megabytes of their own


class Finding(NamedTuple):
    """One promise broken in one place."""

    where: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, found {self.found}"


class Result(NamedTuple):
    """What one check found; `title` says what holds where it found nothing."""

    title: str
    findings: tuple[Finding, ...]


class Episode(NamedTuple):
    """An episode of random available actions; leaves are NumPy arrays."""

    seed: int
    timesteps: tuple[TimeStep, ...]
    actions: tuple[Int[np.ndarray, " N"], ...]

    def places(self) -> Iterator[tuple[str, TimeStep]]:
        """Every time step with its place in words; step 0 is that of `reset`."""
        for t, timestep in enumerate(self.timesteps):
            yield f"seed {self.seed}, step {t}", timestep


class Broken(RuntimeError):
    """An environment that cannot be played, and where."""

    def __init__(self, where: str, error: Exception) -> None:
        super().__init__(f"{where} raised {describe_exception(error)}")
        self.finding = Finding(where, "a time step", describe_exception(error))


Check = Callable[..., Iterator[Finding]]


def examine(
    env: Environment | HostEnvironment, episodes: int = 3, seed: int = 0
) -> Iterator[Result]:
    """Every check that applies, in turn. What comes after a broken basis is not looked at."""
    result = _result(sizes, env.spec)
    yield result
    if result.findings:
        return
    player = on_host(env)
    try:
        played = [play(player, seed + i) for i in range(episodes)]
    except Broken as broken:
        yield Result("It can be played", (broken.finding,))
        return
    for check in OF_EPISODES:
        result = _result(check, env.spec, played)
        yield result
        if check in BASIS and result.findings:
            return
    for check in OF_JAX if isinstance(player, OnHost) else OF_HOST:
        yield _result(check, player, played[0])


def title(check: Check) -> str:
    """What a check checks."""
    return (inspect.getdoc(check) or "").split(".")[0]


def play(env: HostEnvironment, seed: int) -> Episode:
    """One episode, at most as long as the limit; Broken if `reset` or `step` raise."""
    rng = np.random.default_rng(seed)
    timesteps = [_tried(f"reset with seed {seed}", env.reset, seed)]
    actions: list[np.ndarray] = []
    while not over(timesteps[-1]) and len(actions) < env.spec.episode_limit:
        actions.append(random_actions(env.spec, rng, timesteps[-1].avail_actions))
        where = f"seed {seed}, step {len(actions)}"
        timesteps.append(_tried(where, env.step, actions[-1]))
    return Episode(seed, tuple(timesteps), tuple(actions))


def random_actions(spec: Spec, rng: np.random.Generator, avail: Any) -> Int[np.ndarray, " N"]:
    """Available actions, each as likely as any; 0 for an agent without one."""
    avail = np.broadcast_to(np.asarray(avail, bool), (spec.n_agents, spec.n_actions))
    return (rng.random(avail.shape) * avail).argmax(-1).astype(np.int32)


def over(timestep: TimeStep) -> bool:
    """Whether an episode is over."""
    return bool(np.any(timestep.terminated) or np.any(timestep.truncated))


def _tried(where: str, function: Callable[[Any], TimeStep], argument: Any) -> TimeStep:
    try:
        return function(argument)
    except Exception as error:
        raise Broken(where, error) from error


def _result(check: Check, *arguments: Any) -> Result:
    try:
        return Result(title(check), tuple(check(*arguments)))
    except Broken as broken:
        return Result(title(check), (broken.finding,))


# --- of a spec ------------------------------------------------------------------------------------


def sizes(spec: Spec) -> Iterator[Finding]:
    """The spec's sizes make sense."""
    for name in ("n_agents", "n_actions", "obs_size", "state_size", "episode_limit"):
        if getattr(spec, name) < 1:
            yield Finding(f"spec.{name}", "at least 1", str(getattr(spec, name)))
    if spec.n_actions > MOST_ACTIONS:
        yield Finding("spec.n_actions", f"at most {MOST_ACTIONS}", str(spec.n_actions))


# --- of episodes ----------------------------------------------------------------------------------


def shapes(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """Shapes equal the spec."""
    expected = {
        "obs": (spec.n_agents, spec.obs_size),
        "state": (spec.state_size,),
        "avail_actions": (spec.n_agents, spec.n_actions),
        "reward": (),
        "terminated": (),
        "truncated": (),
    }
    for where, timestep in _places(episodes):
        for name, shape in expected.items():
            found = np.shape(getattr(timestep, name))
            if found != shape:
                yield Finding(where, f"{name} of shape {shape}", str(found))


def kinds(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """Flags are booleans, rewards float32, and reset and step give the same kinds of numbers."""
    first = episodes[0].timesteps[0]
    expected: dict[str, Any] = dict.fromkeys(("avail_actions", "terminated", "truncated"), bool)
    expected |= {"reward": np.float32}
    expected |= {name: np.asarray(getattr(first, name)).dtype for name in ("obs", "state")}
    for where, timestep in _places(episodes):
        for name, kind in expected.items():
            found = np.asarray(getattr(timestep, name)).dtype
            if found != kind or found.kind not in "biuf":
                yield Finding(where, f"{name} of dtype {np.dtype(kind)}", str(found))


def finite(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """Observations, states and infos are finite."""
    for where, timestep in _places(episodes):
        for i, row in enumerate(timestep.obs):
            if not np.isfinite(row).all():
                yield Finding(f"{where}, agent {i}", "finite observations", _worst(row))
        if not np.isfinite(timestep.state).all():
            yield Finding(where, "a finite state", _worst(timestep.state))
        for name, value in timestep.info.items():
            if not np.isfinite(value).all():
                yield Finding(where, f"a finite info {name!r}", str(value))


def rewards(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """Every reward is a finite number."""
    for where, timestep in _places(episodes):
        if not np.isfinite(timestep.reward):
            yield Finding(where, "a finite reward", str(timestep.reward))


def beginnings(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """The first time step has no reward and ends nothing."""
    for episode in episodes:
        first = episode.timesteps[0]
        if first.reward != 0:
            yield Finding(f"reset with seed {episode.seed}", "reward 0", str(first.reward))
        if over(first):
            yield Finding(f"reset with seed {episode.seed}", "no end", _ending(first))


def availability(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """Every agent always has an available action."""
    for where, timestep in _places(episodes):
        for i in np.flatnonzero(~timestep.avail_actions.any(-1)):
            yield Finding(f"{where}, agent {i}", "an available action", "none")


def flags(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """An episode is never both terminated and truncated."""
    for where, timestep in _places(episodes):
        if timestep.terminated and timestep.truncated:
            yield Finding(where, "one flag at most", "terminated and truncated")


def limits(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """Episodes end within the episode limit."""
    for episode in episodes:
        if not over(episode.timesteps[-1]):
            where = f"seed {episode.seed}, step {len(episode.actions)}"
            yield Finding(where, f"an end, as the limit is {spec.episode_limit}", "none")


def last_looks(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """The final observation is not replaced by the first one."""
    back = [_back_at_the_start(episode) for episode in episodes]
    if all(back):  # once may be chance
        for episode in episodes:
            where = f"seed {episode.seed}, step {len(episode.actions)}"
            yield Finding(where, "how the episode ended", "what reset shows; step must not reset")


def infos(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """Info has the same names at every step, each with one number."""
    names = sorted(episodes[0].timesteps[0].info)
    for where, timestep in _places(episodes):
        if sorted(timestep.info) != names:
            yield Finding(where, f"info {names} as at the first reset", str(sorted(timestep.info)))
        for name, value in timestep.info.items():
            if np.shape(value) != () or np.asarray(value).dtype.kind not in "biuf":
                yield Finding(where, f"a number as info {name!r}", repr(value))


def bounds(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """Returns stay within the bounds of the spec."""
    if spec.return_bounds is not None:
        low, high = spec.return_bounds
        for episode in episodes:
            total = sum(float(timestep.reward) for timestep in episode.timesteps)
            if not low - 1e-4 <= total <= high + 1e-4:
                yield Finding(f"seed {episode.seed}", f"a return in [{low}, {high}]", f"{total:g}")


def _places(episodes: Sequence[Episode]) -> Iterator[tuple[str, TimeStep]]:
    for episode in episodes:
        yield from episode.places()


def _observation(timestep: TimeStep) -> Observation:
    return Observation(timestep.obs, timestep.state, timestep.avail_actions)


def _back_at_the_start(episode: Episode) -> bool:
    """Whether the last time step looks like the first, and none of those between them does."""
    if len(episode.timesteps) < 3 or not over(episode.timesteps[-1]):
        return False
    first, *between, last = (_observation(timestep) for timestep in episode.timesteps)
    return not difference(last, first) and all(difference(timestep, first) for timestep in between)


def _worst(row: Any) -> str:
    place = np.flatnonzero(~np.isfinite(row))
    return f"{row[place[0]]} at {place[0]}"


def _ending(timestep: TimeStep) -> str:
    return "terminated" if timestep.terminated else "truncated"


# --- of any environment ---------------------------------------------------------------------------


def repeats(env: HostEnvironment, episode: Episode) -> Iterator[Finding]:
    """The same seed and actions give the same episode."""
    again = play(env, episode.seed)
    for (where, a), b in zip(episode.places(), again.timesteps, strict=False):
        if unlike := difference(b, a):
            yield Finding(where, "what this seed gave before", unlike)
            return
    if len(again.timesteps) != len(episode.timesteps):
        yield Finding(
            f"seed {episode.seed}", f"{len(episode.actions)} steps", f"{len(again.actions)}"
        )


# --- of JAX environments --------------------------------------------------------------------------


def carries(player: OnHost, episode: Episode) -> Iterator[Finding]:
    """Reset and step return states of the same structure, shapes and dtypes."""

    def reset_and_step(key: Array) -> tuple[PyTree, PyTree]:
        state, first = player.env.reset(key)
        return state, player.env.step(key, state, jnp.argmax(first.avail_actions, -1))[0]

    first, after = jax.eval_shape(reset_and_step, jax.random.key(0))
    if unlike := _kind_difference(after, first):
        yield Finding("the state after step", "the kind that reset returns", unlike)


def compiled(player: OnHost, episode: Episode, tolerance: float = 1e-4) -> Iterator[Finding]:
    """Compiled and not, one by one and under vmap, reset and step do the same."""
    env = player.env

    def reset_and_step(key: Array) -> Any:
        state, first = env.reset(key)
        return (state, first), env.step(key, state, jnp.argmax(first.avail_actions, -1))

    keys = jax.random.split(jax.random.key(episode.seed), 3)
    alone = jax.jit(reset_and_step)
    one_by_one = [alone(key) for key in keys]
    if unlike := difference(reset_and_step(keys[0]), one_by_one[0], tolerance):
        yield Finding("without jit", "what the compiled function gives", unlike)
    batch = jax.jit(jax.vmap(reset_and_step))(keys)
    for i, expected in enumerate(one_by_one):
        row = jax.tree.map(lambda x, i=i: x[i], batch)
        if unlike := difference(row, expected, tolerance):
            yield Finding(f"under vmap, row {i}", "what it gives alone", unlike)


def memories(player: OnHost, episode: Episode) -> Iterator[Finding]:
    """A time step shows what observe sees, and a recalled memory shows it again exactly."""
    env = player.env
    observe = jax.jit(env.observe)
    recall = jax.jit(lambda state: env.decode(env.encode(state)))
    for where, state, timestep in _states(player, episode):
        if unlike := difference(observe(state), _observation(timestep)):
            yield Finding(where, "observe(state) to equal the time step", unlike)
        if unlike := difference(recall(state), _observation(timestep)):
            yield Finding(where, "decode(encode(state)) to equal observe(state)", unlike)


def stays_over(player: OnHost, episode: Episode) -> Iterator[Finding]:
    """A step after the end begins no new episode."""
    timestep, rng = player.reset(episode.seed), np.random.default_rng(episode.seed)
    ended = None
    for t in range(1, player.spec.episode_limit + 2):
        timestep = player.step(random_actions(player.spec, rng, timestep.avail_actions))
        if ended is not None and not over(timestep):
            yield Finding(
                f"seed {episode.seed}, step {t}", f"no new episode after the end at {ended}", "one"
            )
            return
        if ended is None and over(timestep):
            ended = t


def _states(player: OnHost, episode: Episode) -> Iterator[tuple[str, PyTree, TimeStep]]:
    """Places, states and time steps of the episode played again."""
    timestep = player.reset(episode.seed)
    yield f"reset with seed {episode.seed}", player.state, timestep
    for t, actions in enumerate(episode.actions, 1):
        timestep = player.step(actions)
        yield f"seed {episode.seed}, step {t}", player.state, timestep


# --- of host environments -------------------------------------------------------------------------


def ends_for_good(env: HostEnvironment, episode: Episode) -> Iterator[Finding]:
    """A step after the end plays no further episode."""
    play(env, episode.seed)
    rng, timestep = np.random.default_rng(0), episode.timesteps[-1]
    going_on = False
    for t in range(1, env.spec.episode_limit + 1):
        try:
            timestep = env.step(random_actions(env.spec, rng, timestep.avail_actions))
        except Exception:  # there is nothing to step: as good an answer as any
            return
        if going_on and over(timestep):
            yield Finding(
                f"seed {episode.seed}, step {len(episode.actions)}",
                "nothing more after the end",
                f"another episode, which ended after {t} more; step must not reset",
            )
            return
        going_on = going_on or not over(timestep)


def restarts(env: HostEnvironment, episode: Episode) -> Iterator[Finding]:
    """A hundred resets, each followed by a step, let neither memory nor processes grow."""
    rng = np.random.default_rng(0)
    used = children = None
    for i in range(RESTARTS):
        if i == WARM_UP:
            used, children = machine.resident_bytes(), machine.child_processes()
        where = f"reset {i + 1}"
        timestep = _tried(where, env.reset, episode.seed + i)
        actions = random_actions(env.spec, rng, timestep.avail_actions)
        _tried(f"step after {where}", env.step, actions)
    now, processes = machine.resident_bytes(), machine.child_processes()
    since = f"resets {WARM_UP + 1} to {RESTARTS}"
    if used is not None and now is not None and now - used > GROWTH:
        yield Finding(since, f"at most {GROWTH >> 20} MiB more", f"{(now - used) >> 20} MiB more")
    if children is not None and processes is not None and processes > children:
        yield Finding(since, f"{children} child processes as before", f"{processes}")


# --- comparing ------------------------------------------------------------------------------------


def difference(a: PyTree, b: PyTree, tolerance: float = 0.0) -> str | None:
    """Where and how the first tree differs from the second; None if it does not."""
    a, b = jax.tree.map(_plain, a), jax.tree.map(_plain, b)
    if unlike := _kind_difference(a, b):
        return unlike
    for (path, x), y in zip(jax.tree.leaves_with_path(a), jax.tree.leaves(b), strict=True):
        unlike = _unlike(x, y, tolerance)
        if unlike.any():
            at = np.unravel_index(int(unlike.argmax()), unlike.shape) if unlike.ndim else ()
            place = f"{jax.tree_util.keystr(path)}{[int(i) for i in at] or ''}"
            return f"{place}: {x[at]!s} instead of {y[at]!s}"
    return None


def _kind_difference(a: PyTree, b: PyTree) -> str | None:
    """As `difference`, of structure, shapes and dtypes alone."""
    if jax.tree.structure(a) != jax.tree.structure(b):
        return f"{jax.tree.structure(a)} instead of {jax.tree.structure(b)}"
    for (path, x), y in zip(jax.tree.leaves_with_path(a), jax.tree.leaves(b), strict=True):
        if (x.dtype, x.shape) != (y.dtype, y.shape):
            place = jax.tree_util.keystr(path)
            return f"{place}: {x.dtype}{x.shape} instead of {y.dtype}{y.shape}"
    return None


def _unlike(x: np.ndarray, y: np.ndarray, tolerance: float) -> Bool[np.ndarray, "..."]:
    if tolerance and x.dtype.kind == "f":
        return ~np.isclose(x, y, rtol=tolerance, atol=tolerance, equal_nan=True)
    same = (x == y) | ((x != x) & (y != y))  # NaN where NaN was is no difference
    return np.asarray(~same)


def _plain(x: Any) -> np.ndarray:
    is_key = isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(x) if is_key else x)


BASIS: tuple[Check, ...] = (shapes, kinds)
OF_EPISODES: tuple[Check, ...] = (
    *BASIS,
    *(finite, rewards, beginnings, availability, flags, limits, last_looks, infos, bounds),
)
OF_JAX: tuple[Check, ...] = (repeats, carries, compiled, memories, stays_over)
OF_HOST: tuple[Check, ...] = (repeats, ends_for_good, restarts)
