"""The promises of an environment: each is a check that yields a finding where it is broken.

The first sentence of a check's docstring says what holds if it yields nothing. `OF_EPISODES` take a
spec and episodes, `OF_JAX` and `OF_HOST` the environment itself and one of its episodes.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int
from numpy.typing import DTypeLike

from macpo import machine
from macpo.envs.host import HostEnvironment
from macpo.interop.differences import difference, structure_difference
from macpo.interop.random_play import Episode, call, is_over, play, random_actions
from macpo.interop.to_host import OnHost
from macpo.types import MAX_ACTIONS, AnyArray, Observation, PyTree, Spec, TimeStep

RESTARTS, WARM_UP = 100, 20
MAX_GROWTH = 32 * 2**20  # bytes; allocators keep a few megabytes of their own


class Finding(NamedTuple):
    """One promise broken in one place."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def broken(where: str, expected: str, found: str) -> Finding:
    """The finding that something else was found than what was expected."""
    return Finding(where, f"expected {expected}, found {found}")


Promise = Callable[..., Iterator[Finding]]


# --- of a spec ------------------------------------------------------------------------------------


def sizes(spec: Spec) -> Iterator[Finding]:
    """The spec's sizes are valid."""
    for name in ("n_agents", "n_actions", "obs_size", "state_size", "episode_limit"):
        if getattr(spec, name) < 1:
            yield broken(f"spec.{name}", "at least 1", str(getattr(spec, name)))
    if spec.n_actions > MAX_ACTIONS:
        yield broken("spec.n_actions", f"at most {MAX_ACTIONS}", str(spec.n_actions))


# --- of episodes ----------------------------------------------------------------------------------


