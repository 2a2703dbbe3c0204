"""The paper's figures as studies: frozen, and complete."""

from dataclasses import replace

import pytest

from macpo import Experiment, UsageError, presets
from macpo.envs import SMAC, PredatorPrey, SMACJax
from macpo.reproduce.figures import BUDGETS, FIGURES, METHODS, plan

DIGESTS = {
    "fig1": "0c12ab2f4fd7",
    "fig2": "55d58d55e7ba",
    "fig3": "aa7ec11ab5f6",
    "fig4": "16b0d7bfb5ed",
}
"""Of the paper's budget. A new digest is a new study: say so in the changelog."""


@pytest.mark.parametrize("name", FIGURES)
def test_a_figures_study_is_frozen(name: str):
    assert plan(name, "paper").study.digest == DIGESTS[name]


@pytest.mark.parametrize("name", FIGURES)
def test_every_method_is_trained_on_every_task_and_every_claim_is_about_two_of_them(name: str):
    planned = plan(name)
    arms = {(method, task) for method in planned.figure.methods for task in planned.tasks}
    assert {f"{method} {task}" for method, task in arms} == {*planned.study.arms}
    claims = planned.figure.claims(planned.tasks)
    told = {(name, claim.task) for claim in claims for name in (claim.method, claim.other)}
    assert told == arms


def test_methods_have_the_papers_settings_and_actor_critics_their_own():
    arms = plan("fig2", "paper").study.arms
    qmix, dop = arms["QMIX punishment=-2"], arms["DOP punishment=-2"]
    assert qmix.env == dop.env == PredatorPrey(punishment=-2)
    assert presets.apply("paper", qmix) == qmix
    assert dop.run == replace(Experiment(algorithm="dop").run, steps=qmix.run.steps)


def test_a_budget_changes_env_steps_and_seeds_alone():
    studies = [plan("fig1", budget).study for budget in BUDGETS]
    for arm, first in studies[0].arms.items():
        steps = {study.arms[arm].run.steps for study in studies}
        assert len(steps) == 3
        for study in studies[1:]:
            other = study.arms[arm]
            assert (other.env, other.algorithm, other.weighting) == (
                first.env,
                first.algorithm,
                first.weighting,
            )
    assert [len(study.seeds) for study in studies] == [1, 5, 4]


def test_the_paper_trains_ablations_with_three_seeds():
    assert len(plan("fig4", "paper").study.seeds) == 3


def test_starcrafts_figures_are_made_on_the_model_and_on_request_on_the_game():
    assert plan("fig3").study.arms["DOP MMM2"].env == SMACJax(map="MMM2")
    assert plan("fig3", env="smac").study.arms["DOP MMM2"].env == SMAC(map="MMM2")


def test_tasks_can_be_chosen():
    planned = plan("fig2", tasks=("punishment=-2",), seeds=2)
    assert planned.study.seeds == (0, 1) and len(planned.study.arms) == len(planned.figure.methods)
    assert {claim.task for claim in planned.figure.claims(planned.tasks)} == {"punishment=-2"}


def test_every_method_is_used():
    assert {method for figure in FIGURES.values() for method in figure.methods} == {*METHODS}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "fig9"}, "unknown figure 'fig9'"),
        ({"name": "fig2", "env": "smac"}, "fig2 is made on predator-prey, not on 'smac'"),
        ({"name": "fig2", "tasks": ("MMM2",)}, "fig2 has no task 'MMM2'; it has punishment=0"),
    ],
)
def test_what_there_is_not_is_refused(options: dict[str, object], message: str):
    with pytest.raises(UsageError, match=message):
        plan(**options)
