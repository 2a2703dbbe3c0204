"""A run in a few numbers."""

import io
import json

import pytest
from rich.console import Console

from macpo.errors import UsageError
from macpo.report.table import print_summary, summary_rows
from tests.report.conftest import MakeRun, Row


def printed(run: object, width: int = 80) -> list[list[str]]:
    """The words of each printed line."""
    text = io.StringIO()
    print_summary(Console(file=text, width=width), run)  # type: ignore[arg-type]
    return [line.split() for line in text.getvalue().splitlines() if line.strip()]


def evaluations(*returns: float) -> list[Row]:
    return [
        {"kind": "test", "seed": 0, "env_steps": 100 * i, "test_return_mean": r}
        for i, r in enumerate(returns, 1)
    ]


def test_the_numbers_of_one_seed(make_run: MakeRun, two_seeds: list[Row]) -> None:
    run = make_run([row for row in two_seeds if row["seed"] == 1])
    assert summary_rows(run) == [
        ("env steps", "4,100"),
        ("episodes", "32"),
        ("updates", "2"),
        ("final greedy return", "14.00 ± 0.50"),
        ("best greedy return", "14.00"),
        ("mean of last 3 evaluations", "13.00"),
        ("training return, last 10 iterations", "2.50"),
    ]


def test_several_seeds_have_a_mean_and_a_range(make_run: MakeRun, two_seeds: list[Row]) -> None:
    rows = dict(summary_rows(make_run(two_seeds)))
    assert rows["env steps"] == "4,050 (4,000 to 4,100)"
    assert rows["episodes"] == "32"
    assert rows["final greedy return"] == "9.00 (4.00 to 14.00)"
    assert rows["training return, last 10 iterations"] == "2.50"


def test_best_and_last_evaluations_are_told_apart(make_run: MakeRun) -> None:
    rows = dict(summary_rows(make_run(evaluations(1, 30, 10, 20, 6))))
    assert rows["best greedy return"] == "30.00"
    assert rows["mean of last 3 evaluations"] == "12.00"


def test_what_is_not_there_yet_is_a_dash(make_run: MakeRun, two_seeds: list[Row]) -> None:
    rows = dict(summary_rows(make_run(two_seeds[:1])))
    assert rows["final greedy return"] == "–"
    assert rows["best greedy return"] == "–"
    assert rows["training return, last 10 iterations"] == "1.00"


def test_outcomes_of_the_last_evaluation_are_told_where_there_are_any(make_run: MakeRun) -> None:
    rows = [row | {"test_battle_won_mean": 0.1 * i} for i, row in enumerate(evaluations(1, 2, 3))]
    assert summary_rows(make_run(rows))[-1] == ("final greedy battle_won", "0.20")


def test_a_line_for_each_seed_and_three_for_all(make_run: MakeRun, two_seeds: list[Row]) -> None:
    lines = {words[0]: words[1:] for words in printed(make_run(two_seeds, punishment=-2.0))}
    assert lines["0"] == ["4,000", "32", "2", "4.00", "±", "0.50", "4.00", "3.00", "2.50"]
    assert lines["1"] == ["4,100", "32", "2", "14.00", "±", "0.50", "14.00", "13.00", "2.50"]
    assert lines["mean"] == ["4,050", "32", "2", "9.00", "9.00", "8.00", "2.50"]
    assert lines["min"] == ["4,000", "32", "2", "4.00", "4.00", "3.00", "2.50"]
    assert lines["max"] == ["4,100", "32", "2", "14.00", "14.00", "13.00", "2.50"]


def test_the_table_says_what_was_run(make_run: MakeRun, two_seeds: list[Row]) -> None:
    lines = [" ".join(words) for words in printed(make_run(two_seeds, punishment=-2.0))]
    assert lines[0] == "predator-prey · qmix · macpo"
    assert lines[-1].startswith("env.punishment -2.0;")


def test_names_of_plug_ins_and_outcomes_are_no_markup(make_run: MakeRun) -> None:
    rows = [row | {"test_[red]x_mean": 1.0} for row in evaluations(1, 2)]
    run = make_run(rows)
    experiment = json.loads((run / "experiment.json").read_text())
    experiment["env"] = {"name": "games[/x]:make[b]", "options": {}}
    (run / "experiment.json").write_text(json.dumps(experiment))
    lines = [" ".join(words) for words in printed(run, 200)]
    assert lines[0] == "games[/x]:make[b] · qmix · macpo"
    assert any("[red]x" in line for line in lines)


def test_one_seed_needs_no_line_for_all(make_run: MakeRun, two_seeds: list[Row]) -> None:
    words = [line[0] for line in printed(make_run([r for r in two_seeds if r["seed"] == 0]))]
    assert "0" in words
    assert "mean" not in words


def test_large_numbers_fit_into_eighty_columns(make_run: MakeRun, two_seeds: list[Row]) -> None:
    scale = {"env_steps": 400, "episodes": 100, "updates": 10_000}
    rows = [{k: v * scale.get(k, 1) for k, v in row.items()} for row in two_seeds]
    lines = {words[0]: words[1:] for words in printed(make_run(rows), 80)}
    assert lines["1"][:3] == ["1,640,000", "3,200", "20,000"]
    assert not any("…" in word for line in lines.values() for word in line)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_number_is_cut_however_many_outcomes_there_are(
    make_run: MakeRun, two_seeds: list[Row], width: int
) -> None:
    names = ("battle_won", "dead_allies", "dead_enemies", "timeouts")
    outcomes = {f"test_{name}_mean": 0.25 + i for i, name in enumerate(names)}
    rows = [row | (outcomes if row["kind"] == "test" else {}) for row in two_seeds]
    lines = printed(make_run(rows), width)
    words = [word for line in lines for word in line]
    assert not any("…" in word for word in words)
    assert {*names, "14.00", "4,100", "0.25", "3.25"} <= set(words)
    of_seed_1 = [word for line in lines if line[0] == "1" for word in line[1:]]
    assert of_seed_1 == [
        *("4,100", "32", "2", "14.00", "±", "0.50", "14.00", "13.00", "2.50"),
        *("0.25", "1.25", "2.25", "3.25"),
    ]


def test_a_run_without_metrics_is_a_usage_error(make_run: MakeRun) -> None:
    with pytest.raises(UsageError, match="has no metrics yet"):
        summary_rows(make_run([]))
