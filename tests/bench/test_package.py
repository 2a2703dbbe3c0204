"""The bench's rows come out."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from macpo import bench
from macpo.bench.measure import Result


@pytest.mark.slow
def test_the_bench_writes_its_results_with_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "bench.json"
    for tests_own in ("XLA_FLAGS", "JAX_COMPILATION_CACHE_DIR"):  # measured as a user would
        monkeypatch.delenv(tests_own, raising=False)
    flags = bench.Bench(sections=("memory",), rounds=1, json=file)
    bench.run_bench(flags, Console(quiet=True))
    data = json.loads(file.read_text())
    assert {"cpu", "cores", "python", "jax", "macpo"} <= set(data["machine"])
    values = {row["name"]: row["value"] for row in data["results"]}
    assert values["replay, 10,000 full episodes"] < 100  # MB
    assert values["peak memory of a MAC-PO update, full length"] < 1300  # MB


def test_what_came_to_nothing_is_null_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [Result("never", float("inf"), "s", note="did not"), Result("in time", 3.0, "s")]
    monkeypatch.setattr(bench, "SECTIONS", {"learning": lambda flags: found})
    flags = bench.Bench(sections=("learning",), json=tmp_path / "bench.json")
    bench.run_bench(flags, Console(quiet=True))
    rows = json.loads((tmp_path / "bench.json").read_text(), parse_constant=pytest.fail)["results"]
    assert [row["value"] for row in rows] == [None, 3.0]
