"""The numbers of the READMEs are what `results/summarise.py` makes of the committed evaluations."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.support.paths import ROOT

RESULTS = ROOT / "results"
PAGES = "\n".join((RESULTS / name).read_text() for name in ("README.md", "battles.md"))


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("summarise", RESULTS / "summarise.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["summarise"] = module
    spec.loader.exec_module(module)
    return module


summarise = _module()
TABLES = summarise.tables(RESULTS)


def cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip().strip("*") for cell in line.strip().strip("|").split("|"))


def told(head: tuple[str, ...], first_row: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The rows of the table with this beginning, as many cells of each as its head has."""
    for block in re.findall(r"(?:^\|.*\n)+", PAGES, re.M):
        lines = [cells(line)[: len(head)] for line in block.splitlines()]
        if lines[0] == head and lines[2][0] == first_row[0]:
            return lines[2:]
    return []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: f"{table.title}: {table.head[0]}")
def test_every_table_of_evaluations_can_be_computed_again(table: Any):
    rows = told(table.head, table.rows[0])
    assert [cells(summarise.markdown_row(row)) for row in table.rows] == rows


def test_early_evaluations_are_those_within_both_ends():
    ends = [99_999, 100_000, 150_000, 200_000, 200_001]
    evaluations = [
        summarise.Evaluation(seed, env_steps, 10 * i, 100.0 * seed + i)
        for seed in (0, 1)
        for i, env_steps in enumerate(ends)
    ]
    summary = summarise.summarise(evaluations)
    assert summary.early == np.mean([1, 2, 3, 101, 102, 103])
    assert summary.last == [3.0, 103.0]
    assert (summary.best, summary.updates) == (104.0, [40, 40])


def test_a_method_that_was_stopped_early_has_no_such_mean():
    assert np.isnan(summarise.summarise([summarise.Evaluation(0, 50_000, 1, 2.0)]).early)


def test_a_mean_has_a_deviation_only_over_several_seeds():
    assert summarise.mean_and_deviation([1.0, 2.0, 3.0]) == "2.0 ± 1.0"
    assert summarise.mean_and_deviation([1.0]) == "–"


def test_tables_of_what_was_not_run_are_empty(tmp_path: Path):
    assert [table.rows for table in summarise.tables(tmp_path)] == [[]] * len(TABLES)


# --- the README's table of claims -----------------------------------------------------------------

README = (ROOT / "README.md").read_text()
METHODS = {
    **{"QMIX": "qmix", "OW-QMIX": "owqmix", "CW-QMIX": "cwqmix", "QPLEX": "qplex", "FOP": "fop"},
    **{"DOP": "dop", "VDAC": "vdac", "PER": "per", "PSER": "pser", "DisCor": "discor"},
    "ReMERN": "remern",
}


def evaluated(punishment: str) -> dict[str, Any]:
    files = [RESULTS / f"punishment{punishment}{suffix}.csv" for suffix in ("", "_algorithms")]
    found = {k: v for file in files for k, v in summarise.read_evaluations(file).items()}
    return {method: summarise.summarise(e) for method, e in found.items()}


@pytest.mark.parametrize("punishment", ["0", "-2"])
def test_the_claims_are_compared_by_the_same_numbers(punishment: str):
    where = f"punishment {punishment.replace('-', '−')}"
    runs, compared = evaluated(punishment), 0
    for line in README.splitlines():
        row = cells(line)
        if len(row) != 6 or not row[1].startswith(where) or row[3] not in METHODS:
            continue
        ours, theirs = runs["macpo"], runs[METHODS[row[3]]]
        if "100k–200k" in row[1]:
            expected = f"{ours.early:.1f}", f"{theirs.early:.1f}"
        else:
            expected = tuple(summarise.mean_and_deviation(run.last) for run in (ours, theirs))
        assert (row[2], row[4]) == expected, line
        compared += 1
    assert compared == {"0": 9, "-2": 7}[punishment]


def test_the_text_tells_the_early_means_of_the_table():
    early = {method: f"{run.early:.1f}" for method, run in evaluated("0").items()}
    text = " ".join((RESULTS / "README.md").read_text().split())
    assert (
        f"between 100k and 200k env steps is {early['macpo']} and {early['macpo-official']} (the "
        f"two presets), against {early['owqmix']} for OW-QMIX and {early['qmix']} for QMIX" in text
    )
