"""docs/rare_successes.md tells numbers of the library's weights and of the committed results."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import fisher_exact

import macpo
from macpo import weighting
from macpo.cli import main
from macpo.report import writing
from macpo.weighting import Weighting
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "rare_successes.md").read_text()
PROSE = re.sub(r"\s+", " ", PAGE)
RESULTS = (ROOT / "results" / "README.md").read_text()
REGRET = (ROOT / "results" / "regret.md").read_text()
COMMANDS = [
    shlex.split(line)[1:]
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.S)
    for line in block.splitlines()
]


def rows(heading: str) -> dict[str, list[str]]:
    """The cells of the table under a heading by the first of their line, without its head."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    cells = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in lines)
    return {first: rest for first, *rest in cells}


# --- what came out --------------------------------------------------------------------------------


def test_the_returns_are_those_of_the_results() -> None:
    without = "MAC-PO without its value term"
    for method, (score, seeds) in rows("A success that is rare at first").items():
        label = "without value enhancement" if method == without else method
        n, final, interval, *_ = at_minus_2(label)
        assert (f"{final} {interval}", n) == (score, seeds), method


def at_minus_2(method: str) -> list[str]:
    """The cells of a method's line in the results' tables at punishment −2."""
    section = RESULTS.partition("\n## Punishment −2\n")[2]
    section = (
        section.partition("\n## The other weightings\n")[0]
        + section.partition("\nPunishment −2:\n")[2]
    )
    line = re.search(rf"^\| {re.escape(method)} \|(.*)\|$", section, re.M)
    assert line is not None, method
    return [cell.strip() for cell in line[1].split("|")]


def test_the_return_at_punishment_0_is_that_of_the_results() -> None:
    assert "| MAC-PO | 3 | 37.9 | [37.0, 38.5] |" in RESULTS
    assert "MAC-PO ends at 37.9 [37.0, 38.5]" in PROSE
    assert "| MAC-PO, value temperature 10 | 1 | 4.4 |" in RESULTS
    assert "at a return of 4.4" in PROSE


def test_chance_explains_the_seeds_as_seldom_as_told() -> None:
    found: Any = fisher_exact([[6, 3], [0, 18]], alternative="greater")
    assert 1 / found.pvalue == pytest.approx(3500, rel=0.05)
    assert "once in 3,500" in PROSE


def test_the_catches_are_rows_of_the_results() -> None:
    found = rows("One run, looked at")  # tests/…/test_results.py compares those with the recording
    assert list(found) == ["20k", "30k", "50k", "60k", "120k"]
    for time, cells in found.items():
        assert f"| {' | '.join([time, *cells])} |" in RESULTS
    weights = [float(cells[-1]) for cells in found.values()]
    assert max(weights) == 21 and 1000 < 21 / 0.015 < 2000


# --- the weights ----------------------------------------------------------------------------------

WEIGHTINGS: dict[str, list[Weighting]] = {
    "`uniform`": [weighting.Uniform()],
    "`per`": [weighting.PER(normalise="none")],
    "`macpo`, `discor`": [weighting.MacPO(normalise="none"), weighting.DisCor(normalise="none")],
    "`macpo`, value temperature 10": [weighting.MacPO(normalise="none", value_temperature=10.0)],
    "`cwqmix`": [weighting.CWQMIX(normalise="none")],
    "`macpo-regret`": [weighting.make("macpo-regret", normalise="none")],
}


def raw(weigh: Weighting) -> np.ndarray:
    """Of an ordinary step, a punished attempt and a catch, where to do nothing is greedy."""
    target = np.array([[-0.05, -2.0, 10.0]])
    signals: dict[str, Any] = {
        "q": 0 * target,
        "target": target,
        "q_star": target,
        "q_star_greedy": 0 * target,
        "is_greedy": np.array([[True, False, False]]),
        "pi_taken": np.ones((1, 3, 2)),
    }
    return weigh(mask=target != 0, **{name: signals[name] for name in weigh.needs})[0]


def test_the_weights_are_those_of_the_library() -> None:
    told = rows("What the weight does with it")
    assert told.keys() == WEIGHTINGS.keys()
    for name, cells in told.items():
        for weigh in WEIGHTINGS[name]:
            assert [f"{weight:.2g}" for weight in raw(weigh)] == cells, name


def test_the_catch_is_as_small_as_the_text_says() -> None:
    ordinary, punished, catch = raw(weighting.MacPO(normalise="none"))
    assert "10 · e⁻¹⁰ = 0.00045" in PROSE and catch == pytest.approx(10 * np.exp(-10))
    assert ordinary / catch == pytest.approx(100, rel=0.06)
    assert punished / catch == pytest.approx(600, rel=0.01)
    errors = np.linspace(0.01, 12, 1200)
    assert errors[np.argmax(errors * np.exp(-errors))] == pytest.approx(1, abs=0.01)


def test_the_thresholds_are_those_of_the_theory() -> None:
    for label, (told,) in rows("How rare may a success be?").items():
        (line,) = re.findall(rf"^\| {re.escape(label)} \|(.*)\|$", REGRET, re.M)
        assert line.split("|")[2].strip() == told  # test_regret.py computes them
    assert "its threshold is 0.0817" in PROSE
    (macpo_line,) = re.findall(r"^\| MAC-PO \|(.*)\|$", REGRET, re.M)
    assert macpo_line.split("|")[-1].strip() == "0.0817"


def test_a_partner_catches_by_chance_as_often_as_told() -> None:
    assert [round(epsilon / 6, 4) for epsilon in (1, 0.1, 0.05)] == [0.1667, 0.0167, 0.0083]
    assert "once in 60 at ε = 0.1, once in 120 at ε = 0.05" in PROSE
    assert "between 0.167 (ε = 1) and 0.0083 (ε = 0.05)" in PROSE


def test_the_games_are_counted_as_in_the_theory() -> None:
    text = (ROOT / "docs" / "paper_and_code.md").read_text()
    lines = text.partition("### One-step games")[2].partition("\n## ")[0].splitlines()
    cells = [line.strip("|").split("|")[1:] for line in lines if line.startswith("|")][2:]
    columns = np.array(cells, int)
    _, macpo_, _, per, cwqmix, regret = columns.sum(0)
    assert (32 * len(columns), regret, cwqmix, per, macpo_) == (224, 217, 160, 96, 4)
    assert "217 of 224 runs, CW-QMIX in 160, PER in 96, MAC-PO in 4" in PROSE
    assert (columns[:, 2] == 32).sum() == 2  # MAC-PO at temperature 10
    assert "of the seven one-step games it solves two" in PROSE


# --- the commands ---------------------------------------------------------------------------------


def test_the_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "draw_figures", lambda *_: [])  # tests/report has them
    asked = list[macpo.Experiment]()

    def train(experiment: macpo.Experiment, *_: Any, **options: Any) -> macpo.RunResult:
        assert options["record_weights"] == 20
        asked.append(experiment)
        return macpo.RunResult(tmp_path, finished=True)

    monkeypatch.setattr(macpo, "train", train)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").symlink_to(ROOT / "results")
    for words in COMMANDS:
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 0, words
    assert [each.weighting.name for each in asked] == ["macpo-no-value", "macpo-regret"]
    assert (tmp_path / "reports" / "microscope" / "index.html").exists()


def test_every_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE)
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
