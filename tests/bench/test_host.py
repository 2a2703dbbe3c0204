"""The environment that stands for a game computed elsewhere."""

import time

import numpy as np
import pytest

from macpo.bench.host import Config


def test_it_waits_in_every_step_but_not_in_reset(monkeypatch: pytest.MonkeyPatch):
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    env = Config(seconds=0.25).make()
    env.reset(0)
    assert waits == []
    env.step(np.zeros(5, int))
    assert waits == [0.25]


def test_an_episode_is_truncated_at_the_limit():
    env = Config(seconds=0.0, episode_limit=3).make()
    first = env.reset(0)
    ends = [bool(env.step(np.zeros(5, int)).truncated) for _ in range(3)]
    assert (bool(first.truncated), ends) == (False, [False, False, True])
