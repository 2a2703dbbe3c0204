"""What `macpo check-env` finds: nothing in a sound environment, and the fault in broken ones."""

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

from macpo.errors import UsageError
from macpo.interop import check, promises
from macpo.types import Observation, TimeStep
from tests.support.host_environments import HostCounting
from tests.support.toys import Count, Counting


def wrong(env: Any, episodes: int = 3) -> dict[str, str]:
    """Titles of the checks that found something, and their first finding."""
    results = check.examine(env, episodes)
    return {result.title: str(result.findings[0]) for result in results if result.findings}


@pytest.mark.parametrize(("env", "n"), [(Counting(), 19), (HostCounting(), 17)])
def test_nothing_is_wrong_with_a_sound_environment(env: Any, n: int) -> None:
    assert wrong(env) == {}
    assert len(list(check.examine(env))) == n


def test_every_check_says_what_it_checks() -> None:
    checks = (
        *(promises.sizes, *promises.BASIC, *promises.OF_EPISODES),
        *(*promises.OF_JAX, *promises.OF_HOST),
    )
    titles = {check.title(one) for one in checks}
    assert len(titles) == len(set(checks))
    assert all(10 < len(title) < 90 for title in titles)


# --- what both kinds can get wrong ----------------------------------------------------------------


def changed(timestep: TimeStep, **fields: Any) -> TimeStep:
    """The time step with other fields, its observation's among them."""
    of_observation = {name: fields.pop(name) for name in Observation._fields if name in fields}
    observation = timestep.observation._replace(**of_observation)
    return timestep._replace(observation=observation, **fields)


class Faulty(HostCounting):
    """Shows something else in the second time step."""

    def __init__(self, **faults: Any) -> None:
        super().__init__()
        self.faults = faults

    def time_step(self, reward: float) -> TimeStep:
        timestep = super().time_step(reward)
        return changed(timestep, **self.faults) if self.t == 1 else timestep


NAN, YES = np.float32(np.nan), np.bool_(True)
NOBODY = np.array([[True, True, True], [False, False, False]])
FAULTS: list[tuple[dict[str, Any], Any, str]] = [
    (
        {"obs": np.zeros((2, 3), np.float32)},
        promises.shapes,
        "seed 0, step 1: expected obs of shape (2, 2), found (2, 3)",
    ),
    (
        {"reward": 1.0},
        promises.dtypes,
        "seed 0, step 1: expected reward of dtype float32, found float64",
    ),
    (
        {"state": np.zeros(1, np.int8)},
        promises.dtypes,
        "seed 0, step 1: expected state of dtype float32, found int8",
    ),
    (
        {"obs": np.array([[0, 0], [0, NAN]], np.float32)},
        promises.finite,
        "seed 0, step 1, agent 1: expected finite observations, found nan at 1",
    ),
    (
        {"state": np.array([np.inf], np.float32)},
        promises.finite,
        "seed 0, step 1: expected a finite state, found inf at 0",
    ),
    (
        {"info": {"clock": np.float32(np.inf)}},
        promises.finite,
        "seed 0, step 1: expected a finite info 'clock', found inf",
    ),
    ({"reward": NAN}, promises.rewards, "seed 0, step 1: expected a finite reward, found nan"),
    (
        {"avail_actions": NOBODY},
        promises.availability,
        "seed 0, step 1, agent 1: expected an available action, found none",
    ),
    (
        {"info": {}},
        promises.infos,
        "seed 0, step 1: expected info ['clock'] as at the first reset, found []",
    ),
    (
        {"info": {"clock": np.zeros(2)}},
        promises.infos,
        "seed 0, step 1: expected a number as info 'clock', found array([0., 0.])",
    ),
]


@pytest.mark.parametrize(("faults", "of", "finding"), FAULTS)
def test_a_fault_is_found_by_its_check_alone_and_located(
    faults: dict[str, Any], of: Any, finding: str
) -> None:
    assert wrong(Faulty(**faults)) == {check.title(of): finding}


@pytest.mark.parametrize("nothing", [None, NAN])
def test_a_number_that_is_not_known_is_no_fault(nothing: Any) -> None:
    assert wrong(Faulty(info={"clock": nothing})) == {}


class Silent(HostCounting):
    """Tells nothing, and says so in the shortest way."""

    def time_step(self, reward: float) -> TimeStep:
        return super().time_step(reward)._replace(info=None)


def test_no_info_at_all_is_no_fault() -> None:
    assert wrong(Silent()) == {}


class Undecided(HostCounting):
    """Ends in both ways at once."""

    def time_step(self, reward: float) -> TimeStep:
        timestep = super().time_step(reward)
        return timestep._replace(truncated=timestep.terminated | timestep.truncated)


