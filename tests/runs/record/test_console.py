"""A terminal display of everything that a user watches."""

import io
import math

import pytest
from rich.console import Console

from macpo.runs.record import Row
from macpo.runs.record import console as module
from macpo.runs.record.console import ConsoleDisplay
from tests.runs.record.conftest import TEST, TRAIN


def test_the_display_names_everything_a_user_watches():
    console = Console(file=io.StringIO(), width=200, force_terminal=False, record=True)
    display = ConsoleDisplay(console, steps=10_000, seeds=1, done=0)
    display.write(TRAIN)
    display.write(TEST)
    display.refresh()
    display.close()
    text = console.export_text()
    for part in ("env steps 1,600", "episodes 8", "updates 1", "return 5.0", "epsilon 0.98"):
        assert part in text
    assert "raw weight 0.250" in text and "env steps/s" in text and "time left" in text


def test_a_run_that_learns_offline_shows_updates_and_nothing_that_it_does_not_play():
    console = Console(file=io.StringIO(), width=200, force_terminal=False, record=True)
    display = ConsoleDisplay(console, steps=100, seeds=1, done=0, is_offline=True)
    display.write(TEST | {"env_steps": 0, "episodes": 0, "updates": 40})
    display.refresh()
    display.close()
    text = console.export_text()
    assert text.startswith("updates 40 · ") and "updates/s" in text
    assert "env steps" not in text and "episodes" not in text


def test_metrics_are_shown_under_the_names_of_what_they_are():
    console = Console(file=io.StringIO(), width=200, force_terminal=False, record=True)
    display = ConsoleDisplay(console, steps=10_000, seeds=1, done=0)
    display.write(TEST | {"weight_raw_mean": 0.25, "weight_mean": 1.0, "loss": 9.0, "loss_td": 0.5})
    display.close()
    text = console.export_text()
    assert "raw weight 0.250" in text and "TD loss 0.5" in text
    assert "mean weight" not in text


def test_time_left_is_told_once_steps_with_updates_have_been_timed(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), width=300, force_terminal=False, record=True)
    display = ConsoleDisplay(console, steps=10_000, seeds=1, done=0)
    for env_steps, updates, seconds in ((2_000, 0, 1), (4_000, 1, 2), (5_000, 9, 12)):
        now[0] = seconds
        display.write(TEST | {"env_steps": env_steps, "updates": updates})
        display.refresh()
    display.close()
    before, begin, learning = console.export_text().splitlines()
    assert before.endswith("2,000 env steps/s · time left not known yet")
    assert begin.endswith("2,000 env steps/s · time left not known yet")
    assert learning.endswith("100 env steps/s · 0:50 left")


def test_a_terminal_shows_how_far_the_absolute_metric_is():
    screen = io.StringIO()
    display = ConsoleDisplay(Console(file=screen, width=200, force_terminal=True), 10_000, 1, 0)
    display.show_absolute(3, 10)
    display.close()
    assert "evaluating the best parameters: 3 of 10" in screen.getvalue()


# --- what is not finite ---------------------------------------------------------------------------


def said(*rows: dict[str, str | int | float], seeds: int = 1) -> list[str]:
    console = Console(file=io.StringIO(), width=300, force_terminal=False, record=True)
    display = ConsoleDisplay(console, steps=10_000, seeds=seeds, done=0)
    for row in rows:
        display.write(row)
    display.close()
    return console.export_text().splitlines()


def test_the_display_tells_once_which_metrics_became_non_finite_and_when():
    diverged = TRAIN | {"loss": math.nan, "grad_norm": math.inf, "epsilon": 0.5}
    lines = said(TRAIN, diverged, diverged | {"env_steps": 3200, "td_error_abs": math.nan})
    assert lines == [
        "1,600 env steps: not finite: loss (nan), grad_norm (inf)",
        "3,200 env steps: not finite: td_error_abs (nan)",
    ]


def test_each_seed_is_told_by_its_name():
    diverged = TRAIN | {"loss": math.nan}
    lines = said(diverged, diverged | {"seed": 1}, diverged, seeds=2)
    assert lines == [
        "seed 0 · 1,600 env steps: not finite: loss (nan)",
        "seed 1 · 1,600 env steps: not finite: loss (nan)",
    ]


def test_an_evaluation_that_is_not_finite_is_shown():
    lines = said(TEST | {"loss_td": math.nan, "test_return_mean": -math.inf, "return_mean": 1.0})
    assert "test return -inf" in lines[1] and "TD loss nan" in lines[1]


def test_the_display_shows_win_rates_of_battles():
    console = Console(file=io.StringIO(), width=200, force_terminal=False, record=True)
    display = ConsoleDisplay(console, steps=10_000, seeds=1, done=0)
    display.write(TEST | {"battle_won_mean": 0.25, "test_battle_won_mean": 0.5})
    display.close()
    assert "won 25% · test won 50%" in console.export_text()


def test_the_display_counts_lost_episodes_once_there_is_one():
    console = Console(file=io.StringIO(), width=200, force_terminal=False, record=True)
    display = ConsoleDisplay(console, steps=10_000, seeds=1, done=0)
    display.write(TRAIN | {"episodes_lost": 0})
    display.write(TEST | {"test_episodes_lost": 0})
    assert "episodes lost" not in console.export_text()
    display.write(TRAIN | {"episodes_lost": 2})
    display.write(TEST | {"test_episodes_lost": 1})
    display.close()
    assert "episodes lost 3" in console.export_text()


