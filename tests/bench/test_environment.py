"""Random play as the bench measures it, and the reference it is compared with."""

import itertools
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from macpo.bench import measure
from macpo.bench.environment import (
    _against,
    _reference_steps_per_second,
    at_random,
    random_play,
)
from tests.support.toys import Counting


def test_chance_chooses_among_the_available_actions_alone():
    avail = jnp.broadcast_to(jnp.array([[True, False, True], [False, True, False]]), (3000, 2, 3))
    actions = np.asarray(at_random(jax.random.key(0), avail))
    counts = np.bincount(actions[:, 0], minlength=3)
    assert counts[1] == 0 and (actions[:, 1] == 1).all()
    # ties of the few random bits go to the lower number, which is a little likelier therefore
    assert scipy.stats.binomtest(int(counts[0]), 3000, 0.5 + 1 / 256).pvalue > 1e-3


def test_random_play_takes_so_many_steps_of_every_environment():
    state, timestep, total = random_play(Counting(), jax.random.key(0), n=4, steps=3)
    np.testing.assert_array_equal(state.t, [3, 3, 3, 3])
    assert timestep.reward.shape == (4,)
    assert (total >= 1 + 2 + 3).all()  # the number of each step, and the actions


def test_the_reference_is_found_in_the_repository_and_timed(monkeypatch: pytest.MonkeyPatch):
    # a clock on which every look takes 0.3 s: three steps in each round, which ends after 1.5 s
    clock = (0.3 * i for i in itertools.count())
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    assert _reference_steps_per_second() == pytest.approx(3 / 1.5)


def test_without_a_repository_there_is_a_note_and_no_ratio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(measure, "repository", lambda: tmp_path)
    reference = _reference_steps_per_second()
    assert reference is None
    alone = _against("rollout", 10.0, reference)
    assert (alone.ratio, alone.note) == (None, "no repository here: no NumPy reference")


def test_with_one_the_ratio_of_the_rates_is_given():
    result = _against("rollout", 10.0, 4.0)
    assert (result.value, result.ratio, result.reference) == (
        10.0,
        2.5,
        "NumPy reference environment",
    )