def test_both_flags_at_once_are_found() -> None:
    (found,) = wrong(Undecided()).items()
    assert found[0] == check.title(promises.flags)
    assert found[1].endswith("expected one flag at most, found terminated and truncated")


class Rewarding(HostCounting):
    """Pays for nothing, and ends before it begins."""

    def reset(self, seed: int) -> TimeStep:
        return super().reset(seed)._replace(reward=np.float32(1), truncated=YES)


def test_a_first_time_step_that_pays_or_ends_is_found() -> None:
    findings = {r.title: r.findings for r in check.examine(Rewarding(), 1) if r.findings}
    assert [str(finding) for finding in findings[check.title(promises.first_time_steps)]] == [
        "reset with seed 0: expected reward 0, found 1.0",
        "reset with seed 0: expected no end, found truncated",
    ]


class Endless(HostCounting):
    """Forgets its limit."""

    def time_step(self, reward: float) -> TimeStep:
        no = np.bool_(False)
        return super().time_step(reward)._replace(terminated=no, truncated=no)


def test_an_episode_beyond_its_limit_is_found() -> None:
    assert wrong(Endless()) == {
        check.title(
            promises.limits
        ): "seed 0, step 4: expected an end, as the limit is 4, found none"
    }


class Restarting(HostCounting):
    """Resets by itself, and shows the next episode's start as this one's end."""

    def step(self, actions: np.ndarray) -> TimeStep:
        timestep = super().step(actions)
        if not (timestep.terminated or timestep.truncated):
            return timestep
        first = self.reset(self.goal)
        goal = np.array([self.goal], np.float32)
        observation = timestep.observation._replace(obs=first.observation.obs, state=goal)
        return timestep._replace(observation=observation)

    def reset(self, seed: int) -> TimeStep:
        super().reset(seed)
        self.goal = 3
        return self.time_step(0.0)


def test_a_final_observation_that_is_the_next_first_one_is_found() -> None:
    found = wrong(Restarting())
    assert found[check.title(promises.final_observations)] == (
        "seed 0, step 3: expected how the episode ended, found what reset shows; "
        "step must not reset"
    )
    assert "another episode, which ended after 3 more" in found[check.title(promises.ends_for_good)]


class Blinking(HostCounting):
    """Shows whether the time is even, so that it looks as at the start again and again."""

    def time_step(self, reward: float) -> TimeStep:
        self.goal = 4
        timestep = super().time_step(reward)
        obs = np.full((2, 2), self.t % 2, np.float32)
        return timestep._replace(observation=timestep.observation._replace(obs=obs))


def test_an_end_that_looks_like_the_start_as_other_steps_do_is_no_finding() -> None:
    assert wrong(Blinking()) == {}


def test_a_return_out_of_bounds_is_found() -> None:
    env = HostCounting()
    env.spec = dataclasses.replace(env.spec, return_bounds=(-1.0, 0.0))
    found = wrong(env, episodes=1)[check.title(promises.bounds)]
    assert found.startswith("seed 0: expected a return in [-1.0, 0.0], found ")


@pytest.mark.parametrize(
    ("name", "size", "finding"),
    [
        ("n_agents", 0, "spec.n_agents: expected at least 1, found 0"),
        ("n_actions", 40_000, "spec.n_actions: expected at most 32768, found 40000"),
    ],
)
def test_a_spec_that_makes_no_sense_is_found_before_anything_is_played(
    name: str, size: int, finding: str
) -> None:
    env = HostCounting()
    env.spec = dataclasses.replace(env.spec, **{name: size})
    assert wrong(env) == {check.title(promises.sizes): finding}
    assert len(list(check.examine(env))) == 1


class Forgetful(HostCounting):
    """Ignores its seed."""

    games = 0

    def reset(self, seed: int) -> TimeStep:
        self.games += 1
        return super().reset(self.games)


def test_a_seed_that_is_ignored_is_found() -> None:
    found = wrong(Forgetful(), episodes=1)[check.title(promises.repeats)]
    assert found.startswith("seed 0, step 0: expected what this seed gave before, found .state[0]:")


class Noisy(HostCounting):
    """Writes random numbers into one buffer and returns it."""

    view = np.zeros((2, 2), np.float32)

    def time_step(self, reward: float) -> TimeStep:
        self.view[:] = np.random.default_rng().random((2, 2))
        return changed(super().time_step(reward), obs=self.view)


def test_random_numbers_in_one_buffer_are_found_and_so_is_the_buffer() -> None:
    found = wrong(Noisy())
    assert set(found) == {check.title(promises.repeats), check.title(promises.keeps_arrays)}
    assert found[check.title(promises.repeats)].startswith("seed 0, step 0: expected what this")
    assert found[check.title(promises.keeps_arrays)].startswith(
        "seed 0, step 0: expected arrays of its own, "
    )


