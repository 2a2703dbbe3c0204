"""What `macpo check-algorithm` finds in broken algorithms.

`tests/integration/contract/test_algorithms.py` says that it finds nothing in sound ones.
"""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.algorithms.vdn import Config as Vdn
from macpo.cli import main
from macpo.conformance import algorithm as module
from macpo.conformance.algorithm import PROMISES, Subject
from macpo.conformance.findings import examine
from macpo.interop.check import title
from macpo.interop.promises import Promise
from macpo.learners.base import LearnerState, UpdateResult
from macpo.learners.episodes import transitions
from macpo.learners.value_based import ValueBasedLearner
from macpo.nets.action_selection import epsilon_greedy, greedy


def test_every_check_says_what_it_checks() -> None:
    titles = {title(promise) for promise in PROMISES}
    assert len(titles) == len(PROMISES) == 15
    assert all(10 < len(each) < 90 for each in titles)


@dataclass(frozen=True)
class Sound:
    """Sums of utilities that are linear in what an agent sees, by gradient descent."""

    env: Any

    @property
    def spec(self) -> Any:
        return self.env.spec

    def init(self, key: Any) -> LearnerState:
        shape = self.spec.obs_size, self.spec.n_actions
        weight = jnp.asarray(0.1 * np.random.default_rng(0).normal(size=shape), jnp.float32)
        return LearnerState(weight, weight, jnp.ones(()), {})

    def initial_hidden(self, n_envs: int) -> Any:
        return jnp.zeros((n_envs, 0))

    def utilities(self, params: Any, obs: Any) -> Any:
        """The first action is the best but for what is learned."""
        return obs @ params - jnp.arange(self.spec.n_actions)

    def act(
        self, params: Any, key: Any, hidden: Any, observation: Any, last: Any, epsilon: Any
    ) -> Any:
        q, available = self.utilities(params, observation.obs), observation.avail_actions
        if epsilon is None:
            return hidden, greedy(q, available)
        return hidden, epsilon_greedy(key, q, available, jnp.asarray(epsilon))

    def recent_episodes(self, batch_size: int, buffer_size: int) -> None:
        return None

    def update_bytes(self, batch_size: int) -> int:
        return batch_size

    def loss(self, params: Any, targets: Any, episodes: Any) -> Any:
        (reward, terminal, mask, _), n_states = transitions(episodes), episodes.length[:, None] + 1
        exists = (jnp.arange(self.spec.episode_limit + 1) < n_states)[..., None, None]
        obs = jnp.where(exists, episodes.encoded_state.obs, 0)
        actions = jnp.where(mask[..., None], episodes.actions, 0)[..., None]
        q = self.utilities(params, obs)[:, :-1]
        taken = jnp.take_along_axis(q, actions, -1).sum((-2, -1))
        after = 0.9 * self.utilities(targets, obs)[:, 1:].max(-1).sum(-1)
        target = jnp.where(mask, reward, 0) + jnp.where(terminal, 0, after)
        error = jnp.where(mask, taken - target, 0)
        return jnp.square(error).sum() / mask.sum(), jnp.abs(error)

    def update(self, state: LearnerState, batch: Any, key: Any) -> UpdateResult:
        (loss, errors), gradient = jax.value_and_grad(self.loss, has_aux=True)(
            state.params, state.target_networks, batch.episodes
        )
        state = state._replace(params=state.params - 0.01 * gradient)
        return UpdateResult(state, {"loss": loss}, errors)

    def sync_targets(self, state: LearnerState) -> LearnerState:
        return state._replace(target_networks=state.params)


@dataclass(frozen=True)
class Config:
    """Of a learner with a fault."""

    learner: type[Sound]
    about: Any = Vdn.about

    def make(self, env: Any, weighting: Any) -> Any:
        return self.learner(env)


@functools.cache
def subject(learner: type[Sound]) -> Subject:
    return Subject(Config(learner))


def found(promise: Promise, of: Subject) -> list[str]:
    """What one check finds."""
    (result,) = examine([promise], of)
    return [str(finding) for finding in result.findings]


class Blind(Sound):
    """Does not look at what is available."""

    def act(
        self, params: Any, key: Any, hidden: Any, observation: Any, last: Any, epsilon: Any
    ) -> Any:
        everything = jnp.ones_like(observation.avail_actions)
        observation = observation._replace(avail_actions=everything)
        return super().act(params, key, hidden, observation, last, epsilon)


class Restless(Sound):
    """Explores when it should not."""

    def act(
        self, params: Any, key: Any, hidden: Any, observation: Any, last: Any, epsilon: Any
    ) -> Any:
        return super().act(params, key, hidden, observation, last, epsilon or 0.5)


class Timid(Sound):
    """Never explores."""

    def act(
        self, params: Any, key: Any, hidden: Any, observation: Any, last: Any, epsilon: Any
    ) -> Any:
        return super().act(params, key, hidden, observation, last, None)


class Changed(Sound):
    """Its updates are sound ones, changed."""

    def update(self, state: LearnerState, batch: Any, key: Any) -> UpdateResult:
        return self.change(super().update(state, batch, key), state, batch)

    def change(self, result: UpdateResult, state: LearnerState, batch: Any) -> UpdateResult:
        return result


class Lazy(Changed):
    def change(self, result: UpdateResult, state: LearnerState, batch: Any) -> UpdateResult:
        return result._replace(state=state)


class Exploding(Changed):
    def change(self, result: UpdateResult, state: LearnerState, batch: Any) -> UpdateResult:
        params = result.state.params * jnp.inf
        return result._replace(state=result.state._replace(params=params))


