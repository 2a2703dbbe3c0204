"""A stand-in for StarCraft II that speaks its protocol: protobuf messages over a websocket.

Started like the game: `fake_game.py -listen HOST -port PORT -dataDir FOLDER …`. The folder holds
`scenario.json`, the battle (a unit is its type, x, y, most health, most shield and, if any, its
wound); `misbehave.json`, if it is there, says once what goes wrong; every
request is noted in `requests.jsonl`.

Its battles are simple: in a step of eight loops a unit goes 1.125 cells, or takes 9 health from a
target within 6 cells, or gives 4.5 to one; agents and enemies do not block each other.
"""

import base64
import hashlib
import itertools
import json
import math
import os
import socket
import struct
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore", DeprecationWarning)
from google.protobuf.json_format import MessageToDict  # noqa: E402
from s2clientprotocol import sc2api_pb2 as sc_pb  # noqa: E402

SPEED, DAMAGE, HEAL, REACH = 1.125, 9.0, 4.5, 6.0
ATTACK, STOP, MOVE, HEALING = 23, 4, 16, 386


class Battle:
    """Two sides, recreated whenever both are dead, as SMAC's maps do."""

    def __init__(self, scenario: dict[str, Any]) -> None:
        self.scenario = scenario
        self.tags = itertools.count(4_300_000_001)  # 64 bits, as in the game
        self.units: dict[int, dict[str, Any]] = {}
        self.orders: dict[int, Any] = {}
        self.loop = 0
        self.delay = 0
        self.births = 0
        self.create()

    def create(self) -> None:
        self.orders.clear()
        enemies = self.scenario["enemies"]
        if self.births % 2:
            enemies = enemies[::-1]  # the order of observations is not the same in every episode
        self.births += 1
        for owner, side in ((1, self.scenario["allies"]), (2, enemies)):
            for unit_type, x, y, health, shield, *wound in side:
                self.units[next(self.tags)] = {
                    "owner": owner,
                    "unit_type": unit_type,
                    "x": x,
                    "y": y,
                    "health": health - sum(wound),
                    "health_max": health,
                    "shield": shield,
                    "shield_max": shield,
                    "energy": 50.0,
                    "weapon_cooldown": 0.0,
                }

    def side(self, owner: int) -> list[dict[str, Any]]:
        return [unit for unit in self.units.values() if unit["owner"] == owner]

    def advance(self, loops: int) -> None:
        self.loop += loops
        steps = loops / 8
        for tag, order in list(self.orders.items()):
            if tag in self.units:
                self.obey(self.units[tag], order, steps)
        damage = self.scenario.get("enemy_damage", 0.0) * steps
        for enemy in self.side(2):
            near = [u for u in self.side(1) if distance(u, enemy) <= REACH]
            if near and damage:
                hurt(min(near, key=lambda unit: distance(unit, enemy)), damage)
        for enemy in self.side(2):
            more = enemy["health"] + self.scenario.get("regeneration", 0.0) * steps
            enemy["health"] = min(enemy["health_max"], more) if enemy["health"] > 0 else 0.0
        self.units = {tag: unit for tag, unit in self.units.items() if unit["health"] > 0}
        if not self.units:
            self.delay += loops
            if self.delay >= self.scenario.get("delay", 0):
                self.delay = 0
                self.create()

    def obey(self, unit: dict[str, Any], order: Any, steps: float) -> None:
        ability = order.ability_id
        target = self.units.get(order.target_unit_tag)
        if ability == MOVE:
            point = order.target_world_space_pos
            walk(unit, point.x, point.y, SPEED * steps)
        elif ability in (ATTACK, HEALING) and target is not None:
            if distance(unit, target) > REACH:
                walk(unit, target["x"], target["y"], SPEED * steps)
            elif ability == ATTACK:
                hurt(target, DAMAGE * steps)
                unit["weapon_cooldown"] = 10.0
            else:
                more = min(HEAL * steps, target["health_max"] - target["health"])
                target["health"] += more
                unit["energy"] -= more / 3


def distance(a: dict[str, Any], b: dict[str, Any]) -> float:
    return math.hypot(a["x"] - b["x"], a["y"] - b["y"])


def walk(unit: dict[str, Any], x: float, y: float, way: float) -> None:
    whole = math.hypot(x - unit["x"], y - unit["y"])
    part = min(1.0, way / whole) if whole else 0.0
    unit["x"] += part * (x - unit["x"])
    unit["y"] += part * (y - unit["y"])


def hurt(unit: dict[str, Any], damage: float) -> None:
    absorbed = min(unit["shield"], damage)
    unit["shield"] -= absorbed
    unit["health"] = max(0.0, unit["health"] - (damage - absorbed))


