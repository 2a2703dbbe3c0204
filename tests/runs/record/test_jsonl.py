"""JSON lines that can be cut back."""

import json
from pathlib import Path

import pytest

from macpo.errors import UsageError
from macpo.runs.record.jsonl import JsonLines
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
    length = sink.sync()
    sink.write(TEST)
    sink.close()
    again = JsonLines(tmp_path / "m.jsonl", length)
    again.write(TRAIN)
    again.close()
    lines = (tmp_path / "m.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["train", "train"]


def test_what_is_synced_is_on_disk_and_as_long_as_it_says(tmp_path: Path):
    sink = JsonLines(tmp_path / "m.jsonl")
    sink.write(TRAIN)
    assert sink.sync() == (tmp_path / "m.jsonl").stat().st_size > 0
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
