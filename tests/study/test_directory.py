"""A study's directory: the plan and how runs ended, whole after whatever happened."""

import json
from pathlib import Path

import pytest

from macpo import Experiment, Study, UsageError
from macpo.study.directory import Outcome, StudyDirectory
from macpo.study.study import PlannedRun

STUDY = Study("weights", {"macpo": Experiment(), "per": Experiment(weighting="per")}, seeds=2)
FIRST = PlannedRun("macpo", 0)


@pytest.fixture
def begun(tmp_path: Path) -> StudyDirectory:
    directory = StudyDirectory(tmp_path)
    directory.begin(STUDY, cores=2)
    return directory


def test_the_plan_is_read_as_it_was_written(begun: StudyDirectory):
    assert begun.read() == STUDY
    assert begun.read_cores() == 2


def test_the_directory_says_what_it_is_and_how_it_goes_on(begun: StudyDirectory):
    text = begun.readme.read_text()
    assert "2 arms with 2 seeds" in text
    assert f"`macpo sweep {begun.path}`" in text and f"`macpo report {begun.path}`" in text


def test_each_run_has_a_directory_of_its_own(begun: StudyDirectory):
    assert begun.run(FIRST).path == begun.path / "runs" / "macpo" / "seed-0"
    assert begun.log(FIRST) == begun.path / "runs" / "macpo" / "seed-0.log"
    together = PlannedRun("per", 4, 3)
    assert begun.run(together).path == begun.path / "runs" / "per" / "seeds-4-6"
    assert begun.log(together) == begun.path / "runs" / "per" / "seeds-4-6.log"


def test_a_study_that_was_edited_after_it_began_is_refused(begun: StudyDirectory):
    other = Study("weights", {"macpo": Experiment(weighting="per")}, seeds=2)
    with pytest.raises(UsageError, match="already holds a study: the arm 'macpo' has changed"):
        begun.require_fit(other)


def test_what_is_not_ours_is_not_written_over(tmp_path: Path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(UsageError, match=r"holds README\.md, which a study would overwrite"):
        StudyDirectory(tmp_path).require_fit(STUDY)


def test_outcomes_are_read_as_they_were_written(begun: StudyDirectory):
    outcome = Outcome(FIRST, "failed", "the disk is full", 3.5)
    begun.write_outcomes([outcome])
    assert begun.read_outcomes() == {FIRST: outcome}


@pytest.mark.parametrize("text", ["", "[", "3", "[3]", '[{"run": 3}]', '[{"run": [[], {}]}]'])
def test_outcomes_that_cannot_be_read_are_none(begun: StudyDirectory, text: str):
    begun.outcomes.write_text(text)
    assert begun.read_outcomes() == {}


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ("[]", "holds no study: expected a JSON object"),
        ("{", "cannot read a study from"),
        ('{"name": "x"}', "needs a name, a list of seeds and arms"),
    ],
)
def test_a_damaged_plan_is_told_with_its_file(tmp_path: Path, plan: str, message: str):
    (tmp_path / "study.json").write_text(plan)
    with pytest.raises(UsageError, match=message) as error:
        StudyDirectory(tmp_path).read()
    assert "study.json" in str(error.value)


@pytest.mark.parametrize("cores", [0, True, "2", None])
def test_a_plan_with_a_wrong_number_of_cores_is_refused(begun: StudyDirectory, cores: object):
    data = json.loads(begun.plan.read_text())
    begun.plan.write_text(json.dumps(data | {"cores_per_run": cores}))
    with pytest.raises(UsageError, match="cores_per_run must be 1 or more"):
        begun.read_cores()


def test_a_directory_without_a_plan_is_no_study(tmp_path: Path):
    with pytest.raises(UsageError, match="is not a study's directory"):
        StudyDirectory(tmp_path).read()
    assert StudyDirectory(tmp_path).read_cores() is None
