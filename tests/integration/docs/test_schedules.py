"""results/schedules.md tells what its records hold, and its commands can be run."""

import csv
import json
import re
import shlex
from typing import Any

import numpy as np
import pytest

import macpo
from macpo.cli import main
from tests.support.paths import ROOT
from tests.support.tracing import train_or_check

PAGE = (ROOT / "results" / "schedules.md").read_text(encoding="utf-8")


def recorded(name: str, task: str) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The evaluations of a study's records, by method and seed."""
    records = json.loads((ROOT / "results" / "records" / f"{name}.json").read_text("utf-8"))
    return {
        (method, seed.removeprefix("seed_")): [
            e for key, e in evaluations.items() if key.startswith("step_")
        ]
        for method, seeds in records["predator-prey"][task].items()
        for seed, evaluations in seeds.items()
    }


RUNS = recorded("schedules", "punishment=-2")
AT_0 = recorded("schedules-at-0", "punishment=0")


def returns_30_at(evaluations: list[dict[str, Any]]) -> int:
    """Env steps at the first evaluation that returns 30."""
    return next(e["step_count"] for e in evaluations if e["test_return_mean"][0] >= 30)


def returns(run: tuple[str, str]) -> list[float]:
    return [evaluation["test_return_mean"][0] for evaluation in RUNS[run]]


def test_every_seed_has_its_row() -> None:
    table = PAGE[PAGE.index("| | seed |") :].split("\n\n")[0].splitlines()
    thousands = [int(cell) for cell in table[0].strip("| ").split(" | ")[1:]]
    rows = [line.strip("| ").split(" | ") for line in table[2:]]
    assert [tuple(row[:2]) for row in rows] == list(RUNS)
    for method, seed, *told in rows:
        at = {round(e["step_count"] / 1e4) * 10: e for e in RUNS[method, seed]}
        expected = [round(at[k]["test_return_mean"][0]) for k in thousands]
        assert [int(cell.replace("−", "-")) for cell in told] == expected


def test_every_run_of_the_records_has_ended_and_the_page_counts_them() -> None:
    for runs, steps, told in (
        (RUNS, 300_000, "the {} runs of 25"),
        (AT_0, 150_000, "the {} runs of forty"),
    ):
        assert min(evaluations[-1]["step_count"] for evaluations in runs.values()) >= steps
        assert told.format(len(runs)) in " ".join(PAGE.split())


def test_with_large_updates_nobody_hunts_and_with_four_small_ones_everybody() -> None:
    compared = [run for run in RUNS if "2 x 32" not in run[0]]
    assert compared
    for run in compared:
        assert (np.mean(returns(run)[-3:]) > 20) == ("4 x 32" in run[0])


def test_with_half_as_many_updates_one_seed_hunts_one_does_late_and_one_has_given_up() -> None:
    scores = sorted(np.mean(returns(run)[-3:]) for run in RUNS if "2 x 32" in run[0])
    assert [round(score) for score in scores] == [0, 21, 36]


def test_the_text_tells_when_those_who_hunt_first_return_30() -> None:
    steps = [returns_30_at(RUNS[run]) for run in RUNS if "4 x 32" in run[0]]
    match = re.search(r"return 30 at about (\d+)k to (\d+)k", " ".join(PAGE.split()))
    assert match is not None
    assert [round(s / 1e4) * 10 for s in (min(steps), max(steps))] == [*map(int, match.groups())]


UNTIL_30 = [
    *csv.DictReader(
        (ROOT / "results" / "schedules-at-0" / "until_30.csv").read_text("utf-8").splitlines()
    )
]
"""When each seed first returns 30."""


def test_the_table_of_when_they_return_30_has_the_rows_of_its_file() -> None:
    told: dict[str, list[dict[str, str]]] = {}
    for row in UNTIL_30:
        told.setdefault(row["method"], []).append(row)
    for method, seeds in told.items():
        columns = (
            " · ".join(f"{int(row[column]):,}" for row in seeds)
            for column in ("env_steps", "updates", "episodes")
        )
        assert f"| {method} | {' | '.join(columns)} |\n" in PAGE


def test_they_return_30_when_the_records_say_so() -> None:
    found = {run: returns_30_at(evaluations) for run, evaluations in AT_0.items()}
    assert {(row["method"], row["seed"]): int(row["env_steps"]) for row in UNTIL_30} == found


def test_as_many_episodes_are_learned_from_as_the_updates_hold() -> None:
    for row in UNTIL_30:
        size = int(row["method"].split(" x ")[1].split()[0])
        assert int(row["episodes"]) == int(row["updates"]) * size


@pytest.mark.slow
def test_the_command_that_is_recommended_trains(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.setattr(macpo, "train", train_or_check)
    (command,) = re.findall(r"`macpo (train [^`]+)`", PAGE)
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(command))
    assert stop.value.code == 0
