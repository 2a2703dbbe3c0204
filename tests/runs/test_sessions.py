"""When, where and by which commands a run was trained."""

import json
import re
from pathlib import Path

import pytest

import macpo
from macpo.runs.sessions import Session, begin_session, end_session, read_sessions


def test_a_session_tells_when_and_where_it_was(tmp_path: Path):
    file = tmp_path / "sessions.json"
    begin_session(file, ["macpo", "train"])
    (going_on,) = read_sessions(file)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", going_on.begun)
    assert going_on.command_line == ("macpo", "train") and going_on.macpo == macpo.__version__
    assert going_on.cores >= 1 and going_on.device and not going_on.ended
    end_session(file, "finished")
    (over,) = read_sessions(file)
    assert over.outcome == "finished" and over.ended >= going_on.begun


def test_sessions_follow_each_other_and_the_last_one_ends(tmp_path: Path):
    file = tmp_path / "sessions.json"
    begin_session(file, [])
    begin_session(file, ["macpo", "resume", "run"])
    end_session(file, "stopped by SIGINT")
    first, second = read_sessions(file)
    assert (first.outcome, second.outcome) == ("", "stopped by SIGINT")


@pytest.mark.parametrize(
    "text", ["", "{", "{}", "3", "[3]", '[{"begun": 3}]', '[{"begun": "x", "end": 3}]', "[" * 10**5]
)
def test_a_damaged_file_costs_what_it_told_and_no_more(text: str, tmp_path: Path):
    file = tmp_path / "sessions.json"
    file.write_text(text)
    assert read_sessions(file) == []
    end_session(file, "finished")
    assert file.read_text() == text
    begin_session(file, [])
    assert len(read_sessions(file)) == 1


def test_settings_that_a_file_of_an_earlier_version_lacks_are_not_known(tmp_path: Path):
    file = tmp_path / "sessions.json"
    file.write_text(json.dumps([{"begun": "2026-11-29 05:59"}]))
    assert read_sessions(file) == [Session("2026-11-29 05:59")]
