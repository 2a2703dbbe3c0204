"""One running game of StarCraft II: its process, and the few requests that an environment needs.

pysc2 launches the game and implements its protocol (protobuf over a websocket). It is imported when
the first game is started, never before.
"""

import functools
import importlib
import importlib.metadata
import os
import signal
import subprocess
import sys
import tempfile
import warnings
import weakref
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from jaxtyping import Bool

from macpo.envs.host import EnvironmentLost
from macpo.envs.smac.installed import builds
from macpo.envs.smac.orders import Command
from macpo.errors import UsageError
from macpo.types import Untyped

ALLY, ENEMY = 1, 2
"""Player numbers, the owners of units."""

_PDEATHSIG = 1  # prctl option: the signal that a process gets when its parent dies


class Unit(NamedTuple):
    """One observed unit; position in cells, cooldown in game loops."""

    tag: int
    owner: int
    unit_type: int
    x: float
    y: float
    health: float
    health_max: float
    shield: float
    shield_max: float
    energy: float
    cooldown: float


class Terrain(NamedTuple):
    """The game's description of its map, in cells; `walkable` is indexed [x, y]."""

    size: tuple[int, int]
    playable: tuple[int, int]
    walkable: Bool[np.ndarray, "X Y"]


@dataclass(frozen=True)
class Launch:
    """How to start a game."""

    map_file: Path
    races: tuple[str, str]
    """Races of the agents and of the computer: "T", "P" or "Z"."""
    difficulty: str
    """Level of the computer: "1" to "9", or "A"."""
    game_version: str | None
    """None for the newest build installed."""
    seed: int
    timeout: int
    """Seconds to wait for any answer."""


class Game:
    """A game that we have joined; its process ends with `close`, at the latest with this process.

    Every method raises EnvironmentLost if the game does not answer as it should.
    """

    def __init__(self, launch: Launch) -> None:
        pysc2()
        self._log = log = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the game)
        try:
            with translated_failures(log):
                process = _start(launch, log)
        except BaseException:
            log.close()
            raise
        self._process, self._controller = process, process.controller
        self._end = weakref.finalize(self, _end, process, log)  # also when Python ends
        try:
            with translated_failures(log):
                self._join(launch)
                self.terrain = _terrain(self._controller.game_info().start_raw)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int | None:
        """The process; None once it has ended."""
        return self._process.pid

    def units(self) -> list[Unit]:
        """All units of both players, in the order of the game."""
        with translated_failures(self._log):
            raw = self._controller.observe().observation.raw_data
        return [
            Unit(
                u.tag,
                u.owner,
                u.unit_type,
                u.pos.x,
                u.pos.y,
                u.health,
                u.health_max,
                u.shield,
                u.shield_max,
                u.energy,
                u.weapon_cooldown,
            )
            for u in raw.units
            if u.owner in (ALLY, ENEMY)
        ]

    def order(self, commands: Sequence[Command]) -> None:
        """Give units orders, which last until the next ones."""
        sc_pb = pysc2().sc_pb
        request = sc_pb.RequestAction()
        for command in commands:
            order = request.actions.add().action_raw.unit_command
            order.ability_id = command.ability
            order.unit_tags.append(command.unit)
            if command.target is not None:
                order.target_unit_tag = command.target
            if command.point is not None:
                order.target_world_space_pos.x, order.target_world_space_pos.y = command.point
        if commands:
            with translated_failures(self._log):
                self._controller.actions(request)

    def advance(self, loops: int) -> None:
        """Let game loops pass."""
        with translated_failures(self._log):
            self._controller.step(loops)

    def kill(self, tags: Sequence[int]) -> None:
        """Kill units; SMAC's maps recreate all units once both sides are dead."""
        debug_pb = pysc2().debug_pb
        command = debug_pb.DebugCommand(kill_unit=debug_pb.DebugKillUnit(tag=tags))
        with translated_failures(self._log):
            self._controller.debug(command)

    def replay(self) -> bytes:
        """Everything since the game was created, as an SC2Replay file."""
        with translated_failures(self._log):
            return self._controller.save_replay()

    def close(self) -> None:
        """Kill the process, since a game may hang."""
        self._end()

    def _join(self, launch: Launch) -> None:
        sc_pb, common_pb = pysc2().sc_pb, pysc2().common_pb
        races = [
            {"T": common_pb.Terran, "P": common_pb.Protoss, "Z": common_pb.Zerg}[race]
            for race in launch.races
        ]
        create = sc_pb.RequestCreateGame(
            local_map=sc_pb.LocalMap(
                map_path=str(launch.map_file), map_data=launch.map_file.read_bytes()
            ),
            realtime=False,
            random_seed=launch.seed,
        )
        create.player_setup.add(type=sc_pb.Participant)
        create.player_setup.add(
            type=sc_pb.Computer, race=races[1], difficulty=int(launch.difficulty, 16)
        )
        self._controller.create_game(create)
        options = sc_pb.InterfaceOptions(raw=True, score=False)
        self._controller.join_game(sc_pb.RequestJoinGame(race=races[0], options=options))


