"""Ways in which the files of a directory get damaged."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

NESTED = "[" * 100_000 + "]" * 100_000
RAW = ("NaN", "-Infinity", "1e400", "9" * 400, "9" * 5_000, NESTED, "tru", "'a'")
"""What JSON readers stumble over, or must not accept."""
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        "",
        "9",
        "[/red]",
        "\x00",
        "os:getcwd",
        "x" * 5_000,
        [],
        {},
        [[]],
        [1, "a"],
    ),
    *(-1, 0, 0.5, 1e308, -1e308, 2**31, 2**32, 2**63, 2**64, 10**10),
)


def damage(directory: Path, other: Path, rng: np.random.Generator) -> str:
    """Damage one thing in a directory and say what; `other` is an intact run, of another seed."""
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    folders = [path for path in sorted(directory.rglob("*")) if path.is_dir()]
    path = files[rng.integers(len(files))]
    if folders and rng.random() < 0.1:
        path = folders[rng.integers(len(folders))]
    ways = [*_REPLACED]
    if path.is_file() and path.stat().st_size:
        ways += _CONTENTS
    if path.suffix in (".json", ".jsonl"):
        ways += [*_JSON] * 2
    if path.is_file():
        ways += [lambda path, rng: _exchanged(path, directory, other, rng)]
    what = ways[rng.integers(len(ways))](path, rng)
    return f"{path.relative_to(directory)}: {what}"


# --- contents -------------------------------------------------------------------------------------


def _changed(change: Callable[[bytes, np.random.Generator], tuple[bytes, str]]) -> Any:
    def apply(path: Path, rng: np.random.Generator) -> str:
        data, what = change(path.read_bytes(), rng)
        path.write_bytes(data)
        return what

    return apply


def _flipped(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    at, bit = int(rng.integers(len(data))), int(rng.integers(8))
    changed = bytes([data[at] ^ 1 << bit])
    return data[:at] + changed + data[at + 1 :], f"bit {bit} of byte {at} flipped"


def _cut(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    n = int(rng.integers(len(data)))
    return data[:n], f"cut to {n} of {len(data)} bytes"


def _emptied(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    return b"", "emptied"


def _zeroed(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    at = int(rng.integers(len(data)))
    n = min(int(rng.integers(1, 513)), len(data) - at)
    return data[:at] + bytes(n) + data[at + n :], f"{n} bytes from {at} on are zeros"


def _randomised(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    return rng.bytes(len(data)), "every byte random"


def _lengthened(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    n = int(rng.integers(1, 100))
    return data + rng.bytes(n), f"{n} random bytes at the end"


def _doubled(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    return data + data, "written twice"


def _lost_line(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    lines = data.splitlines(keepends=True)
    at = int(rng.integers(len(lines)))
    return b"".join(lines[:at] + lines[at + 1 :]), f"line {at + 1} missing"


def _other_encoding(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    return data.decode("latin-1").encode("utf-16"), "saved as UTF-16"


_CONTENTS = [
    *[_changed(_flipped)] * 4,
    *[_changed(_cut)] * 2,
    *map(_changed, (_emptied, _zeroed, _randomised, _lengthened, _doubled, _lost_line)),
    _changed(_other_encoding),
]

# --- what it is -----------------------------------------------------------------------------------


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _deleted(path: Path, rng: np.random.Generator) -> str:
    _remove(path)
    return "deleted"


def _another_kind(path: Path, rng: np.random.Generator) -> str:
    is_dir = path.is_dir()
    _remove(path)
    path.write_bytes(b"a file\n") if is_dir else path.mkdir()
    return "a file in place of a folder" if is_dir else "a folder in place of a file"


def _empty_folder(path: Path, rng: np.random.Generator) -> str:
    _remove(path)
    path.mkdir()
    return "an empty folder"


def _dangling(path: Path, rng: np.random.Generator) -> str:
    _remove(path)
    path.symlink_to("nowhere")
    return "a link to nothing"


def _circular(path: Path, rng: np.random.Generator) -> str:
    _remove(path)
    path.symlink_to(path.name)
    return "a link to itself"


def _forbidden(path: Path, rng: np.random.Generator) -> str:
    path.chmod(0)
    return "nobody may read it"


def _moved(path: Path, rng: np.random.Generator) -> str:
    path.rename(path.with_name(path.name + ".bak"))
    return "renamed"


_REPLACED = [
    _deleted,
    _another_kind,
    _empty_folder,
    _dangling,
    _circular,
    _forbidden,
    _moved,
]


def _exchanged(path: Path, directory: Path, other: Path, rng: np.random.Generator) -> str:
    """Another file of the same ending in its place."""
    alike = [
        *sorted(x for x in directory.rglob(f"*{path.suffix}") if x.is_file() and x != path),
        other / path.relative_to(directory),
    ]
    chosen = alike[rng.integers(len(alike))]
    if not chosen.is_file():
        return _deleted(path, rng)
    shutil.copyfile(chosen, path)
    return f"replaced by {'/'.join(chosen.parts[-2:])}"


# --- JSON -----------------------------------------------------------------------------------------


def _edited(path: Path, rng: np.random.Generator) -> str:
    text = path.read_text()
    if path.suffix == ".json":
        edited, what = edit(json.loads(text), rng)
        path.write_text(edited)
        return what
    lines = text.splitlines()
    at = int(rng.integers(len(lines)))
    lines[at], what = edit(json.loads(lines[at]), rng)
    path.write_text("\n".join(lines) + "\n")
    return f"line {at + 1}: {what}"


_JSON = [_edited]
_HERE = "here goes a text that is not JSON"


def edit(data: Any, rng: np.random.Generator) -> tuple[str, str]:
    """(the text of JSON data in which one value has been changed, what has been changed)"""
    places = list(_places(data))
    *above, last = places[rng.integers(len(places))]
    where = ".".join(map(str, (*above, last)))
    parent = data
    for key in above:
        parent = parent[key]
    way = rng.integers(4)
    if way == 0:
        del parent[last]
        return json.dumps(data, indent=2), f"{where} missing"
    if way == 1 and isinstance(parent, dict):
        parent[f"{last}_"] = parent.pop(last)
        return json.dumps(data, indent=2), f"{where} renamed"
    if way == 2:
        raw = RAW[rng.integers(len(RAW))]
        parent[last] = _HERE
        return json.dumps(data, indent=2).replace(f'"{_HERE}"', raw), f"{where} is {raw:.20}"
    value = VALUES[rng.integers(len(VALUES))]
    parent[last] = value
    return json.dumps(data, indent=2), f"{where} is {value!r:.40}"


def _places(data: Any, above: tuple[Any, ...] = ()) -> "list[tuple[Any, ...]]":
    """Paths of all values below the top."""
    items: Any = ()
    if isinstance(data, Mapping):
        items = data.items()
    elif isinstance(data, list):
        items = enumerate(data)
    found = list[tuple[Any, ...]]()
    for key, value in items:
        found += [(*above, key), *_places(value, (*above, key))]
    return found
