"""What `macpo check-env` finds: a sound environment is praised, and every broken one found out."""

import dataclasses
import mmap
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.interop import check
from macpo.types import Observation, TimeStep
from tests.support.host_environments import HostCounting
from tests.support.toys import Count, Counting


def wrong(env: Any, episodes: int = 3) -> dict[str, str]:
    """Titles of the checks that found something, and their first finding."""
    results = check.examine(env, episodes)
    return {result.title: str(result.findings[0]) for result in results if result.findings}


@pytest.mark.parametrize(("env", "n"), [(Counting(), 17), (HostCounting(), 15)])
def test_nothing_is_wrong_with_a_sound_environment(env: Any, n: int) -> None:
    assert wrong(env) == {}
    assert len(list(check.examine(env))) == n


def test_every_check_says_what_it_checks() -> None:
    checks = (check.sizes, *check.OF_EPISODES, *check.OF_JAX, *check.OF_HOST)
    titles = {check.title(one) for one in checks}
    assert len(titles) == len(set(checks))
    assert all(10 < len(title) < 90 for title in titles)


# --- what both kinds can get wrong ----------------------------------------------------------------


class Faulty(HostCounting):
    """Shows something else in the second time step."""

    def __init__(self, **faults: Any) -> None:
        super().__init__()
        self.faults = faults

    def seen(self, reward: float) -> TimeStep:
        seen = super().seen(reward)
        return seen._replace(**self.faults) if self.t == 1 else seen


NAN, YES = np.float32(np.nan), np.bool_(True)
NOBODY = np.array([[True, True, True], [False, False, False]])
FAULTS: list[tuple[dict[str, Any], Any, str]] = [
    (
        {"obs": np.zeros((2, 3), np.float32)},
        check.shapes,
        "seed 0, step 1: expected obs of shape (2, 2), found (2, 3)",
    ),
    (
        {"reward": 1.0},
        check.kinds,
        "seed 0, step 1: expected reward of dtype float32, found float64",
    ),
    (
        {"state": np.zeros(1, np.int8)},
        check.kinds,
        "seed 0, step 1: expected state of dtype float32, found int8",
    ),
    (
        {"obs": np.array([[0, 0], [0, NAN]], np.float32)},
        check.finite,
        "seed 0, step 1, agent 1: expected finite observations, found nan at 1",
    ),
    (
        {"state": np.array([np.inf], np.float32)},
        check.finite,
        "seed 0, step 1: expected a finite state, found inf at 0",
    ),
    (
        {"info": {"clock": NAN}},
        check.finite,
        "seed 0, step 1: expected a finite info 'clock', found nan",
    ),
    ({"reward": NAN}, check.rewards, "seed 0, step 1: expected a finite reward, found nan"),
    (
        {"avail_actions": NOBODY},
        check.availability,
        "seed 0, step 1, agent 1: expected an available action, found none",
    ),
    (
        {"info": {}},
        check.infos,
        "seed 0, step 1: expected info ['clock'] as at the first reset, found []",
    ),
    (
        {"info": {"clock": np.zeros(2)}},
        check.infos,
        "seed 0, step 1: expected a number as info 'clock', found array([0., 0.])",
    ),
]


@pytest.mark.parametrize(("faults", "of", "finding"), FAULTS)
def test_a_fault_is_found_by_its_check_alone_and_told_with_its_place(
    faults: dict[str, Any], of: Any, finding: str
) -> None:
    assert wrong(Faulty(**faults)) == {check.title(of): finding}


class Undecided(HostCounting):
    """Ends in both ways at once."""

    def seen(self, reward: float) -> TimeStep:
        seen = super().seen(reward)
        return seen._replace(truncated=seen.terminated | seen.truncated)


def test_both_flags_at_once_are_found() -> None:
    (found,) = wrong(Undecided()).items()
    assert found[0] == check.title(check.flags)
    assert found[1].endswith("expected one flag at most, found terminated and truncated")


class Rewarding(HostCounting):
    """Pays for nothing, and ends before it begins."""

    def reset(self, seed: int) -> TimeStep:
        return super().reset(seed)._replace(reward=np.float32(1), truncated=YES)


def test_a_first_time_step_that_pays_or_ends_is_found() -> None:
    findings = {r.title: r.findings for r in check.examine(Rewarding(), 1) if r.findings}
    assert [str(finding) for finding in findings[check.title(check.beginnings)]] == [
        "reset with seed 0: expected reward 0, found 1.0",
        "reset with seed 0: expected no end, found truncated",
    ]