class Modules(NamedTuple):
    """The parts of pysc2 and of Blizzard's protocol that are used."""

    run_configs: Untyped
    process: Untyped
    sc_pb: Untyped
    common_pb: Untyped
    debug_pb: Untyped
    flags: Untyped
    failures: tuple[type[Exception], ...]
    """Every exception that pysc2 raises if a game crashes, hangs or refuses."""


@functools.cache
def pysc2() -> Modules:
    """Import pysc2; UsageError if it is absent or protobuf cannot read Blizzard's protocol."""
    _allow_old_protocol()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the old generated code warns
            run_configs = _module("pysc2.run_configs")
            process, protocol = _module("pysc2.lib.sc_process"), _module("pysc2.lib.protocol")
            controller = _module("pysc2.lib.remote_controller")
            sc_pb, common_pb, debug_pb = (
                _module(f"s2clientprotocol.{name}_pb2") for name in ("sc2api", "common", "debug")
            )
            flags = _module("absl.flags").FLAGS
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the module {error.name} is missing, which connects to StarCraft II: "
            "pip install 'macpo[sc2]'."
        ) from error
    if not flags.is_parsed():
        flags.mark_as_parsed()  # pysc2 reads its flags' defaults; the command line is ours
    failures = (
        protocol.ConnectionError,
        protocol.ProtocolError,
        controller.ConnectError,
        controller.RequestError,
        process.SC2LaunchError,
        _module("websocket").WebSocketException,
        _module("google.protobuf.message").DecodeError,
        OSError,
    )
    return Modules(run_configs, process, sc_pb, common_pb, debug_pb, flags, failures)


def _allow_old_protocol() -> None:
    """Make a recent protobuf read s2clientprotocol; UsageError if protobuf is already imported.

    Blizzard's generated code comes from an old compiler. protobuf 3.21 and later reads it only with
    its pure-Python parser, which must be chosen before protobuf is imported.
    """
    variable = "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"
    version = importlib.metadata.version("protobuf")
    if tuple(map(int, version.split(".")[:2])) < (3, 21):
        return
    if "google.protobuf" not in sys.modules:
        os.environ.setdefault(variable, "python")
    if _module("google.protobuf.internal.api_implementation").Type() != "python":
        raise UsageError(
            f"protobuf {version} cannot read StarCraft II's protocol with its compiled parser: set "
            f"the environment variable {variable}=python before Python starts, or "
            "pip install 'protobuf<3.21'."
        )


@contextmanager
def translated_failures(log: IO[bytes] | None = None) -> Generator[None, None, None]:
    """Turn the exceptions that pysc2 raises for a lost game into EnvironmentLost."""
    try:
        yield
    except pysc2().failures as error:
        output = "" if log is None else _last_output(log)
        raise EnvironmentLost(f"StarCraft II was lost: {error}{output}") from error


def _start(launch: Launch, log: IO[bytes]) -> Untyped:
    modules = pysc2()

    class Process(modules.process.StarcraftProcess):
        def _launch(self, run_config: Untyped, args: list[str], **_: Untyped) -> Untyped:
            return subprocess.Popen(
                [*_die_with_parent(), *args],
                cwd=run_config.cwd,
                env=run_config.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    try:
        config = modules.run_configs.get(version=launch.game_version)
    except ValueError as error:
        raise UsageError(
            f"game_version {launch.game_version!r} is not installed: {error}"
        ) from error
    return Process(
        config,
        exec_path=str(builds(Path(config.data_dir))[config.version.build_version]),
        version=config.version,
        timeout_seconds=launch.timeout,
    )


def _die_with_parent() -> list[str]:
    """A prefix of a command that makes Linux kill it when this process ends, however it ends.

    The prefix is a program that replaces itself by the command: a function for the child to run
    would need a fork, which JAX's threads do not survive.
    """
    if sys.platform != "linux":
        return []
    become = f"prctl({_PDEATHSIG}, {int(signal.SIGKILL)}); os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-SEc", f"import ctypes, os, sys; ctypes.CDLL(None).{become}"]


def _end(process: Untyped, log: IO[bytes]) -> None:
    if process.pid is not None:
        os.kill(process.pid, signal.SIGKILL)
    process.close()
    log.close()


def _last_output(log: IO[bytes]) -> str:
    """The last line that the game printed, in parentheses."""
    log.seek(0)
    lines = log.read().decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f" (its last output: {last[:200]})" if last else ""


def _terrain(raw: Untyped) -> Terrain:
    size = (raw.map_size.x, raw.map_size.y)
    area = raw.playable_area
    grid = np.frombuffer(raw.pathing_grid.data, np.uint8)
    if raw.pathing_grid.bits_per_pixel == 1:  # most significant bit first; row 0 is y = 0
        walkable = np.unpackbits(grid).reshape(size[1], size[0]).astype(bool)
    else:  # games before 4.7: one byte a cell, 0 where units may walk; row 0 is the top
        walkable = grid.reshape(size[1], size[0])[::-1] == 0
    return Terrain(size, (area.p1.x - area.p0.x, area.p1.y - area.p0.y), walkable.T)


def _module(name: str) -> Untyped:
    return importlib.import_module(name)
