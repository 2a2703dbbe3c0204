"""Files that were cut off or altered anywhere end in a sentence, and the rest is reported."""

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from macpo.errors import UsageError
from macpo.report.collection import collect
from macpo.report.compare import compare_paths
from tests.report.formats import test_marl_eval, test_sacred, test_wandb
from tests.support.synthetic_runs import write_runs
from tests.support.torture.damage import VALUES

TEXTS = {
    "info.json": json.dumps(test_sacred.INFO),
    "metrics.json": json.dumps(test_sacred.METRICS),
    "config.json": json.dumps(test_sacred.CONFIG),
    "x.json": json.dumps({"e": {"t": {"a": {"seed_0": test_marl_eval.RUN}}}}),
    "x.csv": test_wandb.CHART,
}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ours")
    write_runs(folder, ["macpo"], n_seeds=2, n_evaluations=2)
    return folder


def check(name: str, content: bytes, ours: Path, folder: Path) -> None:
    """Ours are there, whatever the file holds, and what is wrong with it is a sentence."""
    place = folder / name
    if name in ("info.json", "metrics.json", "config.json"):
        other = "metrics.json" if name == "config.json" else "config.json"
        (folder / other).write_text(TEXTS[other])
        place = folder
    (folder / name).write_bytes(content)
    collection = collect([ours, place])
    labels = [method.label for method in collection.methods]
    assert labels[0] == "qmix · macpo" and (len(labels) > 1 or collection.notes)
    collection.to_frame()
    with suppress(UsageError):
        compare_paths(ours, place)


@pytest.mark.parametrize("name", TEXTS)
def test_files_that_are_cut_off(name: str, ours: Path, tmp_path: Path):
    text = TEXTS[name].encode()
    for end in range(0, len(text), 7):
        check(name, text[:end], ours, tmp_path)


@pytest.mark.parametrize("name", TEXTS)
def test_files_with_other_bytes_and_values(name: str, ours: Path, tmp_path: Path):
    rng = np.random.default_rng(0)
    text = TEXTS[name].encode()
    for value in map(json.dumps, VALUES):
        start, end = sorted(rng.integers(0, len(text), 2))
        check(name, text[:start] + value.encode() + text[end:], ours, tmp_path)
        altered = bytearray(text)
        altered[rng.integers(len(text))] = rng.integers(256)
        check(name, bytes(altered), ours, tmp_path)
