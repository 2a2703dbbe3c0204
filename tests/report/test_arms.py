"""Two arms of a study: compared, and trained until a test decides."""

import json
from pathlib import Path

import pytest
from rich.console import Console

import macpo
from macpo import Study, UsageError
from macpo.report.arms import Arms, arms_at, compare_arms, find_arms, until_decided
from macpo.report.compare import Comparison
from macpo.statistics import Decision
from macpo.study.study import PlannedRun
from macpo.study.sweep import SweepResult
from tests.study.conftest import SMALL
from tests.support.fake_engine import FakeEngine, install

QUIET = Console(quiet=True)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = install(monkeypatch)
    fake.score = ahead
    return fake


def ahead(run: PlannedRun) -> float:
    """a beats b with every seed."""
    return 10.0 + run.seed if run.arm == "a" else 5.0


def alike(run: PlannedRun) -> float:
    """a and b are ahead in turn, by the same amount."""
    return float((run.seed % 2 == 0) == (run.arm == "a"))


def swept(directory: Path, seeds: int = 5) -> Arms:
    """The arms a and b of a study with a third arm, all of them finished."""
    arms = {"a": SMALL, "b": SMALL, "other": SMALL}
    macpo.sweep(Study("three", arms, seeds), directory, jobs=1, console=QUIET)
    return find_arms(directory, "a", "b")


def decided(arms: Arms, most: int | None = None) -> Comparison:
    found = until_decided(arms, most, jobs=1, console=QUIET)
    assert isinstance(found, Comparison)
    return found


def decision(comparison: Comparison) -> Decision | None:
    (contest,) = comparison.tasks
    return contest.decision


def test_it_stops_with_the_first_pair_that_decides(engine: FakeEngine, tmp_path: Path):
    arms = swept(tmp_path)
    engine.done.clear()
    # of 20 pairs that all have the same sign, the seventh decides
    assert decision(decided(arms)) == Decision("different", 7)
    assert engine.done == [PlannedRun(arm, seed) for seed in (5, 6) for arm in ("a", "b")]


def test_it_never_trains_more_seeds_than_were_planned(engine: FakeEngine, tmp_path: Path):
    engine.score = alike
    arms = swept(tmp_path)
    engine.done.clear()
    assert decision(decided(arms, most=8)) == Decision("no difference seen", 8)
    assert {run.seed for run in engine.done} == {5, 6, 7}
    assert decision(decided(arms)) == Decision("no difference seen", 8)
    assert len(engine.done) == 2 * 3


def test_the_study_itself_stays_as_it_is(engine: FakeEngine, tmp_path: Path):
    arms = swept(tmp_path)
    plan, engine.done = arms.study.plan.read_bytes(), []
    decided(arms)
    assert arms.study.plan.read_bytes() == plan
    assert "other" not in {run.arm for run in engine.done}
    assert arms.further.read_cores() == arms.study.read_cores()


def test_it_goes_on_where_it_was_stopped(engine: FakeEngine, tmp_path: Path):
    arms = swept(tmp_path)
    engine.failing = [PlannedRun("b", 5)]
    stopped = until_decided(arms, jobs=1, console=QUIET)
    assert isinstance(stopped, SweepResult) and not stopped.finished
    assert decision(compare_arms(arms)) == Decision("undecided", 5)
    engine.failing, engine.done = [], []
    assert decision(decided(arms)) == Decision("different", 7)
    assert engine.done == [PlannedRun("b", 5), PlannedRun("a", 6), PlannedRun("b", 6)]


def test_the_order_of_the_arms_makes_no_other_test(engine: FakeEngine, tmp_path: Path):
    arms = swept(tmp_path)
    decided(arms)
    engine.done.clear()
    assert decision(decided(find_arms(tmp_path, "b", "a"))) == Decision("different", 7)
    assert engine.done == []


