"""Arrays in a file: as they were, or noticed to be other ones."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import macpo
from macpo.runs import arrays
from macpo.runs.arrays import Damaged, EarlierFormat

TREE = {"x": np.arange(3), "y": [np.ones((2, 1), bool)]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    arrays.write(tmp_path / "model", TREE, {"n": [1, "two"]})
    return tmp_path / "model"


def test_arrays_come_back_with_what_was_said_of_them(file: Path):
    found = arrays.read(file)
    assert found.info == {"n": [1, "two"]}
    again = found.tree(TREE)
    np.testing.assert_array_equal(again["x"], [0, 1, 2])
    np.testing.assert_array_equal(again["y"][0], [[True], [True]])


def test_any_reader_of_safetensors_can_read_them(file: Path):
    found = safetensors.numpy.load_file(file)
    np.testing.assert_array_equal(found["x"], [0, 1, 2])
    np.testing.assert_array_equal(found["y.0"], [[True], [True]])


def test_the_same_arrays_are_the_same_bytes(file: Path, tmp_path: Path):
    arrays.write(tmp_path / "again", TREE, {"n": [1, "two"]})
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


def test_a_tree_without_arrays_can_be_kept_too(tmp_path: Path):
    arrays.write(tmp_path / "none", {"x": ()})
    assert arrays.read(tmp_path / "none").tree({"x": ()}) == {"x": ()}


# --- damage ---------------------------------------------------------------------------------------


def test_no_bit_of_the_file_can_change_unnoticed(file: Path):
    intact = file.read_bytes()
    for position in range(len(intact)):
        data = bytearray(intact)
        data[position] ^= 1 << position % 8
        file.write_bytes(data)
        with pytest.raises(Damaged, match=f"^{file} is damaged: "):
            arrays.read(file)


def test_no_byte_can_be_missing_and_none_be_added(file: Path):
    intact = file.read_bytes()
    for length in range(len(intact)):
        file.write_bytes(intact[:length])
        with pytest.raises(Damaged):
            arrays.read(file)
    file.write_bytes(intact + b"0")
    with pytest.raises(Damaged):
        arrays.read(file)


@pytest.mark.parametrize("what", ["missing", "a folder"])
def test_what_is_no_file_counts_as_damaged(what: str, tmp_path: Path):
    if what == "a folder":
        (tmp_path / "model").mkdir()
    with pytest.raises(Damaged):
        arrays.read(tmp_path / "model")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_not_damaged(file: Path):
    file.chmod(0)
    with pytest.raises(macpo.UsageError, match=r"cannot read .*: Permission denied") as caught:
        arrays.read(file)
    assert not isinstance(caught.value, Damaged)


def test_a_permission_that_is_missing_is_no_damage(file: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(macpo.UsageError, match=r"^cannot read .*: Permission denied") as caught:
        arrays.read(file)
    assert not isinstance(caught.value, Damaged)


# --- other files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("metadata", [{"macpo_format": "2"}, None], ids=["of macpo", "of others"])
def test_an_earlier_format_is_refused_in_a_sentence(metadata: Any, tmp_path: Path):
    file = tmp_path / "model"
    file.write_bytes(safetensors.numpy.save({"x": np.arange(3)}, metadata))
    with pytest.raises(EarlierFormat) as caught:
        arrays.read(file)
    assert str(caught.value) == (
        f"{file} was written by an earlier layout of macpo, which this version cannot read; "
        "train again with `macpo train`."
    )


def test_a_format_of_another_number_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(arrays, "FORMAT", arrays.FORMAT + 1)
    with pytest.raises(EarlierFormat):
        arrays.read(file)


def test_a_file_whose_checksum_was_left_out_is_damaged(tmp_path: Path):
    file = tmp_path / "model"
    about = json.dumps({"format": arrays.FORMAT, "info": {}})
    file.write_bytes(safetensors.numpy.save({"x": np.arange(3)}, {"macpo": about}))
    with pytest.raises(Damaged):
        arrays.read(file)


@pytest.mark.parametrize(
    ("like", "message"),
    [
        ({"x": np.zeros(4, np.int64)}, r"x is int64\[3\], expected int64\[4\]"),
        ({"x": np.zeros(3, np.float32)}, r"x is int64\[3\], expected float32\[3\]"),
        ({"z": np.zeros(3, np.int64)}, r"'x' is in only one of the two"),
    ],
    ids=["shape", "type", "name"],
)
def test_arrays_of_another_configuration_are_refused(like: Any, message: str, tmp_path: Path):
    arrays.write(tmp_path / "model", {"x": np.arange(3)})
    with pytest.raises(macpo.UsageError, match=f"belongs to another configuration: {message}"):
        arrays.read(tmp_path / "model").tree(like)
