"""Exact save and resume of a whole pytree of arrays.

A checkpoint is a safetensors file with every array, and a manifest, written after it, with the
file's SHA-256. One without a matching manifest does not count, so a crash at any moment leaves the
previous one in charge. The last two are kept. Both files carry the number of the layout in which
the arrays are named.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import safetensors
import safetensors.numpy

from macpo.errors import UsageError
from macpo.runs.files import read_json, write_atomically, write_json
from macpo.types import PyTree

KEEP = 2
FORMAT = 3
"""Raised whenever arrays get other names or meanings, so that older files can no longer be read."""
_FORMAT_KEY = "macpo_format"


class EarlierFormat(UsageError):
    """A file in which the arrays have names or meanings of an earlier version."""

    def __init__(self, file: Path) -> None:
        super().__init__(
            f"{file} was written by an earlier layout of macpo, which this version cannot read; "
            "train again with `macpo train`."
        )


class Checkpoint(NamedTuple):
    """A checkpoint as found on disk."""

    state: PyTree
    info: dict[str, Any]  # JSON of the caller's
    """What was saved along with the arrays."""
    damaged: list[str]
    """Newer checkpoints that could not be used, each with the reason."""


def save(directory: Path, number: int, state: PyTree, info: dict[str, Any]) -> Path:
    """Save `state` as checkpoint `number`; larger numbers are newer."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / f"{number:012d}.safetensors"
    data = to_bytes(state)
    write_atomically(file, data)
    digest = hashlib.sha256(data).hexdigest()
    manifest = {"format": FORMAT, "sha256": digest, "bytes": len(data), "info": info}
    write_json(file.with_suffix(".json"), manifest)
    for old in _manifests(directory)[KEEP:]:
        old.unlink()  # first: what has no manifest is no checkpoint
        old.with_suffix(".safetensors").unlink(missing_ok=True)
    return file


def load_latest(directory: Path, like: PyTree) -> Checkpoint:
    """The newest sound checkpoint, with the structure of `like`.

    UsageError if there is none, or if it was written in an earlier format.
    """
    damaged: list[str] = []
    for manifest in _manifests(directory):
        file = manifest.with_suffix(".safetensors")
        try:
            about = read_json(manifest, "a checkpoint's manifest")
            if "sha256" in about and about.get("format") != FORMAT:
                raise EarlierFormat(file)
            data = file.read_bytes()
            if hashlib.sha256(data).hexdigest() != about["sha256"]:
                raise UsageError(f"its {len(data)} bytes do not match the checksum")
            return Checkpoint(from_bytes(data, like, file), about["info"], damaged)
        except EarlierFormat:
            raise
        except (OSError, KeyError, TypeError, UsageError) as error:
            damaged.append(f"{file.name}: {error}")
    found = f" Damaged: {'; '.join(damaged)}." if damaged else ""
    raise UsageError(
        f"{directory} holds no usable checkpoint; start again with `macpo train`.{found}"
    )


def to_bytes(tree: PyTree) -> bytes:
    """All arrays of a pytree by path, in safetensors format, with the number of our own format."""
    arrays = {
        jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf, order="C")
        for path, leaf in jax.tree_util.tree_leaves_with_path(jax.device_get(tree))
    }
    return safetensors.numpy.save(arrays, metadata={_FORMAT_KEY: str(FORMAT)})


def from_bytes(data: bytes, like: PyTree, file: Path) -> PyTree:
    """The inverse of `to_bytes`; `file` is for messages.

    UsageError unless the format is ours, and names, shapes and types are those of `like`.
    """
    try:
        arrays = safetensors.numpy.load(data)
    except safetensors.SafetensorError as error:
        raise UsageError(f"{file} is not a safetensors file: {error}.") from error
    if _metadata(data).get(_FORMAT_KEY) != str(FORMAT):
        raise EarlierFormat(file)
    paths, structure = jax.tree_util.tree_flatten_with_path(like)
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in paths]
    if set(names) != set(arrays):
        odd = sorted(set(names) ^ set(arrays))
        raise UsageError(
            f"{file} belongs to another configuration: {odd[0]!r} is in only one of the two."
        )
    for name, (_, leaf) in zip(names, paths, strict=True):
        if arrays[name].shape != leaf.shape or arrays[name].dtype != leaf.dtype:
            raise UsageError(
                f"{file} belongs to another configuration: {name} is "
                f"{arrays[name].dtype}{list(arrays[name].shape)}, expected "
                f"{leaf.dtype}{list(leaf.shape)}."
            )
    return jax.tree.unflatten(structure, [arrays[name] for name in names])


def _metadata(data: bytes) -> dict[str, str]:
    """The metadata of a safetensors file: part of the JSON that follows eight bytes of its size."""
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]).get("__metadata__", {})


def _manifests(directory: Path) -> list[Path]:
    """Newest first."""
    return sorted(directory.glob("[0-9]*.json"), reverse=True)
