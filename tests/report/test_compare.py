"""Are two methods different? Hand-computed cases."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from macpo.cli import main
from macpo.envs.predator_prey import Config
from macpo.errors import UsageError
from macpo.experiment import Experiment, to_dict
from macpo.report.compare import Comparison, compare_paths, paired, read_side
from macpo.report.comparison import print_comparison
from macpo.runs.directory import RunDirectory

STEPS = 30_000


def write(
    folder: Path,
    scores: Mapping[int, float | None],
    *,
    weighting: str = "macpo",
    punishment: float = 0.0,
    metric: str = "test_return_mean",
    steps: int = STEPS,
) -> Path:
    """A run for each seed whose last evaluation has this score; None for no evaluation."""
    experiment = Experiment(env=Config(punishment=punishment), weighting=weighting)
    for seed, score in scores.items():
        run = RunDirectory(folder / f"{weighting}{punishment}-{seed}")
        run.path.mkdir(parents=True)
        run.experiment.write_text(json.dumps(to_dict(experiment)))
        row = {"kind": "train", "seed": seed, "env_steps": steps}
        if score is not None:
            row = {**row, "kind": "test", metric: str(score) if math.isnan(score) else score}
        run.metrics.write_text(json.dumps(row) + "\n")
    return folder


def seeds(scores: Sequence[float], first: int = 0) -> dict[int, float]:
    return dict(enumerate(scores, first))


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    return write(tmp_path / "ours", seeds([3, 5, 4, 6, 9, 8]))


def against(tmp_path: Path, ours: Path, scores: Mapping[int, float | None]) -> Comparison:
    return compare_paths(ours, write(tmp_path / "theirs", scores, weighting="uniform"))


def test_seeds_that_both_have_are_pairs(tmp_path: Path, ours: Path):
    found = against(tmp_path, ours, seeds([1, 2, 3, 2, 4, 7]))
    (contest,) = found.tasks
    assert found.labels == ("ours", "theirs") and contest.is_paired
    assert contest.a == {0: 3, 1: 5, 2: 4, 3: 6, 4: 9, 5: 8}
    # of 3 4 5 6 8 9 and 1 2 2 3 4 7 the lowest and the highest are cut
    assert contest.iqm == ((4 + 5 + 6 + 8) / 4, (2 + 2 + 3 + 4) / 4)
    assert contest.difference.value == 5.75 - 2.75
    assert contest.difference.low < 3 < contest.difference.high
    # six differences of one sign: 2 of 64 ways
    assert contest.p_value == 2 / 64 and contest.is_different
    assert (
        contest.verdict == "ours scores higher than theirs (p = 0.031, sign-flip test of 6 pairs)."
    )
    # of the six of theirs, 3 is ahead of three and ties with one, 4 is ahead of four, …
    assert contest.improvement == pytest.approx((3.5 + 4.5 + 5 + 5 + 6 + 6) / 36)
    assert contest.forecast is None and found.notes == () and found.overall is None


def test_five_pairs_are_undecided_and_it_is_said_how_many_more_would_decide(
    tmp_path: Path, ours: Path
):
    found = against(tmp_path, ours, seeds([1, 2, 3, 2, 4]))
    (contest,) = found.tasks
    assert contest.p_value == 2 / 32 and not contest.is_different
    assert "fewer than 6 never show a difference" in contest.verdict
    assert contest.forecast is not None and contest.forecast.more_pairs == 2
    assert found.notes == ("predator-prey: paired by seed; not counted without a partner: seed 5.",)


def test_other_seeds_are_no_pairs(tmp_path: Path, ours: Path):
    found = against(tmp_path, ours, seeds([1, 2, 0], first=7))
    (contest,) = found.tasks
    assert not contest.is_paired
    # all of ours are higher: the most extreme of 84 ways, and SciPy counts the other end as well
    assert contest.p_value == pytest.approx(2 / 84)
    assert "permutation test of 6 against 3 seeds" in contest.verdict
    assert found.notes == ("predator-prey: the seeds are not the same, so they are not paired.",)


def test_seeds_are_pairs_if_the_smaller_group_is_within_the_other():
    assert paired({0: 1, 1: 1, 2: 1}, {2: 1, 0: 1}) == [0, 2]
    assert paired({0: 1, 1: 1, 2: 1}, {2: 1, 3: 1}) == []


def test_the_lower_one_is_called_the_lower_one(tmp_path: Path, ours: Path):
    (contest,) = against(tmp_path, ours, seeds([10, 11, 12, 13, 14, 15])).tasks
    assert contest.verdict.startswith("theirs scores higher than ours (p = 0.031")


def test_a_single_seed_says_nothing(tmp_path: Path):
    ours = write(tmp_path / "ours", {0: 1.0})
    found = against(tmp_path, ours, {3: 2.0})
    assert "a single seed says nothing" in found.tasks[0].verdict
    assert math.isnan(found.tasks[0].difference.low) and found.tasks[0].forecast is None


def test_settings_that_differ_are_told(tmp_path: Path, ours: Path):
    found = against(tmp_path, ours, seeds([1, 2]))
    assert ("weighting.name", "macpo", "uniform") in found.settings


def test_the_same_method_can_be_compared_with_itself(tmp_path: Path, ours: Path):
    found = compare_paths(ours, write(tmp_path / "new", seeds([3, 5, 4, 6, 9, 8])))
    assert found.settings == () and found.tasks[0].p_value == 1


# --- several tasks --------------------------------------------------------------------------------


def test_several_tasks_are_compared_one_by_one_and_together(tmp_path: Path):
    for name, higher in {"ours": 1, "theirs": 0}.items():
        weighting = "macpo" if higher else "uniform"
        write(tmp_path / name, seeds([10, 20 * higher]), weighting=weighting)
        write(tmp_path / name, seeds([0, 4 * higher]), weighting=weighting, punishment=-2)
    found = compare_paths(tmp_path / "ours", tmp_path / "theirs")
    titles = [contest.title for contest in found.tasks]
    assert titles == ["predator-prey, punishment=-2", "predator-prey, punishment=0"]
    assert found.overall is not None
    # 10 of 0 to 20 is 0.5, 0 of 0 to 4 is 0, and the best of both is 1
    assert found.overall.a == {0: 0.25, 1: 1} and found.overall.b == {0: 0.25, 1: 0}


def test_a_task_that_only_one_has_is_left_out(tmp_path: Path, ours: Path):
    write(tmp_path / "theirs", seeds([1, 2]), weighting="uniform", punishment=-2)
    found = against(tmp_path, ours, seeds([1, 2]))
    assert len(found.tasks) == 1
    assert any(note.startswith("Only theirs was trained on") for note in found.notes)


# --- what cannot be compared ----------------------------------------------------------------------


def test_different_tasks_are_refused(tmp_path: Path, ours: Path):
    theirs = write(tmp_path / "theirs", seeds([1, 2]), punishment=-2)
    with pytest.raises(UsageError, match="ours and theirs have no task in common"):
        compare_paths(ours, theirs)


def test_without_a_common_metric_nothing_is_compared(tmp_path: Path, ours: Path):
    theirs = write(tmp_path / "theirs", seeds([1, 2]), metric="test_mine_mean")
    with pytest.raises(UsageError, match="do not both have evaluations with 'test_return_mean'"):
        compare_paths(ours, theirs)
    with pytest.raises(UsageError, match=r"'test_retrn_mean'.*did you mean 'test_return_mean'"):
        compare_paths(ours, write(tmp_path / "more", seeds([1])), "test_retrn_mean")


def test_different_budgets_are_told(tmp_path: Path, ours: Path):
    theirs = write(tmp_path / "theirs", seeds([1, 2]), steps=2 * STEPS)
    (note,) = [note for note in compare_paths(ours, theirs).notes if "equally long" in note]
    assert "ours for 30,000 and theirs for 60,000 env steps" in note


def test_seeds_without_a_score_are_left_out_and_told(tmp_path: Path, ours: Path):
    found = against(tmp_path, ours, {0: 1.0, 1: 2.0, 2: float("nan"), 3: None})
    assert found.tasks[0].b == {0: 1, 1: 2}
    told = " ".join(found.notes)
    assert "seed 2 ends at nan; it is left out, which flatters theirs." in told
    assert "seed 3 has no evaluation with test_return_mean; it is left out." in told


def test_what_was_not_evaluated_is_refused(tmp_path: Path, ours: Path):
    with pytest.raises(UsageError, match="theirs has not been evaluated on predator-prey yet"):
        against(tmp_path, ours, {0: None})
    nothing = write(tmp_path / "nan", {0: float("nan")}, weighting="uniform")
    with pytest.raises(UsageError, match="nan has no seed with a final test_return_mean"):
        compare_paths(ours, nothing)


def test_a_folder_of_several_methods_is_no_side(tmp_path: Path, ours: Path):
    write(ours, seeds([1]), weighting="uniform")
    with pytest.raises(UsageError, match="ours holds 2 methods"):
        read_side("ours", [ours])


def test_a_folder_is_not_compared_with_itself(ours: Path):
    with pytest.raises(UsageError, match="given twice"):
        compare_paths(ours, ours / ".." / "ours")


def test_a_half_written_run_is_told_and_the_rest_compared(tmp_path: Path, ours: Path):
    (ours / "macpo0.0-0" / "experiment.json").write_text('{"env": {')
    found = against(tmp_path, ours, seeds([1, 2, 3, 2, 4, 7]))
    assert 0 not in found.tasks[0].a and found.notes[0].startswith("Left out: cannot read")


# --- what is shown --------------------------------------------------------------------------------


def test_the_seeds_the_effect_and_the_verdict_are_printed(tmp_path: Path, ours: Path):
    console = Console(file=io.StringIO(), record=True, width=100)
    print_comparison(console, against(tmp_path, ours, seeds([1, 2, 3, 2, 4])))
    text = console.export_text()
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "predator-prey: greedy return of an episode (test_return_mean)" in lines
    assert "0 3.0 1.0 +2.0" in lines and "5 8.0 – –" in lines
    assert any(line.startswith("IQM 5.0 2.3 +2.7 [") for line in lines)
    assert any(line.startswith("P(a seed of ours scores higher): 0.") for line in lines)
    assert any("about 2 more of each would decide it" in line for line in lines)


def test_the_command_writes_every_number(
    tmp_path: Path, ours: Path, capsys: pytest.CaptureFixture[str]
):
    theirs = write(tmp_path / "theirs", seeds([1, 2, 3, 2, 4, 7]), weighting="uniform")
    file = tmp_path / "numbers.json"
    with pytest.raises(SystemExit) as stop:
        main(["compare", str(ours), str(theirs), "--json", str(file)])
    assert stop.value.code == 0 and "ours scores higher" in capsys.readouterr().out
    data = json.loads(file.read_text())
    assert data["labels"] == ["ours", "theirs"] and data["tasks"][0]["p_value"] == 2 / 64


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "takes A B or STUDY ARM ARM, not 0 names"),
        (["a", "b", "c", "d"], "not 4 names"),
        (["a", "b"], "There is no directory a."),
        (["x" * 300, "b"], "File name too long"),
        (["x" * 300, "b", "c"], "File name too long"),
        (["a", "b", "c"], "cannot read a study from"),
        (["a", "b", "--until-decided"], "--until-decided needs two arms of a study"),
    ],
)
def test_bad_input_gets_a_sentence(words: list[str], told: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(["compare", *words])
    assert stop.value.code == 2 and told in capsys.readouterr().err