def shapes(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """Shapes equal the spec."""
    expected: dict[str, tuple[int, ...]] = {
        "obs": (spec.n_agents, spec.obs_size),
        "state": (spec.state_size,),
        "avail_actions": (spec.n_agents, spec.n_actions),
        "reward": (),
        "terminated": (),
        "truncated": (),
    }
    for where, timestep in _located(episodes):
        for name, shape in expected.items():
            found = np.shape(_array(timestep, name))
            if found != shape:
                yield broken(where, f"{name} of shape {shape}", str(found))


def dtypes(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """Flags are booleans, rewards float32, and other dtypes are the same in reset and step."""
    first = episodes[0].timesteps[0]
    expected: dict[str, DTypeLike] = dict.fromkeys(
        ("avail_actions", "terminated", "truncated"), bool
    )
    expected |= {"reward": np.float32}
    expected |= {name: np.asarray(_array(first, name)).dtype for name in ("obs", "state")}
    for where, timestep in _located(episodes):
        for name, dtype in expected.items():
            found = np.asarray(_array(timestep, name)).dtype
            if found != dtype or found.kind not in "biuf":
                yield broken(where, f"{name} of dtype {np.dtype(dtype)}", str(found))


def finite(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """Observations, states and infos are finite, and infos may be unknown."""
    for where, timestep in _located(episodes):
        for i, row in enumerate(timestep.observation.obs):
            if not np.isfinite(row).all():
                yield broken(f"{where}, agent {i}", "finite observations", _first_not_finite(row))
        state = timestep.observation.state
        if not np.isfinite(state).all():
            yield broken(where, "a finite state", _first_not_finite(state))
        for name, value in _info(timestep).items():
            if value is not None and np.isinf(value).any():
                yield broken(where, f"a finite info {name!r}", str(value))


def rewards(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """Every reward is a finite number."""
    for where, timestep in _located(episodes):
        if not np.isfinite(timestep.reward):
            yield broken(where, "a finite reward", str(timestep.reward))


def first_time_steps(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """The first time step has reward 0 and does not end the episode."""
    for episode in episodes:
        first = episode.timesteps[0]
        if first.reward != 0:
            yield broken(f"reset with seed {episode.seed}", "reward 0", str(first.reward))
        if is_over(first):
            yield broken(f"reset with seed {episode.seed}", "no end", _ending(first))


def availability(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """Every agent always has an available action."""
    for where, timestep in _located(episodes):
        for i in np.flatnonzero(~timestep.observation.avail_actions.any(-1)):
            yield broken(f"{where}, agent {i}", "an available action", "none")


def flags(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """An episode is never both terminated and truncated."""
    for where, timestep in _located(episodes):
        if timestep.terminated and timestep.truncated:
            yield broken(where, "one flag at most", "terminated and truncated")


def limits(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """Episodes end within the episode limit."""
    for episode in episodes:
        if not is_over(episode.timesteps[-1]):
            where = f"seed {episode.seed}, step {len(episode.actions)}"
            yield broken(where, f"an end, as the limit is {spec.episode_limit}", "none")


def final_observations(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """The final observation is not replaced by the first one."""
    if all(_looks_reset(episode) for episode in episodes):  # a single case may be chance
        for episode in episodes:
            where = f"seed {episode.seed}, step {len(episode.actions)}"
            yield broken(where, "how the episode ended", "what reset shows; step must not reset")


def infos(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """Info has the same names at every step, each with one number or None."""
    names = sorted(_info(episodes[0].timesteps[0]))
    for where, timestep in _located(episodes):
        info = _info(timestep)
        if sorted(info) != names:
            yield broken(where, f"info {names} as at the first reset", str(sorted(info)))
        for name, value in info.items():
            if value is None:
                continue
            if np.shape(value) != () or np.asarray(value).dtype.kind not in "biuf":
                yield broken(where, f"a number as info {name!r}", repr(value))


def bounds(spec: Spec, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """Returns stay within the bounds of the spec."""
    if spec.return_bounds is not None:
        low, high = spec.return_bounds
        for episode in episodes:
            total = sum(float(timestep.reward) for timestep in episode.timesteps)
            if not low - 1e-4 <= total <= high + 1e-4:
                yield broken(f"seed {episode.seed}", f"a return in [{low}, {high}]", f"{total:g}")


def _located(episodes: Sequence[Episode]) -> Iterator[tuple[str, TimeStep]]:
    for episode in episodes:
        yield from episode.located()


def _array(timestep: TimeStep, name: str) -> AnyArray:
    """A field of the time step or of its observation, by name."""
    return getattr(timestep.observation if name in Observation._fields else timestep, name)


def _info(timestep: TimeStep) -> Mapping[str, AnyArray | None]:
    """The time step's info, whose numbers may be None; nothing if it is None itself."""
    return timestep.info or {}


def _looks_reset(episode: Episode) -> bool:
    """Whether the last observation equals the first, and none between them does."""
    if len(episode.timesteps) < 3 or not is_over(episode.timesteps[-1]):
        return False
    first, *between, last = (timestep.observation for timestep in episode.timesteps)
    return not difference(last, first) and all(difference(other, first) for other in between)


def _first_not_finite(row: AnyArray) -> str:
    (index, *_) = np.flatnonzero(~np.isfinite(row))
    return f"{row[index]} at {index}"


def _ending(timestep: TimeStep) -> str:
    return "terminated" if timestep.terminated else "truncated"


# --- of any environment ---------------------------------------------------------------------------


def repeats(env: HostEnvironment, episode: Episode) -> Iterator[Finding]:
    """The same seed and actions give the same episode."""
    again = play(env, episode.seed)
    for (where, a), b in zip(episode.located(), again.timesteps, strict=False):
        if unlike := difference(b.observation, a.observation) or difference(b, a):
            yield broken(where, "what this seed gave before", unlike)
            return
    if len(again.timesteps) != len(episode.timesteps):
        yield broken(
            f"seed {episode.seed}", f"{len(episode.actions)} steps", f"{len(again.actions)}"
        )


# --- of JAX environments --------------------------------------------------------------------------


def state_structure(player: OnHost, episode: Episode) -> Iterator[Finding]:
    """Reset and step return states of the same structure, shapes and dtypes."""

    def reset_and_step(key: Array) -> tuple[PyTree, PyTree]:
        state, first = player.env.reset(key)
        after, _ = player.env.step(key, state, _first_available(first))
        return state, after

    first, after = jax.eval_shape(reset_and_step, jax.random.key(0))
    if unlike := structure_difference(after, first):
        yield broken("the state after step", "the kind that reset returns", unlike)


def compiled(player: OnHost, episode: Episode, tolerance: float = 1e-4) -> Iterator[Finding]:
    """Reset and step give the same results with and without jit."""
    key = jax.random.key(episode.seed)
    unlike = difference(
        _reset_and_step(player.env.reset, player.env.step, key), _alone(player, key), tolerance
    )
    if unlike:
        yield broken("without jit", "what the compiled function gives", unlike)


def batched(player: OnHost, episode: Episode, tolerance: float = 1e-4) -> Iterator[Finding]:
    """Reset and step give the same results with and without vmap."""
    keys = jax.random.split(jax.random.key(episode.seed), 3)
    of_one = functools.partial(_reset_and_step, player.env.reset, player.env.step)
    batch = jax.device_get(jax.jit(jax.vmap(of_one))(keys))
    for i, key in enumerate(keys):
        row = jax.tree.map(lambda x, i=i: x[i], batch)
        if unlike := difference(row, _alone(player, key), tolerance):
            yield broken(f"under vmap, row {i}", "what it gives alone", unlike)


def _reset_and_step(
    reset: Callable[..., PyTree], step: Callable[..., PyTree], key: Array
) -> PyTree:
    state, first = reset(key)
    return (state, first), step(key, state, _first_available(first))


def _alone(player: OnHost, key: Array) -> PyTree:
    """What the player's programs give, which are compiled already."""
    return _reset_and_step(player.compiled_reset, player.compiled_step, key)


def encodings(player: OnHost, episode: Episode) -> Iterator[Finding]:
    """Time steps contain observe(state), and decode(encode(state)) restores it exactly."""
    env = player.env
    observe = jax.jit(env.observe)
    restore = jax.jit(lambda state: env.decode(env.encode(state)))
    for where, state, timestep in _states(player, episode):
        if unlike := difference(observe(state), timestep.observation):
            yield broken(where, "observe(state) to equal the time step", unlike)
        if unlike := difference(restore(state), timestep.observation):
            yield broken(where, "decode(encode(state)) to equal observe(state)", unlike)


def stays_over(player: OnHost, episode: Episode) -> Iterator[Finding]:
    """A step after the end does not begin a new episode."""
    timestep, rng = player.reset(episode.seed), np.random.default_rng(episode.seed)
    ended = None
    for t in range(1, player.spec.episode_limit + 2):
        timestep = player.step(random_actions(player.spec, rng, timestep.observation.avail_actions))
        if ended is not None and not is_over(timestep):
            yield broken(
                f"seed {episode.seed}, step {t}", f"no new episode after the end at {ended}", "one"
            )
            return
        if ended is None and is_over(timestep):
            ended = t


def _first_available(timestep: TimeStep) -> Int[Array, " N"]:
    return jnp.argmax(timestep.observation.avail_actions, -1).astype(jnp.int32)


def _states(player: OnHost, episode: Episode) -> Iterator[tuple[str, PyTree, TimeStep]]:
    """Locations, states and time steps of the episode when played again."""
    timestep = player.reset(episode.seed)
    yield f"reset with seed {episode.seed}", player.state, timestep
    for t, actions in enumerate(episode.actions, 1):
        timestep = player.step(actions)
        yield f"seed {episode.seed}, step {t}", player.state, timestep


# --- of host environments -------------------------------------------------------------------------


def keeps_arrays(env: HostEnvironment, episode: Episode) -> Iterator[Finding]:
    """The arrays of a time step are not written to later."""
    for (where, kept), now in zip(episode.located(), episode.returned, strict=True):
        if unlike := difference(now, kept):
            yield broken(where, "arrays of its own, as return np.array(…) gives", unlike)


def ends_for_good(env: HostEnvironment, episode: Episode) -> Iterator[Finding]:
    """Steps after the end do not play another episode."""
    play(env, episode.seed)
    rng, timestep = np.random.default_rng(0), episode.timesteps[-1]
    running = False
    for t in range(1, env.spec.episode_limit + 1):
        try:
            timestep = env.step(random_actions(env.spec, rng, timestep.observation.avail_actions))
        except Exception:  # refusing to step is fine, too
            return
        if running and is_over(timestep):
            yield broken(
                f"seed {episode.seed}, step {len(episode.actions)}",
                "nothing more after the end",
                f"another episode, which ended after {t} more; step must not reset",
            )
            return
        running = running or not is_over(timestep)


def restarts(env: HostEnvironment, episode: Episode) -> Iterator[Finding]:
    """A hundred resets, each followed by a step, leak neither memory nor processes."""
    rng = np.random.default_rng(0)
    used = children = None
    for i in range(RESTARTS):
        if i == WARM_UP:
            used, children = machine.resident_bytes(), machine.child_processes()
        where = f"reset {i + 1}"
        timestep = call(where, env.reset, episode.seed + i)
        actions = random_actions(env.spec, rng, timestep.observation.avail_actions)
        call(f"step after {where}", env.step, actions)
    now, processes = machine.resident_bytes(), machine.child_processes()
    since = f"resets {WARM_UP + 1} to {RESTARTS}"
    if used is not None and now is not None and now - used > MAX_GROWTH:
        grown = (now - used) >> 20
        yield broken(since, f"at most {MAX_GROWTH >> 20} MiB more", f"{grown} MiB more")
    if children is not None and processes is not None and processes > children:
        yield broken(since, f"{children} child processes as before", f"{processes}")


BASIC: tuple[Promise, ...] = (shapes, dtypes)
"""Promises about episodes that all others rely on."""
OF_EPISODES: tuple[Promise, ...] = (
    *(finite, rewards, first_time_steps, availability, flags, limits),
    *(final_observations, infos, bounds),
)
OF_JAX: tuple[Promise, ...] = (
    *(repeats, state_structure, compiled, batched, encodings, stays_over),
)
OF_HOST: tuple[Promise, ...] = (repeats, keeps_arrays, ends_for_good, restarts)
