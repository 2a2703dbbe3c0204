"""What is missing is said before anything starts, in one sentence that tells what to do."""

import importlib.metadata
import sys
from pathlib import Path

import pytest

import macpo
from macpo.cli import main
from macpo.envs.smac import game, installed
from macpo.envs.smac.environment import Config
from macpo.errors import UsageError
from macpo.training import trainer

from .conftest import Installation


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What SC2PATH names: a game, the map 3m, and a client that is never called."""
    monkeypatch.setenv("SC2PATH", str(tmp_path))
    monkeypatch.setattr(installed, "choose_client", lambda wanted: "pysc2")
    Installation(tmp_path).write("3m", {})
    return tmp_path


def refusal(settings: Config) -> str:
    with pytest.raises(UsageError) as error:
        settings.make().reset(0)
    assert "\n" not in str(error.value)
    return str(error.value)


def package(folder: Path, name: str, *files: str) -> None:
    """A package that can be found; importing it fails."""
    for file in ("__init__.py", *files):
        path = folder / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("raise AssertionError('imported')")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only place for Python packages."""
    place = tmp_path / "packages"
    place.mkdir()
    monkeypatch.setattr(sys, "path", [str(place)])
    for name in ("smac", "smacv2", "pysc2"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return place


# --- the game -------------------------------------------------------------------------------------


def test_a_folder_that_does_not_exist(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SC2PATH", "/no/such/folder")
    said = refusal(Config(map="3m"))
    assert said.startswith("StarCraft II not found: /no/such/folder ($SC2PATH) is not a folder.")
    assert "Set SC2PATH to the folder that holds Versions and Maps" in said


def test_the_variable_is_not_set_and_the_default_does_not_exist(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("SC2PATH")
    monkeypatch.setenv("HOME", str(folder))
    said = refusal(Config(map="3m"))
    assert (
        f"{folder}/StarCraftII ($SC2PATH is not set; this is the default) is not a folder" in said
    )


def test_a_folder_without_an_executable(folder: Path):
    (folder / "Versions" / "Base75689" / "SC2_x64").chmod(0o644)
    said = refusal(Config(map="3m"))
    assert said.startswith(f"no StarCraft II in {folder}")
    assert f"{folder}/Versions/Base75689/SC2_x64" in said


def test_a_map_that_is_not_there(folder: Path):
    said = refusal(Config(map="MMM2"))
    assert f"expected {folder}/Maps/SMAC_Maps/MMM2.SC2Map" in said
    assert "https://github.com/oxwhirl/smac/releases" in said


def test_a_map_that_smac_does_not_have():
    with pytest.raises(UsageError, match=r"no map '5m_vs_7m'; did you mean '5m_vs_6m'\?"):
        Config(map="5m_vs_7m")


def test_a_timeout_of_nothing():
    with pytest.raises(UsageError, match="smac: timeout must be between 1 and 1,000,000, not 0"):
        Config(timeout=0)


def test_a_version_that_is_not_installed(installation: Installation):
    said = refusal(Config(map="5m_vs_6m", client="pysc2", game_version="4.6.2"))
    assert said.startswith("game_version '4.6.2' is not installed")
    assert "'4.10.0', 'latest'" in said
    assert installation.launches() == []


def test_the_newest_build_is_the_default(installation: Installation):
    builds = installation.folder / "Versions"
    (builds / "Base75689").rename(builds / "Base69232")
    installation.write("5m_vs_6m", {"allies": [], "enemies": []})
    assert list(installed.builds(installation.folder)) == [69232, 75689]


# --- all of it ------------------------------------------------------------------------------------


def test_everything_that_is_missing_is_said_at_once_with_where_to_read_on(
    packages: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SC2PATH", "/no/such/folder")
    with pytest.raises(UsageError) as error:
        Config(map="3m").make().check_ready()
    said = str(error.value)
    game, client = (
        "StarCraft II not found: /no/such/folder",
        "no client of StarCraft II is installed",
    )
    assert said.index(game) < said.index(client) < said.index("`macpo doctor`")
    assert said.endswith("docs/starcraft.md explains the installation.") and "\n" not in said


def test_a_map_alone_that_is_missing_is_said_alone(folder: Path):
    found = Config(map="3m", client="pysc2").make()
    found.check_ready()
    (folder / "Maps" / "SMAC_Maps" / "3m.SC2Map").unlink()
    with pytest.raises(UsageError, match=r"^the map '3m' is missing: [^`]* `macpo doctor` shows"):
        found.check_ready()


def test_what_is_there_is_a_client_and_a_map(folder: Path):
    setup = installed.require_setup("auto", "3m")
    assert setup == ("pysc2", folder / "Maps" / "SMAC_Maps" / "3m.SC2Map")


def test_a_run_without_the_game_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SC2PATH", "/no/such/folder")
    monkeypatch.setattr(trainer, "HostEnvStub", None)  # what follows: a trainer, memory, programs
    with pytest.raises(UsageError, match="StarCraft II not found"):
        macpo.train(macpo.Experiment(env=Config(map="3m")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_policy_is_made_without_the_game(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SC2PATH", "/no/such/folder")
    made = trainer.make_trainer(macpo.Experiment(env=Config(map="3m"), algorithm="vdn"))
    assert made.env.spec.n_agents == 3


def test_check_env_says_what_is_missing_in_the_same_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("SC2PATH", "/no/such/folder")
    with pytest.raises(SystemExit, match="2"):
        main(["check-env", "smac", "--env.map", "3m"])
    assert capsys.readouterr().err.startswith("macpo: StarCraft II not found: /no/such/folder")


# --- what the game shows --------------------------------------------------------------------------


def test_a_map_with_other_numbers_of_units(installation: Installation):
    installation.write("3m", {"allies": [[2005, 9.0, 16.0, 45.0, 0.0]], "enemies": []})
    said = refusal(Config(map="3m", client="pysc2", timeout=20))
    assert "3m.SC2Map shows 1 allies and 0 enemies, but 3m has 3 and 3" in said
    assert installation.running() == []


def test_a_map_with_other_enemies(installation: Installation):
    sides = [[[kind, 9.0, 16.0, 45.0, 0.0]] * 3 for kind in (2005, 73)]
    installation.write("3m", {"allies": sides[0], "enemies": sides[1]})
    said = refusal(Config(map="3m", client="pysc2", timeout=20))
    assert "the game's enemies have the types [73, 73, 73], which are not those of 3m" in said


def test_a_game_whose_units_endure_more(installation: Installation):
    sides = [[[kind, 9.0, 16.0, 55.0, 0.0]] * 3 for kind in (2005, 48)]
    installation.write("3m", {"allies": sides[0], "enemies": sides[1]})
    said = refusal(Config(map="3m", client="pysc2", timeout=20))
    assert "type 2005 has 55 health and 0 shield in this game, not 45 and 0" in said


# --- clients --------------------------------------------------------------------------------------


def test_no_client_at_all(packages: Path):
    with pytest.raises(
        UsageError, match=r"no client of StarCraft II .* pip install 'macpo\[sc2\]'"
    ):
        installed.choose_client("auto")


def test_a_client_that_is_not_installed(packages: Path):
    with pytest.raises(UsageError, match=r"the client 'smacv2' is not installed: pip install git"):
        installed.choose_client("smacv2")
    with pytest.raises(UsageError, match=r"'pysc2' is not installed: pip install 'macpo\[sc2\]'"):
        installed.choose_client("pysc2")


def test_automl_s_smac_is_not_taken_for_the_game_s(packages: Path):
    package(packages, "smac", "facade/__init__.py", "env.py")
    with pytest.raises(UsageError, match=r"the installed smac .* is AutoML's SMAC3, another"):
        installed.choose_client("smac")


def test_the_first_client_that_is_installed_is_chosen(packages: Path):
    package(packages, "pysc2")
    assert installed.choose_client("auto") == "pysc2"
    package(packages, "smacv2", "env/starcraft2/__init__.py")
    assert installed.choose_client("auto") == "smacv2"
    package(packages, "smac", "facade/__init__.py")  # AutoML's
    assert installed.choose_client("auto") == "smacv2"
    package(packages, "smac", "env/starcraft2/__init__.py")
    assert installed.choose_client("auto") == "smac"


@pytest.fixture
def afresh(monkeypatch: pytest.MonkeyPatch):
    """pysc2 is imported once only; these tests look at how."""
    game.pysc2.cache_clear()
    yield monkeypatch
    game.pysc2.cache_clear()


def test_pysc2_without_the_module_it_needs(afresh: pytest.MonkeyPatch):
    for module in ("pysc2", "pysc2.run_configs"):
        afresh.setitem(sys.modules, module, None)
    with pytest.raises(
        UsageError, match=r"missing, which connects to .*pip install 'macpo\[sc2\]'"
    ):
        game.pysc2()


def test_a_new_protobuf_with_its_compiled_parser(afresh: pytest.MonkeyPatch):
    implementation = pytest.importorskip("google.protobuf.internal.api_implementation")
    afresh.setattr(importlib.metadata, "version", lambda package: "7.36.2")
    afresh.setattr(implementation, "Type", lambda: "upb")
    with pytest.raises(
        UsageError,
        match=r"protobuf 7.36.2 .*PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python before Python "
        r"starts, or pip install 'protobuf<3.21'",
    ):
        game.pysc2()


def test_an_old_protobuf_is_used_as_it_is(afresh: pytest.MonkeyPatch):
    implementation = pytest.importorskip("google.protobuf.internal.api_implementation")
    pytest.importorskip("pysc2")
    afresh.setattr(importlib.metadata, "version", lambda package: "3.20.3")
    afresh.setattr(implementation, "Type", lambda: "cpp")
    assert game.pysc2().sc_pb.Request().ByteSize() == 0


# --- macpo doctor ---------------------------------------------------------------------------------


def report() -> dict[str, tuple[str, str]]:
    return {what: (found, advice) for what, found, advice in installed.findings()}


def test_the_doctor_lists_builds_maps_and_clients(folder: Path, packages: Path):
    package(packages, "pysc2")
    found = report()
    assert found["StarCraft II"] == (f"{folder}: builds 75689", "")
    assert found["SMAC maps"] == ("1: 3m", "")
    assert found["pysc2 (client)"][0] != "absent"
    assert found["smac (client)"] == ("absent", "")


def test_the_doctor_says_how_to_get_what_is_missing(
    packages: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SC2PATH", "/no/such/folder")
    package(packages, "smac", "facade/__init__.py")
    found = report()
    assert found["StarCraft II"][0] == "not in /no/such/folder"
    assert "https://blzdistsc2-a.akamaihd.net/Linux/SC2.4.10.zip" in found["StarCraft II"][1]
    assert found["SMAC maps"][0] == "none"
    assert "SMAC_Maps.zip into /no/such/folder/Maps" in found["SMAC maps"][1]
    assert found["pysc2 (client)"] == ("absent", "pip install 'macpo[sc2]'")
    assert "AutoML's SMAC3" in found["smac (client)"][1]
