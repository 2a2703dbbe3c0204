"""One run of a study in this process."""

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import macpo
from macpo import Study, UsageError
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
    files.describe(replace(SMALL, run=macpo.Run(steps=7, batch_size=8, seed=1)))
    with pytest.raises(UsageError, match="holds a run of other settings than its study's arm a"):
        carry_out(directory, RUN, console=QUIET)
