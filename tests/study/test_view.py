"""What a sweep shows."""

import io
import math
from collections.abc import Callable

from rich.console import Console

from macpo import Study
from macpo.study.directory import Outcome
from macpo.study.progress import Progress
from macpo.study.view import SweepView, print_outcomes
from tests.study.conftest import SMALL

STUDY = Study("weights", {"a": SMALL, "b+c": SMALL}, seeds=1)
FIRST, SECOND = STUDY.runs()


def text_of(show: Callable[[Console], None]) -> str:
    console = Console(record=True, file=io.StringIO(), width=200)
    show(console)
    return console.export_text()


def test_begin_and_end_of_every_run_are_lines_with_the_time_left_between():
    def show(console: Console) -> None:
        view = SweepView(console, STUDY, n_finished=0)
        view.update([FIRST], {FIRST: Progress(0)}, now=0.0)
        view.update([FIRST], {FIRST: Progress(60)}, now=60.0)
        view.ended(Outcome(FIRST, "finished", seconds=61.0))
        view.close()

    assert text_of(show).splitlines() == [
        "a, seed 0 begun",
        "0 of 2 runs",
        "0 of 2 runs · 1 env steps/s · 3:00 left",  # 180 of 240 env steps
        "a, seed 0 finished after 1:01 (1 of 2)",
    ]


def test_seeds_that_are_trained_together_count_as_many_times():
    study = Study("weights", {"a": SMALL}, seeds=4, seeds_together=2)
    first, second = study.runs()

    def show(console: Console) -> None:
        view = SweepView(console, study, n_finished=0)
        view.update([first], {first: Progress(0), second: Progress(0)}, now=0.0)
        view.update([first], {first: Progress(60), second: Progress(0)}, now=60.0)

    assert text_of(show).splitlines() == [
        "a, seeds 0 to 1 begun",
        "0 of 2 runs",
        "0 of 2 runs · 2 env steps/s · 3:00 left",  # 360 of 480 env steps
    ]


def test_the_time_left_follows_the_speed_of_the_last_two_minutes():
    def show(console: Console) -> None:
        view = SweepView(console, STUDY, n_finished=0)
        for now, played in ((0.0, 0), (1.0, 60), (200.0, 60), (260.0, 120)):
            view.update([], {FIRST: Progress(played)}, now)

    assert text_of(show).splitlines()[-1] == "0 of 2 runs · 1 env steps/s · 2:00 left"


def test_a_terminal_shows_each_running_run_with_its_newest_evaluation():
    console = Console(record=True, file=io.StringIO(), width=200, force_terminal=True)
    view = SweepView(console, STUDY, n_finished=0)
    try:
        progress = {FIRST: Progress(60, True, 7.5), SECOND: Progress(0, False, math.nan)}
        table = view.table([FIRST, SECOND], progress)
    finally:
        view.close()
    console = Console(record=True, file=io.StringIO(), width=200)
    console.print(table)
    lines = [line.split() for line in console.export_text().splitlines()]
    assert lines[1:] == [
        ["a,", "seed", "0", "60", "120", "7.5"],
        ["b+c,", "seed", "0", "0", "120", "–"],
    ]


def test_the_end_is_a_table_by_arm_and_the_reason_of_every_failure():
    outcomes = [Outcome(FIRST, "finished"), Outcome(SECOND, "failed", "the disk [is] full")]
    lines = text_of(lambda console: print_outcomes(console, STUDY, outcomes)).splitlines()
    assert ["│", "a", "│", "1", "│", "0", "│", "0", "│"] in [line.split() for line in lines]
    assert ["│", "b+c", "│", "0", "│", "1", "│", "0", "│"] in [line.split() for line in lines]
    assert lines[-1] == "b+c, seed 0 failed: the disk [is] full"
