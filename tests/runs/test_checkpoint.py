"""Checkpoints: whole or not at all, damage noticed, earlier formats refused."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import macpo
from macpo.runs import checkpoint


def test_a_full_disk_loses_nothing(tmp_path: Path):
    directory = tmp_path / "checkpoints"
    checkpoint.save(directory, 1, {"x": np.arange(3)}, {"n": 1})
    (directory / f".000000000002.safetensors.{os.getpid()}.tmp").mkdir()  # cannot be written
    with pytest.raises(macpo.UsageError, match="Nothing that was saved before is lost"):
        checkpoint.save(directory, 2, {"x": np.arange(3)}, {"n": 2})
    found = checkpoint.load_latest(directory, {"x": np.zeros(3, np.int64)})
    assert found.info == {"n": 1}


def test_a_checkpoint_of_other_shapes_is_refused(tmp_path: Path):
    checkpoint.save(tmp_path, 1, {"x": np.arange(3)}, {})
    with pytest.raises(macpo.UsageError, match="another configuration: x is int64"):
        checkpoint.load_latest(tmp_path, {"x": np.zeros(4, np.int64)})


def test_old_checkpoints_are_removed_but_two(tmp_path: Path):
    for number in range(5):
        checkpoint.save(tmp_path, number, {"x": np.arange(3)}, {})
    assert sorted(p.name for p in tmp_path.glob("*.safetensors")) == [
        "000000000003.safetensors",
        "000000000004.safetensors",
    ]


# --- the format ---------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"format": 1}, {}], ids=["another", "none"])
def test_a_checkpoint_in_an_earlier_format_is_refused_in_a_sentence(
    change: dict[str, int], tmp_path: Path
):
    file = checkpoint.save(tmp_path, 1, {"x": np.arange(3)}, {})
    manifest = json.loads(file.with_suffix(".json").read_text())
    del manifest["format"]
    file.with_suffix(".json").write_text(json.dumps(manifest | change))
    with pytest.raises(macpo.UsageError) as caught:
        checkpoint.load_latest(tmp_path, {"y": np.zeros(4)})
    assert str(caught.value) == (
        f"{file} was written by an earlier layout of macpo, which this version cannot read; "
        "train again with `macpo train`."
    )


@pytest.mark.parametrize("metadata", [{"macpo_format": "1"}, None], ids=["another", "none"])
def test_parameters_in_an_earlier_format_are_refused_in_a_sentence(
    metadata: dict[str, str] | None,
):
    data = safetensors.numpy.save({"x": np.arange(3)}, metadata)
    with pytest.raises(macpo.UsageError, match=r"^model was written by an earlier layout of macpo"):
        checkpoint.from_bytes(data, {"x": np.arange(3)}, Path("model"))


def test_parameters_in_this_format_come_back():
    tree = {"x": np.arange(3), "y": [np.ones((2, 1), bool)]}
    again = checkpoint.from_bytes(checkpoint.to_bytes(tree), tree, Path("model"))
    np.testing.assert_array_equal(again["x"], [0, 1, 2])
    np.testing.assert_array_equal(again["y"][0], [[True], [True]])