class SumsPadding(Changed):
    def change(self, result: UpdateResult, state: LearnerState, batch: Any) -> UpdateResult:
        return result._replace(metrics=result.metrics | {"reward": batch.episodes.reward.sum()})


class Shapeless(Changed):
    def change(self, result: UpdateResult, state: LearnerState, batch: Any) -> UpdateResult:
        return result._replace(td_error_abs=result.td_error_abs.mean(-1))


class ErrorsOnPadding(Changed):
    def change(self, result: UpdateResult, state: LearnerState, batch: Any) -> UpdateResult:
        return result._replace(td_error_abs=result.td_error_abs + 1)


class Bootstrapping(Changed):
    """Takes every end for a truncation."""

    def update(self, state: LearnerState, batch: Any, key: Any) -> UpdateResult:
        never = jnp.zeros_like(batch.episodes.terminated)
        episodes = batch.episodes._replace(terminated=never)
        return super().update(state, batch._replace(episodes=episodes), key)


class Ending(Changed):
    """Takes every end for a terminal one."""

    def update(self, state: LearnerState, batch: Any, key: Any) -> UpdateResult:
        always = jnp.ones_like(batch.episodes.terminated)
        episodes = batch.episodes._replace(terminated=always)
        return super().update(state, batch._replace(episodes=episodes), key)


class Verbose(Changed):
    def change(self, result: UpdateResult, state: LearnerState, batch: Any) -> UpdateResult:
        return result._replace(metrics={"rewards": batch.episodes.reward, "bad": jnp.nan})


class Overreaching(Sound):
    """Resets its optimiser with the target networks."""

    def sync_targets(self, state: LearnerState) -> LearnerState:
        state = super().sync_targets(state)
        return state._replace(opt_state=0 * state.opt_state)


class Modest(Sound):
    def update_bytes(self, batch_size: int) -> int:
        return 0


@pytest.mark.parametrize(
    ("learner", "promise", "told"),
    [
        (Blind, module.availability, "expected one of ["),
        (Restless, module.greedy, "other actions with another random key"),
        (Timid, module.exploration, "never takes"),
        (Lazy, module.movement, "does not move"),
        (Exploding, module.movement, "is not finite"),
        (Lazy, module.progress, "60 updates: expected less than"),
        (SumsPadding, module.padding, "padding of nan: changes the update"),
        (Shapeless, module.errors, "td_error_abs: expected shape (2, 3), found (2,)"),
        (ErrorsOnPadding, module.errors, "td_error_abs on padding: expected 0, found 1"),
        (Bootstrapping, module.endings, "terminated: errors depend on the state after the end"),
        (Ending, module.endings, "truncated: errors do not depend on the final state"),
        (Verbose, module.metrics, "metric rewards: expected a number, found shape (2, 3)"),
        (Verbose, module.metrics, "metric bad: expected a finite number, found nan"),
        (Overreaching, module.targets, "changes more than the target networks"),
        (Modest, module.memory, "more bytes for more episodes, found 0 and 0"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_fault_is_found_by_its_check(learner: Any, promise: Promise, told: str) -> None:
    assert found(promise, subject(Sound)) == []
    findings = found(promise, subject(learner))
    assert any(told in finding for finding in findings), findings


@pytest.mark.parametrize(
    ("row", "told"),
    [(None, "expected an About(…), found None"), ("", "about.agents: expected some words")],
)
def test_a_row_without_words_is_found(row: Any, told: str) -> None:
    about = None if row is None else Vdn.about._replace(agents=row)
    (finding,) = found(module.about, Subject(Config(Sound, about)))
    assert told in finding


def test_an_exception_is_a_finding_and_the_other_checks_go_on() -> None:
    class Failing(Sound):
        def update_bytes(self, batch_size: int) -> int:
            raise RuntimeError("no idea")

    first, second = examine([module.memory, module.about], subject(Failing))
    assert "raised: RuntimeError: no idea" in str(first.findings[0])
    assert not second.findings


@dataclass(frozen=True)
class Narrow(Vdn):
    """VDN whose learner would number actions by a byte."""

    about = Vdn.about

    def make(self, env: Any, weighting: Any) -> Any:
        assert env.spec.n_actions < 256, "one byte for each action"
        return super().make(env, weighting)


def test_an_update_that_fails_for_hundreds_of_actions_is_found() -> None:
    assert "one byte for each action" in found(module.schedules, Subject(Narrow()))[0]


@dataclass(frozen=True)
class Faulty(Vdn):
    """VDN that does not know how much memory it takes."""

    about = Vdn.about

    def make(self, env: Any, weighting: Any) -> Any:
        return Forgetful(**vars(super().make(env, weighting)))


class Forgetful(ValueBasedLearner):
    def update_bytes(self, batch_size: int) -> int:
        return 0


def test_the_command_says_what_is_wrong_with_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # tests/integration/docs/test_readme.py checks one that is sound
    monkeypatch.setattr(module, "PROMISES", (module.about, module.memory))
    with pytest.raises(SystemExit) as stop:
        main(["check-algorithm", f"{__name__}:Faulty"])
    out = capsys.readouterr().out
    assert stop.value.code == 1
    assert "ok    Its row in the table" in out and "WRONG It says how much memory" in out


def test_what_is_no_algorithm_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["check-algorithm", "qmx"])
    assert stop.value.code == 2
    assert "unknown algorithm 'qmx'; did you mean 'qmix'?" in capsys.readouterr().err
