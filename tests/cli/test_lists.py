"""What `macpo list` shows."""

import io
from itertools import groupby

import pytest
from rich.cells import cell_len
from rich.console import Console

from macpo import registry
from macpo.cli import lists
from macpo.experiment import PARTS
from tests.support.command_line import run


def shown(monkeypatch: pytest.MonkeyPatch, title: str) -> list[str]:
    """The lines in a terminal of 80 columns."""
    console = Console(width=80, record=True, file=io.StringIO())
    monkeypatch.setattr(lists, "_console", console)
    lists.show([title])
    return console.export_text().splitlines()


@pytest.mark.parametrize("title", lists.LISTS)
def test_a_list_fits_80_columns(title: str, monkeypatch: pytest.MonkeyPatch):
    assert max(map(cell_len, shown(monkeypatch, title))) <= 80


def test_the_algorithms_take_two_lines_each_at_most(monkeypatch: pytest.MonkeyPatch):
    title, *lines = shown(monkeypatch, "algorithms")
    assert title.strip() == "algorithms"
    more = [line.startswith("  ") for line in lines]
    assert max(len([*group]) for wraps, group in groupby(more) if wraps) == 1


def test_no_word_of_an_algorithm_is_lost_in_80_columns(monkeypatch: pytest.MonkeyPatch):
    text = " ".join(" ".join(shown(monkeypatch, "algorithms")).split())
    for name, config in registry.discover("algorithms").items():
        assert text.count(f" {name} ") == 2
        assert all(word in text for cell in config.about[:5] for word in str(cell).split())


def test_every_battle_has_its_sizes(monkeypatch: pytest.MonkeyPatch):
    rows = [line.split() for line in shown(monkeypatch, "battles")]
    assert len([row for row in rows if row[-1].isdigit()]) == 23 + 15
    assert ["3m", "3", "3", "9", "30", "48", "60"] in rows
    assert ["zerg", "20v23", "20", "23", "29", "346", "858", "200"] in rows


def test_battles_are_shown_on_request_only(monkeypatch: pytest.MonkeyPatch):
    console = Console(width=80, record=True, file=io.StringIO())
    monkeypatch.setattr(lists, "_console", console)
    lists.show([])
    text = console.export_text()
    assert "macpo list battles" in text and "3s5z_vs_3s6z" not in text


def test_list_explains_every_plugin_in_a_line(capsys: pytest.CaptureFixture[str]):
    assert run("list") == 0
    text = capsys.readouterr().out
    for kind in PARTS.values():
        for name in registry.discover(kind):
            assert name in text
    assert "macpo-official" in text


def test_list_says_how_to_name_an_environment_of_ones_own(capsys: pytest.CaptureFixture[str]):
    assert run("list", "environments") == 0
    assert "module:factory" in capsys.readouterr().out
