"""A pytree of arrays as one safetensors file, with a checksum over every byte of the file.

What safetensors calls metadata is one JSON text here: the checksum, the number of the layout in
which arrays are named, and what the caller wants to keep along with them. Any safetensors reader
can read the arrays. The checksum is that of the file with zeros in the checksum's place.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, cast

import jax
import numpy as np
import safetensors
import safetensors.numpy

from macpo.errors import UsageError
from macpo.field_types import Json
from macpo.runs.files import disk_errors, parse_json, write_atomically
from macpo.types import PyTree

FORMAT = 4
"""Raised whenever arrays get other names or meanings, so that older files can no longer be read."""
_KEY = "macpo"
_EARLIER_KEY = "macpo_format"
"""Of layouts without a checksum."""
_MAX_HEADER = 10**8
"""Bytes; safetensors refuses longer ones."""
_BLANK = b"0" * 64
_BEFORE_CHECKSUM = rb'"macpo":"{\"sha256\":\"'
"""What precedes the checksum in the file: JSON, the metadata, in the JSON of the header."""


class Damaged(UsageError):
    """A file that is not what was once written."""

    def __init__(self, file: Path, why: str) -> None:
        super().__init__(f"{file} is damaged: {why}.")


class EarlierFormat(UsageError):
    """A file in which the arrays have names or meanings of an earlier version."""

    def __init__(self, file: Path) -> None:
        super().__init__(
            f"{file} was written by an earlier layout of macpo, which this version cannot read; "
            "train again with `macpo train`."
        )


class Stored(NamedTuple):
    """The content of a file whose checksum is right."""

    file: Path
    arrays: Mapping[str, np.ndarray]
    """By their paths in the pytree."""
    info: Mapping[str, Json]
    """JSON of the caller's."""

    def tree(self, like: PyTree) -> PyTree:
        """The arrays with the structure of `like`.

        UsageError unless names, shapes and types are those of `like`.
        """
        paths, structure = jax.tree_util.tree_flatten_with_path(like)
        names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in paths]
        if set(names) != set(self.arrays):
            odd = sorted(set(names) ^ set(self.arrays))
            raise UsageError(
                f"{self.file} belongs to another configuration: {odd[0]!r} is in only one of the "
                "two."
            )
        for name, (_, leaf) in zip(names, paths, strict=True):
            x = self.arrays[name]
            if x.shape != leaf.shape or x.dtype != leaf.dtype:
                raise UsageError(
                    f"{self.file} belongs to another configuration: {name} is "
                    f"{x.dtype}{list(x.shape)}, expected {leaf.dtype}{list(leaf.shape)}."
                )
        return jax.tree.unflatten(structure, [self.arrays[name] for name in names])


def write(file: Path, tree: PyTree, info: Mapping[str, Json] | None = None) -> None:
    """Write all arrays of a pytree, and JSON along with them, atomically."""
    named = {
        jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf, order="C")
        for path, leaf in jax.tree_util.tree_leaves_with_path(jax.device_get(tree))
    }
    # the checksum comes first: the position of the first match is then its own
    about = {"sha256": _BLANK.decode(), "format": FORMAT, "info": dict(info or {})}
    text = json.dumps(about, separators=(",", ":"))
    data = memoryview(safetensors.numpy.save(named, metadata={_KEY: text}))
    start, end = _checksum_position(data)
    write_atomically(file, data[:start], _sha256(data).encode(), data[end:])


def read(file: Path) -> Stored:
    """All that a file holds.

    Raises Damaged if that is not what was written, EarlierFormat if it has another layout, and
    UsageError if it may not be read.
    """
    with disk_errors(file, "read"):
        try:
            data = file.read_bytes()
        except PermissionError:  # nothing is wrong with the file
            raise
        except OSError as error:
            raise Damaged(file, error.strerror or str(error)) from error
    start, end = _checksum_position(memoryview(data))
    if start and data[start:end].decode("latin1") != _sha256(memoryview(data)):
        raise Damaged(file, f"its {len(data):,} bytes do not match their checksum")
    try:
        arrays = safetensors.numpy.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise Damaged(file, f"it is not a safetensors file ({error})") from error
    return Stored(file, arrays, _info(file, data))


def read_info(file: Path) -> Stored:
    """What a file holds beside its arrays, which are not read: no checksum is compared.

    Raises as `read` does.
    """
    with disk_errors(file, "read"), file.open("rb") as handle:
        size = handle.read(8)
        data = size + handle.read(min(_header_size(memoryview(size)), _MAX_HEADER))
    return Stored(file, {}, _info(file, data))


def _info(file: Path, data: bytes) -> Mapping[str, Json]:
    """What the caller has kept along, from the header that `data` begins with."""
    try:
        metadata = _metadata(data)
        about = parse_json(metadata.get(_KEY, "{}").encode())
        number, info = about.get("format", FORMAT), about.get("info")
    except (ValueError, AttributeError) as error:  # other JSON than what was written
        raise Damaged(file, f"it is not a safetensors file ({error})") from error
    if not metadata or _EARLIER_KEY in metadata or number != FORMAT:
        raise EarlierFormat(file)
    if not _checksum_position(memoryview(data))[0] or not isinstance(info, dict):
        raise Damaged(file, "what macpo writes beside the arrays is not there")
    return cast(Mapping[str, Json], info)


def _checksum_position(data: memoryview) -> tuple[int, int]:
    """Where the checksum begins and ends; (0, 0) if the file has none."""
    before = bytes(data[: 8 + _header_size(data)]).find(_BEFORE_CHECKSUM)
    start = before + len(_BEFORE_CHECKSUM)
    return (0, 0) if before < 0 else (start, start + len(_BLANK))


def _sha256(data: memoryview) -> str:
    """Of all bytes, with zeros in place of the checksum."""
    start, end = _checksum_position(data)
    digest = hashlib.sha256(data[:start])
    digest.update(_BLANK)
    digest.update(data[end:])
    return digest.hexdigest()


def _header_size(data: memoryview) -> int:
    """Bytes of the JSON that begins at the eighth byte."""
    return int.from_bytes(data[:8], "little")


def _metadata(data: bytes) -> Mapping[str, str]:
    header = parse_json(data[8 : 8 + _header_size(memoryview(data))])
    return cast(Mapping[str, str], header.get("__metadata__", {}))
