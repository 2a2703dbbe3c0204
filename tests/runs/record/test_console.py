"""A terminal display of everything that a user watches."""

import io

from rich.console import Console

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
    assert "mean weight 0.250" in text and "env steps/s" in text and "left" in text


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
    assert "lost" not in console.export_text()
    display.write(TRAIN | {"episodes_lost": 2})
    display.write(TEST | {"test_episodes_lost": 1})
    display.close()
    assert "lost 3" in console.export_text()


def test_without_a_terminal_only_evaluations_are_printed():
    console = Console(file=io.StringIO(), width=200, force_terminal=False, record=True)
    display = ConsoleDisplay(console, steps=10_000, seeds=1, done=0)
    display.write(TRAIN)
    display.refresh()
    assert console.export_text(clear=False) == ""
    display.write(TEST)
    display.close()
    assert console.export_text().count("\n") == 1


def test_each_of_several_seeds_is_named():
    console = Console(file=io.StringIO(), width=200, force_terminal=False, record=True)
    display = ConsoleDisplay(console, steps=10_000, seeds=2, done=0)
    display.write(TEST)
    display.write(TEST | {"seed": 1, "test_return_mean": 3.0})
    display.close()
    first, second = console.export_text().splitlines()
    assert first.startswith("seed 0 · ") and "test return 12.5" in first
    assert second.startswith("seed 1 · ") and "test return 3.0" in second
