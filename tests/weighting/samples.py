"""Signals to weigh: the worked fixture, and random ones for properties."""

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

GOLDEN = Path(__file__).parents[1] / "data" / "replay_golden.json"

quick = settings(deadline=None, derandomize=True, max_examples=100)

Arrays = dict[str, Any]


@functools.cache
def golden() -> dict[str, Any]:
    """Numbers computed once with 40 digits, independently of this library."""
    return json.loads(GOLDEN.read_text())


def fixture() -> Arrays:
    """Five transitions of three agents, the last one padding."""
    numbers = golden()["fixture"]
    delta = np.array([numbers["delta"]])
    return {
        "q": delta,
        "target": np.zeros_like(delta),
        "q_star": delta - np.array([numbers["q_minus_qstar"]]),
        "pi_taken": np.array([numbers["pi_taken"]]),
        "mask": np.array([numbers["mask"]]),
    }


def one_step(
    delta: float = 1.0, gap: float = 0.0, pi: tuple[float, ...] = (1.0,), q: float = 0.0
) -> Arrays:
    """A single transition with this TD error, |Q_tot − Q*| and action probabilities."""
    return {
        "q": np.array([[q]], np.float64),
        "target": np.array([[q - delta]], np.float64),
        "q_star": np.array([[q - gap]], np.float64),
        "pi_taken": np.array([[pi]], np.float64),
        "mask": np.ones((1, 1), bool),
    }


probabilities = st.floats(0, 1)
joint_policies = st.lists(probabilities, min_size=1, max_size=27)
"""One probability per agent."""


@st.composite
def signals(draw: st.DrawFn, n_agents: int | None = None) -> Arrays:
    """Every signal of a few episodes of different lengths; some TD errors are exactly zero."""
    n = n_agents or draw(st.integers(1, 4))
    lengths = draw(st.lists(st.integers(0, 5), min_size=1, max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (len(lengths), 5)
    q, target, q_star, greedy_value = rng.integers(-12, 13, (4, *shape)) / 4
    return {
        "q": q,
        "target": target,
        "q_star": q_star,
        "pi_taken": rng.choice([0.0, 0.05, 0.5, 0.9, 1.0, rng.random()], (*shape, n)),
        "is_greedy": rng.random(shape) < 0.5,
        "q_star_greedy": greedy_value,
        "mask": np.arange(5) < np.array(lengths)[:, None],
    }