class Server:
    """Answers one client, request by request."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scenario = json.loads((folder / "scenario.json").read_text())
        self.status = sc_pb.launched
        self.battle: Battle | None = None

    def misbehaviour(self, kind: str) -> str | None:
        path = self.folder / "misbehave.json"
        try:
            what = json.loads(path.read_text())
            if what["request"] != kind:
                return None
            path.unlink()
        except FileNotFoundError:  # nothing to do, or another game did it just now
            return None
        return what["how"]

    def answer(self, request: Any) -> Any:
        kind = request.WhichOneof("request")
        with (self.folder / "requests.jsonl").open("a") as notes:
            notes.write(json.dumps({kind: MessageToDict(getattr(request, kind))}) + "\n")
        match self.misbehaviour(kind):
            case "hang":
                time.sleep(3600)
            case "die":
                os._exit(1)
            case "drop":
                return None
            case "garbage":
                return b"\xff\xff\xff"
            case "refuse":
                return self.refusal(request, kind)
            case _:
                pass
        response = sc_pb.Response(id=request.id)
        getattr(self, kind, lambda *_: None)(getattr(request, kind), response)
        getattr(response, kind).SetInParent()
        response.status = self.status
        return response.SerializeToString()

    def refusal(self, request: Any, kind: str) -> bytes:
        response = sc_pb.Response(id=request.id, status=self.status)
        if kind == "create_game":
            response.create_game.error = sc_pb.ResponseCreateGame.InvalidMapData
        else:
            response.error.append(f"{kind} refused")
        return response.SerializeToString()

    def create_game(self, request: Any, response: Any) -> None:
        self.status = sc_pb.init_game

    def join_game(self, request: Any, response: Any) -> None:
        self.status = sc_pb.in_game
        self.battle = Battle(self.scenario)
        response.join_game.player_id = 1

    def game_info(self, request: Any, response: Any) -> None:
        raw = response.game_info.start_raw
        raw.map_size.x = raw.map_size.y = 32
        raw.playable_area.p1.x, raw.playable_area.p1.y = self.scenario.get("playable", (32, 32))
        left, right, bottom, top = self.scenario.get("walkable", (2, 30, 7, 25))
        rows = [[left <= x < right and bottom <= y < top for x in range(32)] for y in range(32)]
        if self.scenario.get("old_grid"):
            grid = bytes(0 if cell else 255 for row in reversed(rows) for cell in row)
            raw.pathing_grid.bits_per_pixel = 8
        else:
            bits = "".join(str(int(cell)) for row in rows for cell in row)
            grid = int(bits, 2).to_bytes(128, "big")
            raw.pathing_grid.bits_per_pixel = 1
        raw.pathing_grid.size.CopyFrom(raw.map_size)
        raw.pathing_grid.data = grid
        raw.terrain_height.bits_per_pixel = 8
        raw.terrain_height.size.CopyFrom(raw.map_size)
        raw.terrain_height.data = bytes(32 * 32)

    def observation(self, request: Any, response: Any) -> None:
        battle = self.battle
        assert battle is not None
        observation = response.observation.observation
        observation.game_loop = battle.loop
        observation.raw_data.units.add(tag=1, owner=16, unit_type=341)  # a neutral one
        for tag, unit in battle.units.items():
            shown = observation.raw_data.units.add(tag=tag)
            for name, value in unit.items():
                if name in ("x", "y"):
                    setattr(shown.pos, name, value)
                else:
                    setattr(shown, name, value)

    def action(self, request: Any, response: Any) -> None:
        assert self.battle is not None
        for action in request.actions:
            order = action.action_raw.unit_command
            for tag in order.unit_tags:
                self.battle.orders[tag] = order

    def step(self, request: Any, response: Any) -> None:
        assert self.battle is not None
        self.battle.advance(request.count)

    def debug(self, request: Any, response: Any) -> None:
        assert self.battle is not None
        for command in request.debug:
            for tag in command.kill_unit.tag:
                self.battle.units.pop(tag, None)

    def save_replay(self, request: Any, response: Any) -> None:
        response.save_replay.data = b"a replay"


def shake_hands(line: socket.socket) -> None:
    asked = b""
    while b"\r\n\r\n" not in asked:
        asked += line.recv(4096)
    headers = dict(row.split(": ", 1) for row in asked.decode().split("\r\n")[1:] if ": " in row)
    key = headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    line.sendall(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
    )


def messages(line: socket.socket) -> Iterator[bytes]:
    """What the client sends, until it says goodbye; its frames are masked and never split."""
    stream = line.makefile("rb")
    while True:
        head = stream.read(2)
        if len(head) < 2 or head[0] & 15 == 8:
            return
        size = head[1] & 127
        if size == 126:
            size = struct.unpack(">H", stream.read(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", stream.read(8))[0]
        mask = stream.read(4)
        yield bytes(byte ^ mask[i % 4] for i, byte in enumerate(stream.read(size)))


def send(line: socket.socket, data: bytes) -> None:
    """One binary frame."""
    size = len(data)
    if size < 126:
        head = struct.pack(">BB", 0x82, size)
    elif size < 65536:
        head = struct.pack(">BBH", 0x82, 126, size)
    else:
        head = struct.pack(">BBQ", 0x82, 127, size)
    line.sendall(head + data)


def main(arguments: list[str]) -> None:
    options = dict(zip(arguments[::2], arguments[1::2], strict=False))
    server = Server(Path(options["-dataDir"]))
    with (server.folder / "launches.txt").open("a") as notes:
        notes.write(f"{os.getpid()} {' '.join(arguments)}\n")
    if server.misbehaviour("launch") is not None:
        sys.exit("error while loading shared libraries: libfake.so.1")
    with socket.create_server((options["-listen"], int(options["-port"]))) as listening:
        line, _ = listening.accept()
    shake_hands(line)
    for message in messages(line):
        request = sc_pb.Request.FromString(message)
        if request.HasField("quit"):
            return
        answer = server.answer(request)
        if answer is None:
            line.shutdown(socket.SHUT_RDWR)
            time.sleep(3600)  # the process lives on, as a game may
        send(line, answer)


if __name__ == "__main__":
    main(sys.argv[1:])
