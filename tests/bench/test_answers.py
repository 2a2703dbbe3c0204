"""What the bench measures of reports and sweeps."""

from collections.abc import Sequence

import pytest

from macpo.bench import answers
from macpo.bench.measure import Flags


def test_the_report_is_a_real_one_of_as_many_runs_as_it_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(answers, "WEIGHTINGS", ("macpo", "uniform"))
    monkeypatch.setattr(answers, "PUNISHMENTS", (-2.0,))
    monkeypatch.setattr(answers, "EVALUATIONS", 4)
    page, size = answers.report(Flags())
    assert page.name == "report on 10 runs with 4 evaluations each"
    assert page.reference == "reading their 80 rows as JSON" and page.ratio and page.ratio > 1
    assert size.value > 1  # Plotly alone is larger


def test_a_sweep_is_compared_with_the_same_runs_by_hand(monkeypatch: pytest.MonkeyPatch):
    commands: list[Sequence[str]] = []

    def seconds_of(words: Sequence[str]) -> float:
        commands.append(words)
        return 21.0 if words[0] == "sweep" else 10.0

    monkeypatch.setattr(answers, "_seconds_of", seconds_of)
    (swept,) = answers.sweep(Flags(steps=1_000))
    assert swept.ratio == 21 / (10 + 10)  # the run that compiles does not count
    compiled, *by_hand, sweep = commands
    assert [words[words.index("--seed") + 1] for words in by_hand] == ["0", "1"]
    settings = compiled[1 : compiled.index("--out")]
    assert all(words[1 : 1 + len(settings)] == settings for words in (*by_hand, sweep))
