"""Numbered checkpoints: the newest two, and a note while there is none."""

import os
from pathlib import Path

import numpy as np
import pytest

import macpo
from macpo.runs import arrays, checkpoint

STATE = {"x": np.arange(3)}


def names(directory: Path) -> list[str]:
    return sorted(file.name for file in directory.iterdir())


def test_a_checkpoint_is_one_file_that_holds_the_state_and_what_is_said_of_it(tmp_path: Path):
    file = checkpoint.save(tmp_path, 12, STATE, {"n": 1})
    assert file == tmp_path / "000000000012.safetensors"
    assert names(tmp_path) == [file.name]
    assert arrays.read(file).info == {"n": 1}
    np.testing.assert_array_equal(arrays.read(file).tree(STATE)["x"], [0, 1, 2])


def test_the_newest_comes_first_and_what_is_no_checkpoint_is_not_there(tmp_path: Path):
    for name in ("000000000002.safetensors", "000000000010.safetensors", "000000000003.json"):
        (tmp_path / name).touch()
    (tmp_path / ".000000000011.safetensors.1.tmp").touch()
    assert [file.stem for file in checkpoint.files(tmp_path)] == ["000000000010", "000000000002"]


@pytest.mark.parametrize("kind", ["none", "a file", "a link to nowhere"])
def test_where_there_is_no_folder_there_are_no_checkpoints(kind: str, tmp_path: Path):
    folder = tmp_path / "checkpoints"
    if kind == "a file":
        folder.touch()
    elif kind == "a link to nowhere":
        folder.symlink_to("nowhere")
    assert checkpoint.files(folder) == [] and not checkpoint.none_yet(folder)
    if kind != "none":
        with pytest.raises(macpo.UsageError, match=r"cannot create .*checkpoints: File exists"):
            checkpoint.save(folder, 1, STATE, {})


def test_old_checkpoints_are_removed_but_two(tmp_path: Path):
    for number in range(5):
        checkpoint.save(tmp_path, number, STATE, {})
    assert names(tmp_path) == ["000000000003.safetensors", "000000000004.safetensors"]


def test_newer_ones_that_were_passed_over_are_removed_once_there_is_another(tmp_path: Path):
    for number in (3, 4, 9):
        checkpoint.save(tmp_path, number, STATE, {})
    checkpoint.save(tmp_path, 5, STATE, {})  # 9 was damaged, and the run resumed from 4
    assert names(tmp_path) == ["000000000004.safetensors", "000000000005.safetensors"]


def test_a_full_disk_loses_nothing(tmp_path: Path):
    directory = tmp_path / "checkpoints"
    checkpoint.save(directory, 1, STATE, {"n": 1})
    (directory / f".000000000002.safetensors.{os.getpid()}.tmp").mkdir()  # cannot be written
    with pytest.raises(macpo.UsageError, match="Nothing that was saved before is lost"):
        checkpoint.save(directory, 2, STATE, {"n": 2})
    (newest,) = checkpoint.files(directory)
    assert arrays.read(newest).info == {"n": 1}


def test_a_note_says_that_there_is_none_yet_until_there_is_one(tmp_path: Path):
    directory = tmp_path / "checkpoints"
    checkpoint.begin(directory)
    assert checkpoint.none_yet(directory)
    assert b"macpo resume" in (directory / checkpoint.NONE_YET).read_bytes()
    checkpoint.save(directory, 1, STATE, {})
    assert not checkpoint.none_yet(directory)
