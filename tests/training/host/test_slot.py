"""A time step in memory that two processes share."""

import os
from collections.abc import Iterator

import numpy as np
import pytest

from macpo.training.host.slot import open_memory, slot_in, to_json
from macpo.types import Spec

SPEC = Spec("shared", n_agents=3, n_actions=5, obs_size=7, state_size=0, episode_limit=9)


@pytest.fixture
def memory() -> Iterator[int]:
    handle = open_memory(SPEC)
    yield handle
    os.close(handle)


def test_a_slot_has_the_shapes_of_the_spec_and_begins_with_zeros(memory: int):
    slot = slot_in(memory, SPEC)
    shapes = {name: x.shape for name, x in slot._asdict().items()}
    assert shapes == {
        "obs": (3, 7),
        "state": (0,),
        "avail_actions": (3, 5),
        "reward": (1,),
        "terminated": (1,),
        "truncated": (1,),
        "actions": (3,),
    }
    assert not any(x.any() for x in slot)


def test_what_one_side_writes_the_other_one_reads(memory: int):
    worker, main = slot_in(memory, SPEC), slot_in(memory, SPEC)
    worker.obs[...] = np.arange(21).reshape(3, 7)
    worker.reward[0], worker.truncated[0] = -0.5, True
    main.actions[...] = [4, 0, 2]
    assert main.obs.tolist() == np.arange(21).reshape(3, 7).tolist()
    assert (main.reward[0], main.terminated[0], main.truncated[0]) == (-0.5, False, True)
    assert worker.actions.tolist() == [4, 0, 2]


def test_no_array_reaches_into_another(memory: int):
    slot = slot_in(memory, SPEC)
    for number, x in enumerate(slot, 1):
        x[...] = number
    for number, x in enumerate(slot, 1):
        assert (x == x.dtype.type(number)).all()


def test_arrays_begin_at_cache_lines(memory: int):
    slot = slot_in(memory, SPEC)
    starts = [x.ctypes.data for x in slot]
    assert [start % 64 for start in starts] == [0] * len(slot)
    assert len(set(starts)) == len(slot)


def test_messages_hold_numbers_of_numpy_as_plain_ones():
    data = {"won": np.bool_(True), "damage": np.float64(0.5), "kills": np.array([1, 2])}
    assert to_json(data) == b'{"won": true, "damage": 0.5, "kills": [1, 2]}'
