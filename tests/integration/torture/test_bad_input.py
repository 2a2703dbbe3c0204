"""Bad input is refused in a sentence, before anything is made."""

import json
import os
import resource
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

import macpo
from macpo.errors import UsageError
from macpo.experiment import PARTS, from_dict, to_dict
from tests.integration.torture.conftest import Undisturbed
from tests.support.torture import damage, game, inputs
from tests.support.torture.commands import call
from tests.support.torture.size import cases, rng_of

pytestmark = pytest.mark.slow
GIGABYTES = 6
"""Memory that a command may ask for; more is an error of this process, not of the machine."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a file and an empty folder in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").write_bytes(b"something\n")
    (tmp_path / "a_folder").mkdir()
    return tmp_path


@pytest.fixture(autouse=True)
def _little_memory() -> Generator[None]:
    before, most = resource.getrlimit(resource.RLIMIT_AS)
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (in_use + GIGABYTES * 2**30, most))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (before, most))


def made(folder: Path) -> list[str]:
    """What a command has left in the current folder."""
    return sorted(path.name for path in folder.iterdir() if path.name not in ("a_file", "a_folder"))


@cases(60, 1200)
def test_a_bad_command_line_gets_a_sentence_and_makes_nothing(
    case: int, whole: Undisturbed, folder: Path
):
    outcome = call(*inputs.bad_command(rng_of(case), whole.directory))
    assert not outcome.fault(), outcome.command
    assert outcome.status == 2, f"accepted: {outcome.command}"
    assert not made(folder), f"left by what was refused: {outcome.command}"
    assert (folder / "a_file").read_bytes() == b"something\n"


@cases(4, 200)
def test_a_number_at_the_end_of_its_range_is_refused_or_trained_with(case: int, folder: Path):
    outcome = call(*inputs.extreme_command(rng_of(case)), "--out", "run")
    assert not outcome.fault(), outcome.command
    if outcome.status == 2:
        assert not made(folder), f"left by what was refused: {outcome.command}"
    else:
        assert (folder / "run" / "metrics.jsonl").stat().st_size, outcome.command


@cases(20, 300)
def test_a_file_of_settings_is_refused_or_trained_with_as_it_says(case: int, folder: Path):
    text, what = damage.edit(to_dict(game.SMALLEST), rng_of(case))
    Path("settings.json").write_text(text)
    outcome = call("train", "--config", "settings.json", "--steps", "8", "--out", "run")
    assert not outcome.fault(), f"{what}: {outcome.command}"
    if outcome.status == 2:
        assert made(folder) == ["settings.json"], f"left by what was refused: {what}"
        return
    trained = json.loads(Path("run/experiment.json").read_text())
    trained["run"]["steps"] = game.RUN.steps
    asked = json.loads(text)
    defaults = to_dict(macpo.Experiment(run=macpo.Run()))
    for part, values in asked.items():
        for name, value in values.items():
            assert trained[part][name] == value, f"accepted and changed: {what}"
    assert asked.keys() <= trained.keys() == defaults.keys(), what


@cases(60, 300)
def test_what_python_accepts_survives_its_file(case: int):
    config, name, value = inputs.odd_setting(rng_of(case))
    what = f"{config.__name__}({name}={value!r:.60})"
    part = next((p for p, kind in PARTS.items() if config in inputs.plugins(kind)), None)
    try:
        made = config(**{name: value})
        if config is macpo.Run:
            experiment = replace(game.SMALLEST, run=made)
        elif part is None:
            experiment = replace(game.SMALLEST, replay=made)
        else:
            experiment = macpo.Experiment(**{part: made})
    except UsageError:
        return
    except Exception as error:
        pytest.fail(f"{what}: a traceback: {type(error).__name__}: {error}")
    try:
        again = from_dict(json.loads(json.dumps(to_dict(experiment), allow_nan=False)))
    except Exception as error:
        pytest.fail(f"{what} is accepted but not by its file: {type(error).__name__}: {error}")
    assert again == experiment, what
