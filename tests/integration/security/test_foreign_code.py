"""Files from somebody else: what they name is neither imported nor called unless it is trusted.

A trap springs by making a folder. Each way into the library is tried with files that name it, and
with a current folder full of modules that would spring it.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import macpo
from macpo.cli import main
from macpo.experiment import PARTS, Experiment, from_dict, part_from_dict, to_dict
from macpo.report.records import changed_settings
from macpo.training.host.pool import Pool
from tests.support.sums import Config as Sums

MODULE = """
from pathlib import Path

Path({sprung!r}).mkdir(exist_ok=True)


def make(**options):
    raise SystemExit("the trap was called")
"""


@pytest.fixture
def sprung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that a trap makes; the module `trap` is in the current folder."""
    folder, sprung = tmp_path / "from_a_stranger", tmp_path / "sprung"
    folder.mkdir()
    (folder / "trap.py").write_text(MODULE.format(sprung=str(sprung)))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    yield sprung
    sys.modules.pop("trap", None)


def trapped(part: str, sprung: Path, name: str = "trap:make") -> dict[str, Any]:
    """An experiment as plain data, one part of which is a trap."""
    data = json.loads(json.dumps(to_dict(Experiment(env="two-step"))))
    data[part] = {"name": name}
    if name == "os:mkdir":
        data[part]["options"] = {"path": str(sprung)}
    return data


@pytest.fixture
def run_of_a_stranger(sprung: Path) -> Callable[..., Path]:
    """Makes a run directory, here, whose experiment.json is a trap."""

    def write(part: str = "env", name: str = "os:mkdir") -> Path:
        folder = Path("run")
        folder.mkdir()
        (folder / "experiment.json").write_text(json.dumps(trapped(part, sprung, name)))
        (folder / "model.safetensors").write_bytes(b"")
        Path("study").mkdir()
        arms = {arm: trapped(part, sprung, name) for arm in ("a", "b")}
        plan = {"name": "study", "seeds": [0], "arms": arms}
        Path("study/study.json").write_text(json.dumps({**plan, "cores_per_run": 1}))
        return folder

    return write


# --- every way in ---------------------------------------------------------------------------------

PYTHON: dict[str, Callable[[Path], object]] = {
    "load": macpo.load,
    "evaluate": macpo.evaluate,
    "resume": macpo.resume,
}
COMMANDS: dict[str, list[str]] = {
    "evaluate": ["evaluate", "run"],
    "evaluate elsewhere": ["evaluate", "run", "--env", "two-step"],
    "render": ["render", "run"],
    "render elsewhere": ["render", "run", "--env", "two-step"],
    "resume": ["resume", "run"],
    "resume on": ["resume", "run", "--steps", "10"],
    "push": ["push", "run", "me/run"],
    "train": ["train", "--config", "run/experiment.json"],
    "train with a preset": ["train", "--config", "run/experiment.json", "--preset", "pymarl"],
    "sweep": ["sweep", "study"],
    "sweep into it": ["sweep", "--env", "two-step", "--out", "study"],
    "compare until decided": ["compare", "study", "a", "b", "--until-decided"],
    "train help": ["train", "--config", "run/experiment.json", "--help"],
}
TRAPS = [("env", "os:mkdir"), *((part, "trap:make") for part in PARTS)]
every_trap = pytest.mark.parametrize(("part", "name"), TRAPS)


@every_trap
@pytest.mark.parametrize("way", PYTHON)
def test_python_refuses_a_strangers_names(
    way: str, part: str, name: str, run_of_a_stranger: Callable[..., Path], sprung: Path
) -> None:
    with pytest.raises(macpo.UsageError, match=f"would import and call .* the .* '{name}'"):
        PYTHON[way](run_of_a_stranger(part, name))
    assert not sprung.exists()


