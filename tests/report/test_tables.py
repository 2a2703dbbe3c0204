"""Tables in each of their forms."""

import csv
import io

from rich.console import Console

from macpo.report.summary import summarise
from macpo.report.tables import (
    Table,
    comma_separated,
    curves_table,
    differences_table,
    improvement_table,
    latex,
    markdown,
    number,
    overall_table,
    print_table,
    profile_table,
    scores_table,
    seeds_table,
)
from tests.report.test_summary import WON, collection, on_two_tasks, returns, with_absolute

REPORT = summarise(collection(returns([0.04], [0.04]), returns([30.0, 31.26], [33.0, 32.74])))
(TASK,) = REPORT.tasks


def test_scores_have_a_row_for_each_method() -> None:
    table = scores_table(REPORT, TASK)
    assert table.head[:4] == ("method", "seeds", "final, IQM", "95% interval")
    assert [row[:4] for row in table.rows] == [
        ("method 0", "2", "0.0", "[0.0, 0.0]"),
        ("method 1", "2", "31.8", "[30.6, 32.9]"),
    ]
    assert [row[-2:] for row in table.rows] == [("0.50", "–"), ("1.00", "[1.00, 1.00]")]


def test_one_method_is_better_than_no_other() -> None:
    report = summarise(collection(returns([1.0])))
    table = scores_table(report, report.tasks[0])
    assert "better than first" not in table.head
    assert table.rows == [("method 0", "1", "1.0", "–", "1.0")]


def test_absolute_metrics_have_a_column_where_there_are_any_and_say_who_lacks_them() -> None:
    first = [with_absolute(4.0, 0), with_absolute(6.0, 1)]
    report = summarise(collection(first, returns([1.0], [1.0])))
    table = scores_table(report, report.tasks[0])
    assert table.head[5:7] == ("absolute, IQM", "95% interval")
    assert [row[5:7] for row in table.rows] == [("5.0", "[4.0, 6.0]"), ("–", "–")]
    assert "imported, older or going on: 2; their methods have a dash" in table.note
    assert [row[5] for row in seeds_table(report).rows] == ["4.0000", "6.0000", "–", "–"]
    report = summarise(collection(first))
    assert "dash" not in scores_table(report, report.tasks[0]).note


def test_all_tasks_have_a_row_for_each_method() -> None:
    methods = ([0.0, 0.0], [0.0, 0.0]), ([0.5, 0.5], [0.5, 0.5])
    assert overall_table(summarise(on_two_tasks(WON, *methods))).rows == [
        ("method 0", "0.00", "[0.00, 0.00]", "0.50", "–"),
        ("method 1", "0.50", "[0.50, 0.50]", "1.00", "[1.00, 1.00]"),
    ]


def test_returns_of_several_tasks_have_no_common_score() -> None:
    table = overall_table(summarise(on_two_tasks("test_return_mean", ([1], [9]), ([2], [8]))))
    assert table.head == ("method", "better than first", "95% interval")
    assert table.rows == [("method 0", "0.50", "–"), ("method 1", "0.50", "–")]


def test_improvement_is_read_from_row_to_column() -> None:
    assert improvement_table(REPORT, TASK).rows == [
        ("method 0", "–", "0.00"),
        ("method 1", "1.00", "–"),
    ]


def test_curves_are_told_where_a_method_has_an_evaluation_nearby() -> None:
    rows = curves_table(REPORT, TASK).rows
    assert len(rows) == 10 and rows[-1] == ("20", "–", "32.0")
    assert rows[4] == ("10", "0.0", "31.5")


def test_profiles_are_told_at_a_few_scores() -> None:
    table = profile_table(REPORT, TASK)
    assert table.head[1] == "> 0.0" and table.rows[1][1:] == ("100%",) * 5 + ("0%",)


def test_every_seed_is_told_with_its_directory() -> None:
    assert [row[2:4] + row[-1:] for row in seeds_table(REPORT).rows] == [
        *(("0", "0.0400", "run-0"), ("1", "0.0400", "run-1")),
        *(("0", "30.6300", "run-0"), ("1", "32.8700", "run-1")),
    ]


def test_differences_have_a_column_for_each_method() -> None:
    assert differences_table(REPORT).rows == [("lr", "0", "1")]


def test_a_number_that_is_not_known_is_a_dash_and_zero_has_no_sign() -> None:
    assert (number(float("nan"), 1), number(-0.01, 1)) == ("–", "0.0")


HOSTILE = Table("50 % & more_1", ("a|b", "c"), [("x|y", "1_000 < 2 \\ {}")], "a note")


def test_markdown_escapes_bars() -> None:
    assert markdown(HOSTILE) == (
        "**50 % & more_1**\n\n| a\\|b | c |\n|---|---|\n| x\\|y | 1_000 < 2 \\ {} |\n\na note\n"
    )


def test_latex_escapes_its_own_characters() -> None:
    lines = latex(HOSTILE).splitlines()
    assert lines[:3] == ["% 50 % & more_1", r"\begin{tabular}{lr}", r"  \toprule"]
    assert lines[5] == r"  x|y & 1\_000 \textless{} 2 \textbackslash{} \{\} \\"


def test_csv_is_read_back() -> None:
    table = Table("t", ("a", "b"), [('say "x, y"', "2")])
    assert list(csv.reader(io.StringIO(comma_separated(table)))) == [
        ["a", "b"],
        ['say "x, y"', "2"],
    ]


def test_an_interval_is_two_columns_of_csv() -> None:
    table = Table("t", ("a", "95% interval"), [("1", "[0.5, 2.0]"), ("[2, 3]", "–")])
    assert comma_separated(table).splitlines() == [
        'a,"a, low","a, high"',
        "1,0.5,2.0",
        '"[2, 3]",–,–',
    ]


def printed(width: int, *rows: tuple[str, ...]) -> str:
    screen = io.StringIO()
    head = ("method", "final", "interval", "area")
    print_table(Console(width=width, file=screen), Table("Scores", head, rows))
    return screen.getvalue()


def test_a_narrow_terminal_cuts_no_number() -> None:
    assert "[1234.5, 9876.5]" in printed(50, ("long name " * 9, "1", "[1234.5, 9876.5]", "2"))


def test_columns_that_do_not_fit_follow_after_the_same_names() -> None:
    text = printed(34, ("a method", "7.5", "[7.0, 8.0]", "7.1"), ("another", "1.0", "–", "1.5"))
    assert text.count("Scores") == 1
    assert text.count("a method") == text.count("another") == 2
    assert max(map(len, text.splitlines())) <= 34
