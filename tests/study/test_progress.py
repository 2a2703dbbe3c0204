"""How far a run has come, from the end of its metrics."""

import math
from pathlib import Path

import pytest

from macpo.runs.directory import RunDirectory
from macpo.study.progress import Progress, read_progress

TRAIN = '{"kind": "train", "seed": 0, "env_steps": %d, "updates": %d}\n'
TEST = '{"kind": "test", "seed": 0, "env_steps": 200, "updates": 3, "test_return_mean": 7.5}\n'


def progress(tmp_path: Path, text: str) -> Progress:
    (tmp_path / "metrics.jsonl").write_text(text)
    return read_progress(RunDirectory(tmp_path))


def test_the_newest_row_and_the_newest_evaluation_count(tmp_path: Path):
    text = TRAIN % (100, 0) + TEST + TRAIN % (300, 4)
    assert progress(tmp_path, text) == Progress(300, learns=True, result=7.5)


def test_the_share_of_battles_won_is_shown_where_there_are_battles(tmp_path: Path):
    text = TEST.replace("}", ', "test_battle_won_mean": 0.25}')
    assert progress(tmp_path, text).result == 0.25


def test_of_several_seeds_the_mean_of_their_newest_evaluations_is_shown(tmp_path: Path):
    other = TEST.replace('"seed": 0', '"seed": 1')
    text = TEST + other.replace("7.5", "99") + TEST.replace("7.5", "1") + other.replace("7.5", "2")
    assert progress(tmp_path, text).result == 1.5


def test_a_row_that_is_being_written_is_left_out(tmp_path: Path):
    found = progress(tmp_path, TRAIN % (100, 0) + '{"kind": "train", "env_st')
    assert (found.done, found.learns) == (100, False)
    assert math.isnan(found.result)


@pytest.mark.parametrize("line", ["[]", "null", '{"env_steps": 1}', '{"env_steps": {}}', "\x00"])
def test_lines_that_are_no_rows_are_left_out(tmp_path: Path, line: str):
    assert progress(tmp_path, TRAIN % (100, 1) + line + "\n").done == 100


def test_only_the_end_of_a_long_file_is_read(tmp_path: Path):
    text = "".join(TRAIN % (i, 1) for i in range(10_000))
    assert progress(tmp_path, text).done == 9_999


def test_a_run_that_has_not_begun_has_played_nothing(tmp_path: Path):
    assert read_progress(RunDirectory(tmp_path / "run")).done == 0