@every_trap
@pytest.mark.parametrize("way", COMMANDS)
def test_commands_refuse_a_strangers_names(
    way: str,
    part: str,
    name: str,
    run_of_a_stranger: Callable[..., Path],
    sprung: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_of_a_stranger(part, name)
    with pytest.raises(SystemExit) as stopped:
        main(COMMANDS[way])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert f"'{name}'" in said and "--trust" in said
    assert "run/experiment.json" in said or "study/study.json" in said
    assert not sprung.exists()


def test_the_refusal_shows_what_would_be_called(
    run_of_a_stranger: Callable[..., Path], sprung: Path
) -> None:
    with pytest.raises(macpo.UsageError) as refused:
        macpo.load(run_of_a_stranger())
    assert f"{str(sprung)[-20:]}'}};" in str(refused.value)


@pytest.mark.parametrize("name", [["os:mkdir"], {"os": "mkdir"}, None, 5])
def test_a_name_that_is_no_text_is_refused(name: Any, sprung: Path) -> None:
    data = to_dict(Experiment(env="two-step"))
    data["env"]["name"] = name
    with pytest.raises(macpo.UsageError, match=r"env\.name must be text"):
        from_dict(data)


def test_a_report_imports_nothing_and_still_tells_the_other_parts(sprung: Path) -> None:
    data = trapped("env", sprung)
    data["algorithm"]["lr"] = 0.5
    assert changed_settings(data) == ["algorithm.lr 0.5"]
    assert not sprung.exists()


# --- trusted --------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", PYTHON)
def test_the_trap_springs_in_python_if_trusted(
    way: str, run_of_a_stranger: Callable[..., Path], sprung: Path
) -> None:
    call: Callable[..., object] = PYTHON[way]
    with pytest.raises(macpo.UsageError, match="os:mkdir returned None"):
        call(run_of_a_stranger(), trust=True)
    assert sprung.exists()


@pytest.mark.parametrize("way", ["evaluate", "render", "resume"])
def test_the_trap_springs_in_commands_if_trusted(
    way: str, run_of_a_stranger: Callable[..., Path], sprung: Path
) -> None:
    run_of_a_stranger("env", "trap:make")
    with pytest.raises(SystemExit, match="the trap was called"):
        main([*COMMANDS[way], "--trust"])
    assert sprung.exists()


@pytest.mark.parametrize("command", [[*COMMANDS["train"], "--help"], COMMANDS["sweep"]])
def test_the_trap_springs_when_training_is_configured_by_a_trusted_file(
    command: list[str], run_of_a_stranger: Callable[..., Path], sprung: Path
) -> None:
    run_of_a_stranger("env", "trap:make")
    with pytest.raises(SystemExit):
        main([*command, "--trust"])
    assert sprung.exists()


def test_what_the_user_names_is_trusted(sprung: Path) -> None:
    with pytest.raises(SystemExit, match="the trap was called"):
        main(["check-env", "trap:make"])
    assert sprung.exists()


def test_what_the_parent_of_a_worker_has_made_is_trusted(sprung: Path) -> None:
    section = trapped("env", sprung, "os:mkdir")["env"]
    assert part_from_dict("env", section, trust=True).options == {"path": str(sprung)}
    with pytest.raises(macpo.UsageError, match="os:mkdir"):
        part_from_dict("env", section)


# --- the current folder ---------------------------------------------------------------------------

ENTRY_POINTS = "".join(f"[macpo.{kind}]\ntrap = trap:make\n\n" for kind in PARTS.values())


def test_the_current_folder_is_not_imported_from(sprung: Path) -> None:
    """Neither modules that are called like others, nor what declares itself as a plug-in."""
    for name in ("numpy", "tyro", "jax"):
        Path(f"{name}.py").write_text(MODULE.format(sprung=str(sprung)))
    Path("trap-1.0.dist-info").mkdir()
    Path("trap-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: trap\n")
    Path("trap-1.0.dist-info/entry_points.txt").write_text(ENTRY_POINTS)
    listed = subprocess.run(
        [sys.executable, "-m", "macpo", "list"], capture_output=True, text=True, check=False
    )
    assert listed.returncode == 0, listed.stderr
    assert "predator-prey" in listed.stdout
    assert not sprung.exists()


def test_workers_do_not_import_from_the_current_folder_either(sprung: Path) -> None:
    Path("numpy.py").write_text(MODULE.format(sprung=str(sprung)))
    env = Sums()
    part = to_dict(Experiment(env=env))["env"]
    with Pool(part, env.make().spec, 1) as pool:
        while not pool.idle():
            pool.wait()
    assert not sprung.exists()


def test_a_module_of_the_users_own_is_found_in_the_current_folder(sprung: Path) -> None:
    with pytest.raises(SystemExit, match="the trap was called"):
        main(["train", "--env", "trap:make"])
    assert "" in sys.path
