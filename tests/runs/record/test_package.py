"""What every place where metrics go survives, and how a number that is not finite is kept."""

import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from macpo.errors import UsageError
from macpo.report.records import read_metrics
from macpo.runs.record import Row, Sink
from macpo.runs.record.console import ConsoleDisplay
from macpo.runs.record.jsonl import JsonLines
from macpo.runs.record.trackers import known
from tests.runs.record.conftest import TEST, TRAIN, tracked

DIVERGED: list[Row] = [
    TRAIN | {"loss_td": math.nan, "weight_raw_mean": math.inf, "grad_norm": -math.inf},
    TEST | {"test_return_mean": math.nan, "battle_won_mean": math.inf, "return_mean": -math.inf},
]


def tracker(name: str) -> Callable[[Path], Sink]:
    def opened(folder: Path) -> Sink:
        try:
            return tracked(name, folder)
        except UsageError as error:
            pytest.skip(str(error))

    return opened


SINKS: dict[str, Callable[[Path], Sink]] = {
    "metrics.jsonl": lambda folder: JsonLines(folder / "metrics.jsonl"),
    **{name: tracker(name) for name in known()},
    "a pipe": lambda _: ConsoleDisplay(Console(file=io.StringIO()), steps=9, seeds=1, done=0),
    "a terminal": lambda _: ConsoleDisplay(
        Console(file=io.StringIO(), force_terminal=True), steps=9, seeds=1, done=0
    ),
}


@pytest.mark.parametrize("sink", SINKS)
def test_every_sink_survives_numbers_that_are_not_finite(sink: str, tmp_path: Path):
    opened = SINKS[sink](tmp_path)
    for row in [*DIVERGED, *DIVERGED]:
        opened.write(row)
    opened.close()


def test_records_have_one_way_of_writing_such_numbers_and_read_them_back(tmp_path: Path):
    sink = JsonLines(tmp_path / "metrics.jsonl")
    for row in DIVERGED:
        sink.write(row)
    sink.close()
    for line in (tmp_path / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    train, test = read_metrics(tmp_path)
    assert math.isnan(train["loss_td"]) and math.isnan(test["test_return_mean"])
    assert (train["weight_raw_mean"], train["grad_norm"]) == (math.inf, -math.inf)
    assert test["env_steps"] == TEST["env_steps"]