class Constant(HostCounting):
    """Returns the same arrays again and again, and never changes them."""

    avail = np.array([[True, True, False], [True, True, True]])

    def time_step(self, reward: float) -> TimeStep:
        return changed(super().time_step(reward), avail_actions=self.avail)


def test_an_array_that_is_shared_and_never_written_to_is_no_fault() -> None:
    assert wrong(Constant()) == {}


def test_what_random_play_earned_is_told_for_a_person_to_judge() -> None:
    (result,) = [r for r in check.examine(HostCounting()) if r.title == check.PLAYABLE]
    assert result.notes[0].startswith("3 episodes of random actions: return ")
    assert not any(r.notes for r in check.examine(HostCounting()) if r.title != check.PLAYABLE)


class Assuming(HostCounting):
    """Has been read in a certain way."""

    assumptions = ("step returns what it likes",)


def test_how_an_adapter_reads_an_environment_is_told_with_it() -> None:
    (result,) = [r for r in check.examine(Assuming()) if r.title == check.PLAYABLE]
    assert result.notes[0] == "step returns what it likes"


class Missing(HostCounting):
    """Has no game."""

    def check_ready(self) -> None:
        raise UsageError("the game is missing.")


def test_what_is_missing_is_no_finding_but_said_before_anything_is_checked() -> None:
    with pytest.raises(UsageError, match=r"^the game is missing\.$"):
        next(check.examine(Missing()))


class Crashing(HostCounting):
    """Fails in its second step."""

    def step(self, actions: np.ndarray) -> TimeStep:
        if self.t == 1:
            raise KeyError("unit 7")
        return super().step(actions)


def test_an_error_is_reported_with_its_location() -> None:
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
    found = wrong(Hoarding(), episodes=1)[check.title(promises.restarts)]
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
    found = wrong(env, episodes=1)[check.title(promises.restarts)]
    env.close()
    assert found.startswith("resets 21 to 100: expected ") and "child processes as before" in found


# --- JAX ------------------------------------------------------------------------------------------


class Eager(Counting):
    """Pays more where it is not compiled."""

    def step(self, key: Any, state: Any, actions: Any) -> Any:
        after, timestep = super().step(key, state, actions)
        bonus = 0 if isinstance(state.t, jax.core.Tracer) else 1
        return after, timestep._replace(reward=timestep.reward + bonus)


class Untraceable(Counting):
    """Cannot be compiled."""

    def step(self, key: Any, state: Any, actions: Any) -> Any:
        if actions[0] > 0:
            return super().step(key, state, actions)
        return super().step(key, state, actions + 1)


class Dazed(Counting):
    """Observes another state than its time steps show."""

    def step(self, key: Any, state: Any, actions: Any) -> Any:
        after, timestep = super().step(key, state, actions)
        observation = timestep.observation
        shifted = observation._replace(obs=observation.obs + 1)
        return after, timestep._replace(observation=shifted)


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
        after, timestep = super().step(key, state, actions)
        return after._replace(t=after.t.astype(jnp.float32)), timestep


class Choice(NamedTuple):
    env: Any
    of: Callable[..., Any]
    finding: str


BROKEN = [
    Choice(Eager(), promises.compiled, "without jit: expected what the compiled function gives"),
    Choice(
        Widening(),
        promises.state_structure,
        "expected the kind that reset returns, found .t: float32()",
    ),
    Choice(
        Dazed(), promises.encodings, "expected observe(state) to equal the time step, found .obs"
    ),
    Choice(
        Amnesiac(), promises.encodings, "expected decode(encode(state)) to equal observe(state)"
    ),
    Choice(Reviving(), promises.stays_over, "expected no new episode after the end at "),
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: type(broken.env).__name__)
def test_a_broken_jax_environment_is_found_out_by_its_check_alone(broken: Choice) -> None:
    ((title, finding),) = wrong(broken.env).items()
    assert title == check.title(broken.of)
    assert broken.finding in finding


def test_an_environment_that_cannot_be_compiled_is_reported() -> None:
    found = wrong(Untraceable())["It can be played"]
    assert found.startswith("seed 0, step 1: expected a time step, found TracerBoolConversionError")


class Crowded(Counting):
    """Pays more where it is one of many."""

    def step(self, key: Any, state: Any, actions: Any) -> Any:
        after, timestep = super().step(key, state, actions)
        batched = type(state.goal).__name__ == "BatchTracer"
        return after, timestep._replace(reward=timestep.reward + batched)


def test_a_batch_that_differs_from_its_rows_is_found() -> None:
    found = wrong(Crowded())[check.title(promises.batched)]
    assert found.startswith("under vmap, row 0: expected what it gives alone, found [1][1].reward:")
