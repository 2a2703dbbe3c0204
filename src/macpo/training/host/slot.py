"""What a worker and the main process share: one time step, the actions that answer it, messages."""

import json
import mmap
import os
import sys
import tempfile
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from macpo.types import Spec

# messages of the main process, told apart by their first byte
RESET, STEP, VIEW, QUIT = b"r", b"s", b"v", b"q"
"""Begin an episode with the seed that follows; step with the actions in the slot; draw the current
state; end."""

# messages of a worker
SPEC, TIMESTEP, LAST_TIMESTEP, LOST, FAULT = b"p", b"s", b"o", b"l", b"f"
"""The environment's spec, once; a time step is in the slot; so is the last one of the episode, and
its `info` follows; the episode is lost, and why; the environment has a fault, and which."""
PICTURE, NO_PICTURE = b"i", b"n"
"""The current state as PNG; why it has no picture, empty if the environment never has any."""


class Slot(NamedTuple):
    """Arrays in shared memory; scalars are arrays of one number."""

    obs: Float[np.ndarray, "N O"]
    state: Float[np.ndarray, " S"]
    avail_actions: Bool[np.ndarray, "N A"]
    reward: Float[np.ndarray, "1"]
    terminated: Bool[np.ndarray, "1"]
    truncated: Bool[np.ndarray, "1"]
    actions: Int[np.ndarray, " N"]


def to_json(data: object) -> bytes:
    """JSON, with NumPy's numbers as Python's."""
    return json.dumps(data, default=lambda x: x.tolist()).encode()


def open_memory(spec: Spec) -> int:
    """A file descriptor of zeroed memory for a slot; it has no name that could be left behind."""
    if sys.platform == "linux":
        handle = os.memfd_create("macpo")
    else:
        with tempfile.TemporaryFile() as file:
            handle = os.dup(file.fileno())
    os.ftruncate(handle, sum(_padded_bytes(shape, dtype) for shape, dtype in _layout(spec)))
    return handle


def slot_in(handle: int, spec: Spec) -> Slot:
    """The arrays in the memory behind a file descriptor."""
    memory, offset, arrays = mmap.mmap(handle, 0), 0, list[np.ndarray]()
    for shape, dtype in _layout(spec):
        arrays.append(np.ndarray(shape, dtype, memory, offset))
        offset += _padded_bytes(shape, dtype)
    return Slot(*arrays)


def empty_slot(spec: Spec) -> Slot:
    """Arrays of zeros in this process's own memory."""
    return Slot(*(np.zeros(shape, dtype) for shape, dtype in _layout(spec)))


def _layout(spec: Spec) -> tuple[tuple[tuple[int, ...], str], ...]:
    n = spec.n_agents
    return (
        ((n, spec.obs_size), "f4"),
        ((spec.state_size,), "f4"),
        ((n, spec.n_actions), "?"),
        ((1,), "f4"),
        ((1,), "?"),
        ((1,), "?"),
        ((n,), "i8"),
    )


def _padded_bytes(shape: tuple[int, ...], dtype: str) -> int:
    """Bytes of an array, rounded up to cache lines; at least one line even for an empty array."""
    return (int(np.prod(shape)) * np.dtype(dtype).itemsize // 64 + 1) * 64
