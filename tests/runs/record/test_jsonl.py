"""JSON lines that can be cut back."""

import hashlib
import json
from pathlib import Path

import pytest

from macpo.errors import UsageError
from macpo.runs.record.jsonl import Extent, JsonLines, extent
from tests.runs.record.conftest import TEST, TRAIN


def test_rows_are_json_lines(tmp_path: Path):
    sink = JsonLines(tmp_path / "m.jsonl")
    sink.write(TRAIN)
    sink.write(TEST)
    sink.close()
    lines = (tmp_path / "m.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [TRAIN, TEST]


def test_a_file_is_cut_back_to_the_length_of_the_checkpoint(tmp_path: Path):
    sink = JsonLines(tmp_path / "m.jsonl")
    sink.write(TRAIN)
    length = sink.sync().n_bytes
    sink.write(TEST)
    sink.close()
    again = JsonLines(tmp_path / "m.jsonl", length)
    again.write(TRAIN)
    again.close()
    lines = (tmp_path / "m.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["train", "train"]


def test_what_is_synced_is_on_disk_and_what_it_says(tmp_path: Path):
    file = tmp_path / "m.jsonl"
    sink = JsonLines(file)
    sink.write(TRAIN)
    data = file.read_bytes() if sink.sync() else b""
    assert sink.sync() == Extent(len(data), hashlib.sha256(data).hexdigest())
    assert data
    sink.close()


def test_a_file_that_was_cut_back_sums_up_to_what_an_uncut_one_does(tmp_path: Path):
    whole, cut = JsonLines(tmp_path / "whole.jsonl"), JsonLines(tmp_path / "cut.jsonl")
    for sink in (whole, cut):
        sink.write(TRAIN)
    length = cut.sync().n_bytes
    cut.write(TEST)
    cut.close()
    again = JsonLines(tmp_path / "cut.jsonl", length)
    for sink in (whole, again):
        sink.write(TRAIN)
    assert whole.sync() == again.sync()
    whole.close()
    again.close()


def test_an_extent_is_of_as_many_bytes_as_there_are(tmp_path: Path):
    file = tmp_path / "m.jsonl"
    assert extent(file, 3) == Extent(0, hashlib.sha256(b"").hexdigest())
    file.write_bytes(b"abcde")
    assert extent(file, 3) == Extent(3, hashlib.sha256(b"abc").hexdigest())
    assert extent(file, 9) == Extent(5, hashlib.sha256(b"abcde").hexdigest())
    with pytest.raises(UsageError, match=r"cannot read .*: Is a directory"):
        extent(tmp_path, 3)


@pytest.mark.parametrize("what", ["deleted", "moved", "replaced"])
def test_a_file_that_is_gone_is_noticed(what: str, tmp_path: Path):
    file = tmp_path / "m.jsonl"
    sink = JsonLines(file)
    sink.write(TRAIN)
    if what == "deleted":
        file.unlink()
    else:
        file.rename(tmp_path / "elsewhere")
    if what == "replaced":
        file.touch()
    with pytest.raises(UsageError, match=r"m\.jsonl is gone"):
        sink.sync()
    sink.close()


@pytest.mark.parametrize("word", ["nan", "inf", "-inf"])
def test_numbers_that_json_lacks_are_words(tmp_path: Path, word: str):
    sink = JsonLines(tmp_path / "m.jsonl")
    sink.write(TRAIN | {"loss": float(word)})
    sink.close()
    assert json.loads((tmp_path / "m.jsonl").read_text()) == TRAIN | {"loss": word}


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path):
    with pytest.raises(UsageError, match=r"cannot write .*m\.jsonl: No such file or directory"):
        JsonLines(tmp_path / "missing" / "m.jsonl")
