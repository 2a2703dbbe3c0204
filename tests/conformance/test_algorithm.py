"""What `macpo check-algorithm` finds in broken algorithms.

`tests/integration/contract/test_algorithms.py` says that it finds nothing in sound ones.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from macpo.algorithms.vdn import Config as Vdn
from macpo.cli import main
from macpo.conformance import algorithm as module
from macpo.conformance.algorithm import PROMISES, Subject
from macpo.conformance.findings import examine
from macpo.interop.check import title
from macpo.interop.promises import Promise
from macpo.learners.base import About, LearnerState, UpdateResult
from macpo.learners.value_based import ValueBasedLearner


def test_every_check_says_what_it_checks() -> None:
    titles = {title(promise) for promise in PROMISES}
    assert len(titles) == len(PROMISES) == 15
    assert all(10 < len(each) < 90 for each in titles)


@dataclass(frozen=True)
class Faulty(Vdn):
    """VDN with a learner that changes something."""

    rnn_hidden_dim: int = 4
    about = Vdn.about

    def make(self, env: Any, weighting: Any) -> Any:
        return self.learner(**vars(super().make(env, weighting)))

    learner = ValueBasedLearner


def faulty(learner: type[ValueBasedLearner], promise: Promise) -> list[str]:
    """What one check finds in VDN with another learner."""
    config = type("Faulty", (Faulty,), {"learner": learner, "__module__": __name__})()
    (result,) = examine([promise], Subject(config))
    return [str(finding) for finding in result.findings]


class Blind(ValueBasedLearner):
    """Does not look at what is available."""

    def act(
        self, params: Any, key: Any, hidden: Any, observation: Any, last: Any, epsilon: Any
    ) -> Any:
        everything = jnp.ones_like(observation.avail_actions)
        observation = observation._replace(avail_actions=everything)
        return super().act(params, key, hidden, observation, last, epsilon)


class Restless(ValueBasedLearner):
    """Explores when it should not."""

    def act(
        self, params: Any, key: Any, hidden: Any, observation: Any, last: Any, epsilon: Any
    ) -> Any:
        return super().act(params, key, hidden, observation, last, epsilon or 0.5)


class Timid(ValueBasedLearner):
    """Never explores."""

    def act(
        self, params: Any, key: Any, hidden: Any, observation: Any, last: Any, epsilon: Any
    ) -> Any:
        return super().act(params, key, hidden, observation, last, None)


class Changed(ValueBasedLearner):
    """Its updates are those of VDN, changed."""

    def update(self, state: LearnerState, batch: Any, key: Any) -> UpdateResult:
        return self.change(super().update(state, batch, key), state, batch)

    def change(self, result: UpdateResult, state: LearnerState, batch: Any) -> UpdateResult:
        return result


class Lazy(Changed):
    def change(self, result: UpdateResult, state: LearnerState, batch: Any) -> UpdateResult:
        return result._replace(state=state)


class Exploding(Changed):
    def change(self, result: UpdateResult, state: LearnerState, batch: Any) -> UpdateResult:
        params = jax.tree.map(lambda x: x * jnp.inf, result.state.params)
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


class Overreaching(ValueBasedLearner):
    """Resets its optimiser with the target networks."""

    def sync_targets(self, state: LearnerState) -> LearnerState:
        state = super().sync_targets(state)
        return state._replace(opt_state=jax.tree.map(jnp.zeros_like, state.opt_state))


class Modest(ValueBasedLearner):
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
    findings = faulty(learner, promise)
    assert any(told in finding for finding in findings), findings


@pytest.mark.parametrize(
    ("row", "told"),
    [(None, "expected an About(…), found None"), ("", "about.agents: expected some words")],
)
def test_a_row_without_words_is_found(row: Any, told: str) -> None:
    about = None if row is None else About(**{**Vdn.about._asdict(), "agents": row})
    config = type("Wordless", (Faulty,), {"about": about, "__module__": __name__})()
    (result,) = examine([module.about], Subject(config))
    assert told in str(result.findings[0])


def test_an_exception_is_a_finding_and_the_other_checks_go_on() -> None:
    class Failing(ValueBasedLearner):
        def update_bytes(self, batch_size: int) -> int:
            raise RuntimeError("no idea")

    first, second = examine(
        [module.memory, module.about],
        Subject(type("Faulty", (Faulty,), {"learner": Failing, "__module__": __name__})()),
    )
    assert "raised: RuntimeError: no idea" in str(first.findings[0])
    assert not second.findings


def test_the_command_says_what_is_wrong_with_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # tests/integration/docs/test_readme.py checks one that is sound
    monkeypatch.setattr(module, "PROMISES", (module.about, module.memory))
    config = {"learner": Modest, "__module__": __name__}
    monkeypatch.setitem(globals(), "Config", type("Config", (Faulty,), config))
    with pytest.raises(SystemExit) as stop:
        main(["check-algorithm", f"{__name__}:Config"])
    out = capsys.readouterr().out
    assert stop.value.code == 1
    assert "ok    Its row in the table" in out and "WRONG It says how much memory" in out


def test_what_is_no_algorithm_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["check-algorithm", "qmx"])
    assert stop.value.code == 2
    assert "unknown algorithm 'qmx'; did you mean 'qmix'?" in capsys.readouterr().err
