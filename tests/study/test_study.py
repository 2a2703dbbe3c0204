"""What a study is: arms and seeds, as data and back."""

import json

import pytest

from macpo import Experiment, Run, Study, UsageError
from macpo.study.study import PlannedRun, from_data, require_extension, to_data

ARMS = {name: Experiment(weighting=name) for name in ("macpo", "uniform")}


def test_every_arm_has_every_seed_and_all_arms_come_before_the_next_seed():
    assert Study("weights", ARMS, seeds=2).runs() == [
        PlannedRun("macpo", 0),
        PlannedRun("uniform", 0),
        PlannedRun("macpo", 1),
        PlannedRun("uniform", 1),
    ]


def test_a_run_trains_its_arm_with_its_seed():
    experiment = Study("weights", ARMS, seeds=[7]).experiment(PlannedRun("uniform", 7))
    assert experiment == Experiment(weighting="uniform", run=Run(seed=7))


def test_seeds_that_are_trained_together_are_one_run_of_their_arm():
    study = Study("weights", ARMS, seeds=[3, 4, 7, 8], seeds_together=2)
    first, _, third, _ = study.runs()
    assert (first, third) == (PlannedRun("macpo", 3, 2), PlannedRun("macpo", 7, 2))
    assert study.experiment(third).run == Run(seed=7, seeds=2)
    assert study.length(first) == 2 * Run().steps
    assert [run.title for run in (first, PlannedRun("per", 0))] == [
        "macpo, seeds 3 to 4",
        "per, seed 0",
    ]


@pytest.mark.parametrize(
    ("seeds", "together", "message"),
    [
        (5, 2, r"a multiple of 2; they are \[0, 1, 2, 3, 4\]"),
        ([0, 2], 2, "2 numbers in a row"),
        ([1, 0], 2, "2 numbers in a row"),
        (2, 0, "a whole number, 1 or more, not 0"),
        (2, True, "a whole number, 1 or more, not True"),
    ],
)
def test_seeds_that_cannot_be_trained_together_are_refused(
    seeds: int | list[int], together: int, message: str
):
    with pytest.raises(UsageError, match=message):
        Study("weights", ARMS, seeds, together)


@pytest.mark.parametrize("seeds_together", [1, 2])
def test_a_study_survives_json(seeds_together: int):
    study = Study("weights", ARMS, [3, 4], seeds_together)
    assert from_data(json.loads(json.dumps(to_data(study)))) == study


def test_the_digest_names_what_is_studied_and_not_what_it_is_called():
    study = Study("weights", ARMS, seeds=2)
    assert Study("factors", ARMS, seeds=2).digest == study.digest
    assert Study("weights", ARMS, seeds=3).digest != study.digest
    assert Study("weights", ARMS, seeds=2, seeds_together=2).digest == study.digest
    assert len(study.digest) == 12


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../up", "-x", "a\nb", "x" * 101, "a."])
def test_an_arm_whose_name_is_no_directory_is_refused(name: str):
    with pytest.raises(UsageError, match="cannot be an arm's name"):
        Study("weights", {name: Experiment()})


def test_names_that_some_file_systems_take_for_the_same_are_refused():
    with pytest.raises(UsageError, match="differ in capital letters alone"):
        Study("weights", {"PER": Experiment(), "per": Experiment()})


def test_an_arm_with_seeds_of_its_own_is_refused():
    with pytest.raises(UsageError, match=r"has seeds of its own \(seed 0, seeds 3\)"):
        Study("weights", {"macpo": Experiment(run=Run(seeds=3))})


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        (0, "1 to 10,000 seeds, not 0"),
        ([], "1 to 10,000 seeds, not 0"),
        (10**9, "1 to 10,000 seeds"),
        ([1, 1], "a seed is given twice"),
        ([-1], "whole number from 0"),
        ([True], "whole number from 0"),
        ([0.5], "whole number from 0"),
    ],
)
def test_seeds_that_cannot_be_are_refused(seeds: int | list[int], message: str):
    with pytest.raises(UsageError, match=message):
        Study("weights", ARMS, seeds=seeds)


def test_arms_and_seeds_may_be_added_later():
    longer = Study("weights", {**ARMS, "per": Experiment(weighting="per")}, seeds=3)
    require_extension(longer, Study("weights", ARMS, seeds=2))


def test_what_has_been_begun_may_not_be_changed_or_left_out():
    begun = Study("weights", ARMS, seeds=2)
    changed = {**ARMS, "uniform": Experiment(weighting="uniform", run=Run(steps=10_000))}
    with pytest.raises(UsageError, match=r"'uniform' has changed \(run\.steps: 300000 → 10000\)"):
        require_extension(Study("weights", changed, seeds=2), begun)
    with pytest.raises(UsageError, match="the arm 'uniform' is missing"):
        require_extension(Study("weights", {"macpo": ARMS["macpo"]}, seeds=2), begun)
    with pytest.raises(UsageError, match="the seeds 1 are missing"):
        require_extension(Study("weights", ARMS, seeds=1), begun)
    with pytest.raises(UsageError, match="it was begun with --seeds-together 1, not 2"):
        require_extension(Study("weights", ARMS, seeds=2, seeds_together=2), begun)


def test_seeds_that_have_begun_together_stay_together():
    begun = Study("weights", ARMS, [1, 2], seeds_together=2)
    require_extension(Study("weights", ARMS, [1, 2, 3, 4], seeds_together=2), begun)
    with pytest.raises(
        UsageError, match=r"its seeds \[1, 2\], 2 together, would be grouped otherwise"
    ):
        require_extension(Study("weights", ARMS, [0, 1, 2, 3], seeds_together=2), begun)


def test_a_file_that_names_code_to_import_is_refused_unless_it_is_trusted():
    data = to_data(Study("weights", ARMS))
    data["arms"]["macpo"]["env"] = {"name": "os:system", "options": {"command": "true"}}
    with pytest.raises(UsageError, match=r"arm 'macpo': .* would import .*--trust"):
        from_data(data)


@pytest.mark.parametrize("change", [{"seeds": 5}, {"arms": []}, {"name": None}])
def test_data_that_is_no_study_is_refused(change: dict[str, object]):
    with pytest.raises(UsageError, match="needs a name, a list of seeds and arms by name"):
        from_data({**to_data(Study("weights", ARMS)), **change})
