"""Rows of metrics read back (tests/report/test_records.py has what is wrong with whole files)."""

import json
from pathlib import Path

import pytest

from macpo.errors import UsageError
from macpo.runs.record.reading import read_end, read_rows

ROWS = [{"kind": "train", "seed": 0, "env_steps": 100 + i} for i in range(10)]
LINE = len(json.dumps(ROWS[0])) + 1


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return file


def test_all_rows_are_read_in_order(file: Path):
    assert read_rows(file) == ROWS


def test_the_end_of_a_file_begins_with_a_whole_line(file: Path):
    assert read_end(file, 2 * LINE + 5) == (ROWS[-2:], False)
    assert read_end(file, 10 * LINE) == (ROWS, True)
    assert read_end(file, 10 * LINE - 1) == (ROWS[1:], False)


def test_a_line_that_is_still_being_written_is_left_out(file: Path):
    file.write_text(file.read_text() + '{"kind"')
    assert read_end(file, 10**6) == (ROWS, True)


def test_a_broken_line_counts_if_it_is_read(file: Path):
    file.write_text("{}\n" + file.read_text())
    assert read_end(file, 2 * LINE)[0] == ROWS[-1:]
    with pytest.raises(UsageError, match=r"near the end of .*metrics\.jsonl is not a row"):
        read_end(file, 10**6)


ROW = json.dumps(ROWS[0])


@pytest.mark.parametrize(
    ("lines", "broken"),
    [
        ([ROW, "", ROW], 2),
        ([ROW, f"{ROW}, {ROW}"], 2),
        ([f'{{"a": [{ROW}', f"{ROW}]}}", ROW], 1),
        ([ROW, f"[{ROW}", f"{ROW}]", f"{ROW}], [{ROW}"], 2),
        ([ROW, '{"a": [[1', f'2]], "a": 3, {ROW[1:]}', f"{ROW}], [{ROW}"], 2),
        ([ROW, '{"kind": "tr', f'ain", {ROW[1:]}', f"{ROW}], [{ROW}"], 2),
        ([ROW, '{"kind": "caf\\ud800"}'], 2),
    ],
    ids=[
        "empty",
        "two rows",
        "an object over two lines",
        "an array",
        "arrays in an object",
        "a string",
        "half a letter",
    ],
)
def test_a_line_that_is_no_row_is_told_whatever_its_neighbours_hold(
    file: Path, lines: list[str], broken: int
):
    file.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(UsageError, match=rf"^line {broken} of .*metrics\.jsonl is not"):
        read_rows(file)


def test_a_missing_file_is_told(tmp_path: Path):
    with pytest.raises(UsageError, match=r"cannot read .*No such file"):
        read_end(tmp_path / "metrics.jsonl", 10)
