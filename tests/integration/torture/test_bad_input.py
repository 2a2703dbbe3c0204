"""Bad input is refused in a sentence, before anything is made."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import macpo
from macpo.errors import UsageError
from macpo.experiment import PARTS, from_dict, to_dict
from tests.integration.torture.conftest import Undisturbed
from tests.support.torture import damage, game, inputs
from tests.support.torture.commands import call
from tests.support.torture.size import cases, fail_if, rng_of

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a file and an empty folder in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").write_bytes(b"something\n")
    (tmp_path / "a_folder").mkdir()
    return tmp_path


def left(folder: Path) -> str:
    """What a command has left in the current folder, in words, or nothing."""
    ours = ("a_file", "a_folder", "settings.json")
    found = [path.name for path in sorted(folder.iterdir()) if path.name not in ours]
    return f"refused, and yet it has made {', '.join(found)[:80]}" if found else ""


@cases(60, 1200)
def test_a_bad_command_line_gets_a_sentence_and_makes_nothing(
    case: int, whole: Undisturbed, folder: Path
):
    outcome = call(*inputs.bad_command(rng_of(case), whole.directory))
    fail_if(outcome.fault(), outcome.command)
    fail_if("accepted" if outcome.status != 2 else left(folder), outcome.command)
    assert (folder / "a_file").read_bytes() == b"something\n"


@cases(3, 200)
def test_a_number_at_the_end_of_its_range_is_refused_or_trained_with(case: int, folder: Path):
    outcome = call(*inputs.extreme_command(rng_of(case)), "--out", "run")
    fail_if(outcome.fault(), outcome.command)
    if outcome.status == 2:
        fail_if(left(folder), outcome.command)
    else:
        fail_if("" if Path("run/metrics.jsonl").stat().st_size else "no rows", outcome.command)


@cases(6, 300)
def test_a_file_of_settings_is_refused_or_trained_with_as_it_says(case: int, folder: Path):
    text, what = damage.edit(to_dict(game.SMALLEST), rng_of(case))
    Path("settings.json").write_text(text)
    outcome = call("train", "--config", "settings.json", "--steps", "8", "--out", "run")
    fail_if(outcome.fault(), what)
    if outcome.status == 2:
        fail_if(left(folder), what)
        return
    trained = json.loads(Path("run/experiment.json").read_text())
    asked = json.loads(text)
    asked["run"]["steps"] = 8
    changed = [
        f"{part}.{name}"
        for part, values in asked.items()
        for name, value in values.items()
        if trained.get(part, {}).get(name) != value
    ]
    fail_if(f"accepted, but with another {', '.join(changed)}" if changed else "", what)


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
        fail_if(f"a traceback: {type(error).__name__}: {error}", what)
        return
    try:
        again = from_dict(json.loads(json.dumps(to_dict(experiment), allow_nan=False)))
    except Exception as error:
        fail_if(f"accepted, but its file is not: {type(error).__name__}: {error}"[:500], what)
        return
    fail_if("" if again == experiment else f"its file is of another: {again}", what)
