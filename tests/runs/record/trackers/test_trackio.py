"""trackio: how it is called, and where it is installed what its store holds."""

import json
import os
import sqlite3
from contextvars import ContextVar
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from macpo.runs.record.trackers.trackio import open_seed
from tests.runs.record.conftest import TEST, TRAIN, tracked, tracked_seed


def test_each_seed_is_a_run_of_its_own_and_goes_on_under_its_name(tmp_path: Path):
    current, opened = ContextVar[str]("current", default=""), list[dict[str, Any]]()

    def init(**options: Any) -> SimpleNamespace:
        assert current.get() == ""  # trackio would end the run that is current
        current.set(options["name"])
        opened.append(options)
        return SimpleNamespace()

    for seed in (0, 1):
        open_seed(SimpleNamespace(init=init), tracked_seed(tmp_path, seed))
    names = [tracked_seed(tmp_path, seed).name for seed in (0, 1)]
    assert [options["name"] for options in opened] == names
    assert {options["resume"] for options in opened} == {"allow"}
    assert {options["project"] for options in opened} == {"macpo"}
    assert opened[1]["config"]["run"]["seed"] == 1
    assert "space_id" not in opened[0]  # nothing leaves this machine unless that is asked for


def test_its_store_holds_the_rows_of_each_seed_also_of_a_run_that_went_on(tmp_path: Path):
    pytest.importorskip("trackio")
    for rows in ([TRAIN, TRAIN | {"seed": 1}, TEST], [TRAIN | {"env_steps": 3200}]):
        sink = tracked("trackio", tmp_path)
        for row in rows:
            sink.write(row)
        sink.close()
    with sqlite3.connect(Path(os.environ["TRACKIO_DIR"]) / "macpo.db") as store:
        found = [
            (name.rpartition(" ")[2], step, json.loads(values).get("test/test_return_mean"))
            for name, step, values in store.execute("SELECT run_name, step, metrics FROM metrics")
            if tracked_seed(tmp_path, 0).group in name
        ]
    assert sorted(found, key=str) == [
        ("0", 1600, 12.5),
        ("0", 1600, None),
        ("0", 3200, None),
        ("1", 1600, None),
    ]