class Endless(HostCounting):
    """Forgets its limit."""

    def seen(self, reward: float) -> TimeStep:
        no = np.bool_(False)
        return super().seen(reward)._replace(terminated=no, truncated=no)


def test_an_episode_beyond_its_limit_is_found() -> None:
    assert wrong(Endless()) == {
        check.title(check.limits): "seed 0, step 4: expected an end, as the limit is 4, found none"
    }


class Restarting(HostCounting):
    """Resets by itself, and shows the next episode's start as this one's end."""

    def step(self, actions: np.ndarray) -> TimeStep:
        seen = super().step(actions)
        if not (seen.terminated or seen.truncated):
            return seen
        first = self.reset(self.goal)
        goal = np.array([self.goal], np.float32)
        return seen._replace(obs=first.obs, state=goal)

    def reset(self, seed: int) -> TimeStep:
        super().reset(seed)
        self.goal = 3
        return self.seen(0.0)


def test_a_final_observation_that_is_the_next_first_one_is_found() -> None:
    found = wrong(Restarting())
    assert found[check.title(check.last_looks)] == (
        "seed 0, step 3: expected how the episode ended, found what reset shows; "
        "step must not reset"
    )
    assert "another episode, which ended after 3 more" in found[check.title(check.ends_for_good)]


class Blinking(HostCounting):
    """Shows whether the time is even, so that it looks as at the start again and again."""

    def seen(self, reward: float) -> TimeStep:
        self.goal = 4
        return super().seen(reward)._replace(obs=np.full((2, 2), self.t % 2, np.float32))


def test_an_end_that_looks_like_the_start_as_other_steps_do_is_no_finding() -> None:
    assert wrong(Blinking()) == {}


def test_a_return_out_of_bounds_is_found() -> None:
    env = HostCounting()
    env.spec = dataclasses.replace(env.spec, return_bounds=(-1.0, 0.0))
    found = wrong(env, episodes=1)[check.title(check.bounds)]
    assert found.startswith("seed 0: expected a return in [-1.0, 0.0], found ")


@pytest.mark.parametrize(
    ("name", "size", "finding"),
    [
        ("n_agents", 0, "spec.n_agents: expected at least 1, found 0"),
        ("n_actions", 128, "spec.n_actions: expected at most 127, found 128"),
    ],
)
def test_a_spec_that_makes_no_sense_is_found_before_anything_is_played(
    name: str, size: int, finding: str
) -> None:
    env = HostCounting()
    env.spec = dataclasses.replace(env.spec, **{name: size})
    assert wrong(env) == {check.title(check.sizes): finding}
    assert len(list(check.examine(env))) == 1


class Forgetful(HostCounting):
    """Ignores its seed."""

    games = 0

    def reset(self, seed: int) -> TimeStep:
        self.games += 1
        return super().reset(self.games)


def test_a_seed_that_is_ignored_is_found() -> None:
    found = wrong(Forgetful(), episodes=1)[check.title(check.repeats)]
    assert found.startswith("seed 0, step 0: expected what this seed gave before, found .state[0]:")


class Crashing(HostCounting):
    """Fails in its second step."""

    def step(self, actions: np.ndarray) -> TimeStep:
        if self.t == 1:
            raise KeyError("unit 7")
        return super().step(actions)


def test_an_error_is_told_with_its_place() -> None:
    found = wrong(Crashing())["It can be played"]
    assert found.startswith("seed 0, step 2: expected a time step, found KeyError: 'unit 7' (")


# --- plain Python ---------------------------------------------------------------------------------