def test_without_a_terminal_only_evaluations_are_printed():
    console = Console(file=io.StringIO(), width=200, force_terminal=False, record=True)
    display = ConsoleDisplay(console, steps=10_000, seeds=1, done=0)
    display.write(TRAIN)
    display.refresh()
    assert console.export_text(clear=False) == ""
    display.write(TEST)
    display.close()
    assert console.export_text().count("\n") == 1


# --- several seeds, narrow terminals --------------------------------------------------------------


def lines_of(*rows: dict[str, str | int | float], seeds: int, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False, record=True)
    display = ConsoleDisplay(console, steps=1_000_000, seeds=seeds, done=0)
    for row in rows:
        display.write(row)
    display.close()
    return console.export_text().splitlines()


def test_an_evaluation_of_several_seeds_is_one_line_with_how_far_apart_they_are():
    second = TEST | {"seed": 1, "test_return_mean": 3.0, "return_mean": 7.0}
    (line,) = lines_of(TEST, second, seeds=2, width=200)
    assert "test return 7.8 (3.0 to 12.5)" in line
    assert " return 6.0 · " in line and "episodes 8 ·" in line


def test_seeds_of_equal_results_have_no_range():
    (line,) = lines_of(TEST, TEST | {"seed": 1}, seeds=2, width=200)
    assert "test return 12.5 · " in line


def test_nothing_is_printed_before_every_seed_has_been_evaluated():
    assert lines_of(TEST, TEST, TRAIN | {"seed": 1}, seeds=2, width=200) == []
    assert len(lines_of(*[TEST, TEST | {"seed": 1}] * 3, seeds=2, width=200)) == 3


@pytest.mark.parametrize(
    ("results", "told"),
    [
        (
            ({"test_return_mean": 11.5}, {"test_return_mean": 12.5}),
            "12.0 (11.5 to 12.5) · 0:50 left",
        ),
        (
            (
                {"test_return_mean": 11.5, "test_battle_won_mean": 0.0},
                {"test_return_mean": 12.5, "test_battle_won_mean": 0.5},
            ),
            "12.0 (11.5 to 12.5) · test won 25% (0% to 50%)",
        ),
    ],
    ids=["games", "battles"],
)
def test_80_columns_hold_the_results_of_a_long_run_and_the_time_left_if_it_fits(
    results: tuple[dict[str, float], ...], told: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module.Pace, "speed", lambda *_: 20_000.0)
    monkeypatch.setattr(module.Pace, "seconds_left", lambda *_: 50.0)
    rows = [TEST | {"seed": seed, "env_steps": 10**6} | row for seed, row in enumerate(results)]
    (line,) = lines_of(*rows, seeds=2, width=80)
    assert line == f"env steps 1,000,000 · test return {told}"


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (45, "env steps 1,600 · test return 12.5"),
        (55, "env steps 1,600 · return 5.0 · test return 12.5"),
        (70, "env steps 1,600 · return 5.0 · test return 12.5 · epsilon 0.98"),
        (10, "env steps 1,600"),
    ],
)
def test_what_matters_least_is_left_out_where_a_line_is_too_narrow(
    width: int, expected: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module.time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(module.Pace, "speed", lambda *_: 0.0)
    assert lines_of(TEST, seeds=1, width=width) == [expected]


# --- the live view --------------------------------------------------------------------------------


def viewed(width: int, returns: dict[int, list[float]], **options: list[Row]) -> list[str]:
    """The lines of the live view after these evaluations of each seed."""
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    display = ConsoleDisplay(console, 10_000, len(returns), 0, **options)
    for seed, values in returns.items():
        for value in values:
            display.write(TRAIN | TEST | {"seed": seed, "test_return_mean": value})
    shown = Console(file=io.StringIO(), width=width, record=True)
    shown.print(display.view())
    display.close()
    return shown.export_text().splitlines()


def test_a_line_per_seed_shows_the_way_of_its_greedy_return():
    _, head, first, second = viewed(200, {0: [0.0, 10.0, 20.0, 30.0], 1: [30.0, 0.0, 30.0]})
    assert head.rstrip().endswith("from 0.0 to 30.0")
    assert first.rstrip().endswith("▁▃▆█")
    assert second.rstrip().endswith("█▁█")


def test_the_way_of_a_run_that_goes_on_begins_where_the_run_did():
    earlier: list[Row] = [TEST | {"test_return_mean": x} for x in (0.0, 30.0)]
    line = viewed(200, {0: [15.0]}, earlier=[*earlier, TRAIN])[2]
    assert line.rstrip().endswith("▁█▅")


def test_no_way_is_shown_before_the_first_evaluation():
    assert "from" not in "".join(viewed(200, {0: []}))


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_in_a_narrow_terminal_columns_are_left_out_and_none_is_cut(width: int):
    lines = viewed(width, {0: [0.0, 30.0], 1: [10.0, 20.0]})
    assert len(lines) == 4 and max(map(len, lines)) <= width
    assert "test return" in lines[1]
    assert "…" not in "".join(lines)
    assert ("▁█" in lines[2]) == (width >= 60)