def test_what_was_fixed_before_the_first_look_stays(engine: FakeEngine, tmp_path: Path):
    arms = swept(tmp_path)
    decided(arms, most=12)
    assert json.loads(arms.plan.read_text()) == {"most_pairs": 12, "metric": "test_return_mean"}
    with pytest.raises(UsageError, match="--most-seeds was fixed at 12 before the first look"):
        until_decided(arms, 20, console=QUIET)
    with pytest.raises(UsageError, match="--metric was fixed at test_return_mean"):
        compare_arms(arms, "test_ep_length_mean")


def test_seeds_that_the_study_gets_later_are_looked_at_after_those_before(
    engine: FakeEngine, tmp_path: Path
):
    arms = swept(tmp_path)
    decided(arms)
    swept(tmp_path, seeds=9)
    assert decision(compare_arms(arms)) == Decision("different", 7)


def test_a_comparison_of_a_begun_test_says_what_the_test_says(engine: FakeEngine, tmp_path: Path):
    arms = swept(tmp_path)
    before = compare_arms(arms).tasks[0]
    assert before.decision is None and before.verdict.startswith("Undecided (p = 0.062, sign-flip")
    decided(arms)
    (contest,) = compare_arms(arms).tasks
    assert contest.verdict.startswith("a scores higher than b: decided after 7 pairs")


@pytest.mark.parametrize(
    ("most", "told"),
    [(5, "5 pairs cannot show a difference"), (6, "7 pairs, but 6 at most were planned")],
)
def test_a_plan_with_which_nothing_could_show_is_refused(
    engine: FakeEngine, tmp_path: Path, most: int, told: str
):
    arms = swept(tmp_path, seeds=7)
    engine.done.clear()
    with pytest.raises(UsageError, match=told):
        until_decided(arms, most, console=QUIET)
    assert engine.done == [] and not arms.further.path.exists()


def test_the_study_is_finished_first(engine: FakeEngine, tmp_path: Path):
    engine.failing = [PlannedRun("b", 1)]
    arms = swept(tmp_path)
    with pytest.raises(UsageError, match=r"not finished: b, seed 1\. .*`macpo sweep"):
        until_decided(arms, console=QUIET)


def test_no_seed_is_left_out_of_a_test(engine: FakeEngine, tmp_path: Path):
    def diverging(run: PlannedRun) -> float:
        return float("nan") if run == PlannedRun("b", 6) else ahead(run)

    arms = swept(tmp_path)
    engine.score = diverging
    with pytest.raises(UsageError, match=r"a test needs every seed\. b on .*: seed 6 ends at"):
        until_decided(arms, jobs=1, console=QUIET)


@pytest.mark.parametrize(
    "text", ["", "[", "3", "{}", '{"most_pairs": true, "metric": "x"}', '{"most_pairs": 20}']
)
def test_a_damaged_plan_of_a_test_is_told(engine: FakeEngine, tmp_path: Path, text: str):
    arms = swept(tmp_path)
    arms.further.path.mkdir(parents=True)
    arms.plan.write_text(text)
    with pytest.raises(UsageError, match=r"decision\.json"):
        compare_arms(arms)


def test_arms_are_found_by_their_directories(engine: FakeEngine, tmp_path: Path):
    arms = swept(tmp_path)
    a, b = (tmp_path / "runs" / arm for arm in "ab")
    found = arms_at(a, b)
    assert found is not None and found.plan == arms.plan
    assert arms_at(a, b / "seed-0") is None and arms_at(tmp_path, tmp_path) is None


@pytest.mark.parametrize(
    ("names", "told"),
    [(("a", "othr"), "no arm 'othr'; did you mean 'other'"), (("a", "a"), "given twice")],
)
def test_unknown_arms_are_refused_with_the_known_ones(
    engine: FakeEngine, tmp_path: Path, names: tuple[str, str], told: str
):
    swept(tmp_path)
    with pytest.raises(UsageError, match=told):
        find_arms(tmp_path, *names)