class Hoarding(HostCounting):
    """Keeps a mebibyte of every episode, which no freed memory of this process can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[mmap.mmap] = []

    def reset(self, seed: int) -> TimeStep:
        self.kept.append(mmap.mmap(-1, 2**20))
        self.kept[-1].write(b"x" * 2**20)
        return super().reset(seed)


@pytest.mark.skipif(sys.platform != "linux", reason="memory and processes are counted on Linux")
def test_memory_that_grows_with_every_reset_is_found() -> None:
    found = wrong(Hoarding(), episodes=1)[check.title(check.restarts)]
    assert found.startswith("resets 21 to 100: expected at most 32 MiB more, found ")


class Spawning(HostCounting):
    """Starts a process when the hundred resets are nearly over, and never ends it."""

    resets = 0
    child: Any = None

    def reset(self, seed: int) -> TimeStep:
        self.resets += 1
        if self.resets == 90:
            self.child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        return super().reset(seed)

    def close(self) -> None:
        self.child.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="memory and processes are counted on Linux")
def test_processes_that_are_left_behind_are_found() -> None:
    env = Spawning()
    found = wrong(env, episodes=1)[check.title(check.restarts)]
    env.close()
    assert found.startswith("resets 21 to 100: expected ") and "child processes as before" in found


# --- JAX ------------------------------------------------------------------------------------------


class Eager(Counting):
    """Pays more where it is not compiled."""

    def step(self, key: Any, state: Any, actions: Any) -> Any:
        after, seen = super().step(key, state, actions)
        bonus = 0 if isinstance(state.t, jax.core.Tracer) else 1
        return after, seen._replace(reward=seen.reward + bonus)


class Untraceable(Counting):
    """Cannot be compiled."""

    def step(self, key: Any, state: Any, actions: Any) -> Any:
        if actions[0] > 0:
            return super().step(key, state, actions)
        return super().step(key, state, actions + 1)


class Dazed(Counting):
    """Observes another state than its time steps show."""

    def step(self, key: Any, state: Any, actions: Any) -> Any:
        after, seen = super().step(key, state, actions)
        return after, seen._replace(obs=seen.obs + 1)


class Amnesiac(Counting):
    """Remembers a wrong time."""

    def decode(self, encoded: Any) -> Observation:
        t, goal = encoded
        return super().decode((t + 2, goal))


class Reviving(Counting):
    """Goes on from the start after its end."""

    def step(self, key: Any, state: Any, actions: Any) -> Any:
        over = (state.t >= state.goal) | (state.t >= self.spec.episode_limit)
        again = Count(jnp.where(over, 0, state.t), state.goal)
        return super().step(key, again, actions)


class Widening(Counting):
    """Counts in another type after the first step."""

    def step(self, key: Any, state: Any, actions: Any) -> Any:
        after, seen = super().step(key, state, actions)
        return after._replace(t=after.t.astype(jnp.float32)), seen


class Choice(NamedTuple):
    env: Any
    of: Callable[..., Any]
    finding: str


BROKEN = [
    Choice(Eager(), check.compiled, "without jit: expected what the compiled function gives"),
    Choice(Widening(), check.carries, "expected the kind that reset returns, found .t: float32()"),
    Choice(Dazed(), check.memories, "expected observe(state) to equal the time step, found .obs"),
    Choice(Amnesiac(), check.memories, "expected decode(encode(state)) to equal observe(state)"),
    Choice(Reviving(), check.stays_over, "expected no new episode after the end at "),
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: type(broken.env).__name__)
def test_a_broken_jax_environment_is_found_out_by_its_check_alone(broken: Choice) -> None:
    ((title, finding),) = wrong(broken.env).items()
    assert title == check.title(broken.of)
    assert broken.finding in finding


def test_an_environment_that_cannot_be_compiled_is_told() -> None:
    found = wrong(Untraceable())["It can be played"]
    assert found.startswith("seed 0, step 1: expected a time step, found TracerBoolConversionError")


class Crowded(Counting):
    """Pays more where it is one of many."""

    def step(self, key: Any, state: Any, actions: Any) -> Any:
        after, seen = super().step(key, state, actions)
        batched = type(state.goal).__name__ == "BatchTracer"
        return after, seen._replace(reward=seen.reward + batched)


def test_a_batch_that_differs_from_its_rows_is_found() -> None:
    found = wrong(Crowded())[check.title(check.compiled)]
    assert found.startswith("under vmap, row 0: expected what it gives alone, found [1][1].reward:")


# --- comparing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "tolerance", "said"),
    [
        ({"x": np.ones(2)}, {"x": np.ones(2)}, 0.0, None),
        ({"x": np.array([1, 2])}, {"x": np.array([1, 3])}, 0.0, "['x'][1]: 2 instead of 3"),
        (np.float32(1), np.float32(1.00001), 1e-4, None),
        (np.float32(1), np.float32(1.1), 1e-4, ": 1.0 instead of 1.1"),
        (np.zeros(2), np.zeros(3), 0.0, ": float64(2,) instead of float64(3,)"),
        (np.float32(np.nan), np.float32(np.nan), 0.0, None),
    ],
)
def test_the_first_difference_is_named(a: Any, b: Any, tolerance: float, said: str | None) -> None:
    assert check.difference(a, b, tolerance) == said


def test_another_structure_is_a_difference() -> None:
    assert "instead of" in (check.difference({"a": 1}, {"b": 1}) or "")


def test_random_keys_are_compared_by_their_data() -> None:
    key = jax.random.key
    assert check.difference(key(1), key(1)) is None
    assert check.difference(key(1), key(2)) == "[1]: 1 instead of 2"
