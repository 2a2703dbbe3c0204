"""One run of a study in this process."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import macpo
from macpo import Study, UsageError
from macpo.study import carry_out as module
from macpo.study.carry_out import carry_out
from macpo.study.directory import StudyDirectory
from macpo.study.study import PlannedRun
from tests.study.conftest import SMALL

RUN = PlannedRun("a", 1)
QUIET = Console(quiet=True)


@pytest.mark.slow
def test_a_run_is_trained_once_and_then_found_finished(tmp_path: Path):
    directory = StudyDirectory(tmp_path)
    directory.begin(Study("weights", {"a": SMALL}, seeds=[1]), cores=1)
    assert carry_out(directory, RUN, console=QUIET).finished
    written = directory.run(RUN).metrics.read_bytes()
    assert b'"seed": 1' in written
    assert carry_out(directory, RUN, console=QUIET).finished
    assert directory.run(RUN).metrics.read_bytes() == written


def test_a_run_of_other_settings_in_its_place_is_refused(tmp_path: Path):
    directory = StudyDirectory(tmp_path)
    directory.begin(Study("weights", {"a": SMALL}, seeds=[1]), cores=1)
    files = directory.run(RUN)
    files.path.mkdir(parents=True)
    files.write_experiment(replace(SMALL, run=macpo.Run(steps=7, batch_size=8, seed=1)))
    with pytest.raises(UsageError, match="holds a run of other settings than its study's arm a"):
        carry_out(directory, RUN, console=QUIET)


def test_a_run_tells_the_command_that_carried_it_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    StudyDirectory(tmp_path).begin(Study("weights", {"a": SMALL}, seeds=[1]), cores=1)
    told = list[list[str]]()

    def train(*args: object, command_line: list[str], **options: object) -> macpo.RunResult:
        told.append(command_line)
        return macpo.RunResult(tmp_path, finished=True)

    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr(module, "signal_at_end_of_parent", lambda number: None)
    monkeypatch.setattr(module, "use_cores", lambda *cores: None)
    monkeypatch.setattr(sys, "argv", ["carry_out.py", str(tmp_path), "a", "1", "1", "1"])
    assert module.main() == 0
    assert told == [["python", "-m", "macpo.study.carry_out", str(tmp_path), "a", "1", "1", "1"]]
