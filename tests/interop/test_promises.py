"""Each promise on its own; `test_check` shows that a fault is found by its promise alone."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from macpo.interop import promises
from macpo.interop.promises import Finding, broken
from macpo.interop.random_play import Episode, PlayError, play
from macpo.types import TimeStep
from tests.support.host_environments import HostCounting

ENV = HostCounting()
SPEC = ENV.spec
EPISODE = play(ENV, 3)


def found(promise: Any, *given: Any) -> list[str]:
    return [str(finding) for finding in promise(*given)]


def test_a_finding_is_a_place_and_what_is_wrong_there() -> None:
    assert str(Finding("seed 0, step 1", "the map is missing.")) == (
        "seed 0, step 1: the map is missing."
    )
    assert str(broken("seed 0", "a reward", "none")) == "seed 0: expected a reward, found none"


@pytest.mark.parametrize(
    "name", ["n_agents", "n_actions", "obs_size", "state_size", "episode_limit"]
)
def test_every_size_must_be_at_least_one(name: str) -> None:
    spec = dataclasses.replace(SPEC, **{name: 0})
    assert found(promises.sizes, spec) == [f"spec.{name}: expected at least 1, found 0"]


@pytest.mark.parametrize(
    "promise",
    [*promises.BASIC, *promises.OF_EPISODES],
    ids=lambda promise: promise.__name__,
)
def test_a_sound_episode_keeps_every_promise(promise: Any) -> None:
    assert found(promise, SPEC, [EPISODE]) == []


def edited(t: int, **fields: Any) -> Episode:
    """The sound episode with another time step t."""
    timesteps = list(EPISODE.timesteps)
    timesteps[t] = timesteps[t]._replace(**fields)
    return EPISODE._replace(timesteps=tuple(timesteps))


def test_every_fault_is_found_and_not_the_first_alone() -> None:
    nan = np.float32(np.nan)
    once = edited(1, reward=nan)
    twice = once._replace(timesteps=(once.timesteps[0], *[once.timesteps[1]] * 2))
    assert found(promises.rewards, SPEC, [once, twice]) == [
        "seed 3, step 1: expected a finite reward, found nan",
        "seed 3, step 1: expected a finite reward, found nan",
        "seed 3, step 2: expected a finite reward, found nan",
    ]


@pytest.mark.parametrize(
    ("info", "what"),
    [
        ({"clock": "noon"}, "a number as info 'clock', found 'noon'"),
        ({"clock": {}}, "a number as info 'clock', found {}"),
        ({"clock": 1, "won": 0}, "info ['clock'] as at the first reset, found ['clock', 'won']"),
        (None, "info ['clock'] as at the first reset, found []"),
    ],
)
def test_an_info_is_one_number_for_each_name(info: Any, what: str) -> None:
    said = found(promises.infos, SPEC, [edited(1, info=info)])
    assert said == [f"seed 3, step 1: expected {what}"]


@pytest.mark.parametrize("value", [None, np.nan, 1, True])
def test_an_info_may_be_unknown(value: Any) -> None:
    episode = edited(1, info={"clock": value})
    assert found(promises.infos, SPEC, [episode]) == found(promises.finite, SPEC, [episode]) == []


def test_an_end_that_looks_like_the_start_is_suspicious_only_if_every_episode_has_it() -> None:
    first, last = EPISODE.timesteps[0], len(EPISODE.timesteps) - 1
    restarted = edited(last, observation=first.observation)
    assert len(found(promises.final_observations, SPEC, [restarted])) == 1
    assert found(promises.final_observations, SPEC, [restarted, EPISODE]) == []


def test_an_episode_of_one_step_may_end_as_it_began() -> None:
    only = EPISODE.timesteps[-1]
    short = EPISODE._replace(
        timesteps=(EPISODE.timesteps[0]._replace(observation=only.observation), only),
        actions=EPISODE.actions[:1],
    )
    assert found(promises.final_observations, SPEC, [short]) == []


@pytest.mark.parametrize(("low", "high", "n"), [(-1, 0, 1), (0, 100, 0)])
def test_returns_are_held_against_the_bounds_of_the_spec(low: float, high: float, n: int) -> None:
    spec = dataclasses.replace(SPEC, return_bounds=(low, high))
    assert len(found(promises.bounds, spec, [edited(1, reward=np.float32(7))])) == n


# --- of an environment ----------------------------------------------------------------------------


class Longer(HostCounting):
    """Plays a step more each time, and looks the same until then."""

    games = 0

    def reset(self, seed: int) -> TimeStep:
        super().reset(seed)
        self.games += 1
        self.goal = 1 + self.games
        return self.time_step(0.0)

    def time_step(self, reward: float) -> TimeStep:
        timestep = super().time_step(0.0)
        state = np.zeros(1, np.float32)
        return timestep._replace(observation=timestep.observation._replace(state=state))


def test_an_episode_that_is_longer_the_second_time_is_found() -> None:
    env = Longer()
    (said,) = found(promises.repeats, env, play(env, 0))
    assert said.startswith("seed 0, step 2: expected what this seed gave before, found .terminated")


def test_arrays_that_were_written_to_are_found_in_the_first_step_that_changed() -> None:
    kept, now = EPISODE.timesteps, list(EPISODE.timesteps)
    obs = kept[1].observation.obs + 1
    now[1] = kept[1]._replace(observation=kept[1].observation._replace(obs=obs))
    (said,) = found(promises.keeps_arrays, ENV, EPISODE._replace(returned=tuple(now)))
    assert said.startswith("seed 3, step 1: expected arrays of its own") and ".obs[0, 0]" in said
    assert found(promises.keeps_arrays, ENV, EPISODE._replace(returned=kept)) == []


class Stubborn(HostCounting):
    """Refuses to step after the end."""

    def step(self, actions: Any) -> TimeStep:
        if self.t >= min(self.goal, self.spec.episode_limit):
            raise RuntimeError("reset first")
        return super().step(actions)


def test_refusing_to_step_after_the_end_is_fine() -> None:
    env = Stubborn()
    assert found(promises.ends_for_good, env, play(env, 0)) == []


class Tiring(HostCounting):
    """Fails in its fiftieth reset."""

    resets = 0

    def reset(self, seed: int) -> TimeStep:
        self.resets += 1
        if self.resets == 50:
            raise MemoryError
        return super().reset(seed)


def test_a_reset_that_fails_after_many_others_is_located() -> None:
    with pytest.raises(PlayError, match=r"^reset 50: expected a time step, found MemoryError \("):
        found(promises.restarts, Tiring(), EPISODE)
