"""Parts and schedules that do not fit together are refused when a trainer is made."""

from typing import Any

import pytest

from macpo.errors import UsageError
from macpo.experiment import Experiment, Run
from macpo.learners.actor_critic import ON_POLICY
from macpo.registry import make_config
from macpo.replay.priority import Replay
from macpo.training.trainer import Trainer, make_trainer


def test_more_actions_than_16_bits_number_are_refused():
    env = make_config("envs", "tests.support.toys:Wide", options={"n_actions": 40_000})
    with pytest.raises(
        UsageError, match="wide has 40,000 actions, but an agent can have at most 32"
    ):
        make_trainer(Experiment(env=env))


def test_a_run_whose_last_iteration_could_not_be_counted_is_refused():
    def make(steps: int) -> Trainer:
        return make_trainer(Experiment(env="two-step", run=Run(steps=steps, batch_size_run=8)))

    make(2**31 - 1 - 8 * 2)
    with pytest.raises(UsageError, match=r"can come to 2,147,483,648, but at most 2,147,483,647"):
        make(2**31 - 8 * 2)


# --- on-policy algorithms -------------------------------------------------------------------------


def on_policy(weighting: str = "uniform", sampling: Any = "uniform", **run: Any) -> Trainer:
    """A trainer of COMA in the two-step game."""
    return make_trainer(
        Experiment(
            env=make_config("envs", "two-step"),
            algorithm=make_config("algorithms", "coma"),
            weighting=make_config("weighting", weighting),
            replay=Replay(sampling=sampling),
            run=Run(**{**ON_POLICY, **run}),
        )
    )


def refusal(**options: Any) -> str:
    with pytest.raises(UsageError) as error:
        on_policy(**options)
    return str(error.value)


def test_an_on_policy_algorithm_learns_from_the_episodes_just_played():
    assert on_policy().run.batch_size == 8


@pytest.mark.parametrize("options", [{"weighting": "macpo"}, {"sampling": "prioritized"}])
def test_an_on_policy_algorithm_refuses_to_weigh_or_to_prioritise_replay(options):
    message = refusal(**options)
    assert message.startswith("coma learns on-policy: each episode is used once")
    assert "leave out --weighting and --replay.sampling" in message
    assert message.count(". ") == 0


@pytest.mark.parametrize(
    "options",
    [
        {"buffer_size": 16},
        {"batch_size": 4},
        {"batch_size": 16, "buffer_size": 16},
        {"batch_size_run": 4},
    ],
)
def test_an_on_policy_algorithm_refuses_a_batch_that_is_not_the_episodes_just_played(options):
    sizes = {"batch_size_run": 8, "batch_size": 8, "buffer_size": 8} | options
    assert refusal(**options) == (
        "coma learns on-policy, from the episodes just played: batch_size "
        f"({sizes['batch_size']}) and buffer_size ({sizes['buffer_size']}) must equal "
        f"batch_size_run ({sizes['batch_size_run']})."
    )


def test_an_on_policy_algorithm_refuses_a_second_update_from_the_same_episodes():
    assert "updates_per_iteration must be 1, not 3" in refusal(updates_per_iteration=3)


def test_replay_must_hold_the_newest_episodes_that_an_algorithm_asks_for():
    run = Run(batch_size=8, buffer_size=16)
    with pytest.raises(UsageError, match=r"dop also learns from the 32 newest .* holds only 16"):
        make_trainer(Experiment(env="two-step", algorithm="dop", run=run))
