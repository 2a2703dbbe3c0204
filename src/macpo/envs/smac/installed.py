"""Find installed parts of StarCraft II: the game, its builds, SMAC's maps, Python packages.

Nothing here starts or imports them.
"""

import importlib.metadata
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from macpo.errors import UsageError, require

T = TypeVar("T")

DOWNLOAD = "https://blzdistsc2-a.akamaihd.net/Linux/SC2.4.10.zip"
"""Blizzard's headless game for Linux; accepting its licence gives the archive's password."""
SMAC_MAPS = "https://github.com/oxwhirl/smac/releases/download/v0.1-beta1/SMAC_Maps.zip"
HOW_TO = "`macpo doctor` shows what is there; docs/starcraft.md explains the installation."

_EXECUTABLES = ("SC2_x64", "SC2_x64.exe", "SC2.app/Contents/MacOS/SC2")
_CLIENTS = {
    "smac": "git+https://github.com/oxwhirl/smac.git",
    "smacv2": "git+https://github.com/oxwhirl/smacv2.git",
    "pysc2": "'macpo[sc2]'",
}
"""Clients of the game in order of preference → what pip installs them from."""


def game_folder() -> Path:
    """Where the game should be: $SC2PATH, or ~/StarCraftII."""
    return Path(os.environ.get("SC2PATH") or "~/StarCraftII").expanduser()


def builds(folder: Path) -> dict[int, Path]:
    """Executables by build number (75689 is version 4.10), oldest first."""
    found: dict[int, Path] = {}
    for base in (folder / "Versions").glob("Base*"):
        number = base.name.removeprefix("Base")
        for path in (base / name for name in _EXECUTABLES):
            if number.isdigit() and path.is_file() and os.access(path, os.X_OK):
                found[int(number)] = path
    return dict(sorted(found.items()))


def maps(folder: Path) -> list[str]:
    """Names of SMAC's maps in the folder of the game."""
    return sorted(path.stem for path in (folder / "Maps" / "SMAC_Maps").glob("*.SC2Map"))


class Setup(NamedTuple):
    """What a game needs: a client that talks to it, and the file of its map."""

    client: str
    map_file: Path


def require_setup(client: str, battle_map: str) -> Setup:
    """The parts that a game needs; UsageError that names all that are missing."""
    missing: list[str] = []

    def found(find: Callable[..., T], *arguments: object) -> T | None:
        try:
            return find(*arguments)
        except UsageError as error:
            missing.append(str(error))
            return None

    folder = found(require_game)
    map_file = None if folder is None else found(require_map, folder, battle_map)
    package = found(choose_client, client)
    if package is None or map_file is None:
        raise UsageError(" ".join([*missing, HOW_TO]))
    return Setup(package, map_file)


def require_game() -> Path:
    """The folder of the game; UsageError if no game is there."""
    folder = game_folder()
    named = os.environ.get("SC2PATH")
    where = "$SC2PATH" if named else "$SC2PATH is not set; this is the default"
    require(
        folder.is_dir(),
        f"StarCraft II not found: {folder} ({where}) is not a folder. Set SC2PATH to the folder "
        "that holds Versions and Maps.",
    )
    require(
        bool(builds(folder)),
        f"no StarCraft II in {folder} ({where}): expected an executable such as "
        f"{folder}/Versions/Base75689/SC2_x64.",
    )
    return folder


def require_map(folder: Path, name: str) -> Path:
    """The file of one of SMAC's maps; UsageError if it is missing."""
    path = folder / "Maps" / "SMAC_Maps" / f"{name}.SC2Map"
    require(
        path.is_file(),
        f"the map {name!r} is missing: expected {path}. Unpack {SMAC_MAPS} into {folder}/Maps.",
    )
    return path


def client_version(package: str) -> str | None:
    """The version of a client package; None if it is not installed."""
    found = is_smac(package) if package != "pysc2" else _has("pysc2")
    return _version(package) if found else None


def is_smac(package: str) -> bool:
    """Whether an installed `smac` or `smacv2` is the environment (AutoML's `smac` is not)."""
    spec = importlib.util.find_spec(package)
    folders = (spec and spec.submodule_search_locations) or ()
    return any((Path(folder) / "env" / "starcraft2").is_dir() for folder in folders)


def choose_client(wanted: str) -> str:
    """The client of the game: the wanted one, or for "auto" the first that is installed."""
    if wanted == "auto":
        for package in _CLIENTS:
            if client_version(package) is not None:
                return package
        raise UsageError(
            f"no client of StarCraft II is installed: pip install 'macpo[sc2]'{_clash('smac')}."
        )
    require(
        client_version(wanted) is not None,
        f"the client {wanted!r} is not installed: pip install {_CLIENTS[wanted]}{_clash(wanted)}.",
    )
    return wanted


def findings() -> Iterator[tuple[str, str, str]]:
    """Rows of `macpo doctor`: item, finding, advice."""
    folder = game_folder()
    versions = builds(folder)
    yield (
        "StarCraft II",
        f"{folder}: builds {', '.join(map(str, versions))}" if versions else f"not in {folder}",
        "" if versions else f"unpack {DOWNLOAD} and set SC2PATH; docs/starcraft.md",
    )
    names = maps(folder)
    yield (
        "SMAC maps",
        f"{len(names)}: {', '.join(names)}" if names else "none",
        "" if names else f"unpack {SMAC_MAPS} into {folder}/Maps",
    )
    clients = {package: client_version(package) for package in _CLIENTS}
    for package, version in clients.items():
        advice = "" if any(clients.values()) else f"pip install {_CLIENTS[package]}"
        yield f"{package} (client)", version or "absent", f"{advice}{_clash(package)}".strip()
    there = _has("google.protobuf")
    yield (
        "protobuf (client)",
        _version("protobuf") if there else "absent",
        "" if there else "comes with macpo[sc2]",
    )


def _clash(package: str) -> str:
    """A warning if the installed `smac` is not the environment."""
    if package != "smac" or not _has("smac") or is_smac("smac"):
        return ""
    return (
        f" (the installed smac {_version('smac')} is AutoML's SMAC3, another project with the "
        "same name: the two cannot share a Python environment)"
    )


def _has(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its parent is missing
        return False


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"
