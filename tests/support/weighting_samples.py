"""Signals to weigh: the worked fixture, and random ones for properties."""

import functools
import json
from typing import Any, NamedTuple

import array_api_compat.numpy as xp
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from macpo import weighting
from macpo.weighting import effective_sample_size
from tests.support.paths import DATA

GOLDEN = DATA / "replay_golden.json"

quick = settings(deadline=None, derandomize=True, max_examples=100)

Arrays = dict[str, Any]

__all__ = [
    "Row",
    "errors",
    "fixture",
    "golden",
    "loss",
    "one_step",
    "quick",
    "raw",
    "signals",
    "weigh",
    "xp",
]


@functools.cache
def golden() -> dict[str, Any]:
    """Numbers computed once with 40 digits, independently of this library."""
    return json.loads(GOLDEN.read_text())


def fixture() -> Arrays:
    """Every signal of five transitions of three agents, the last one padding."""
    numbers = golden()["fixture"]
    delta = np.array([numbers["delta"]])
    return {
        "q": delta,
        "target": np.zeros_like(delta),
        "q_star": delta - np.array([numbers["q_minus_qstar"]]),
        "pi_taken": np.array([numbers["pi_taken"]]),
        "is_greedy": np.array([[True, False, True, False, False]]),
        "q_star_greedy": np.array([[1.0, -1, 2, 3, 0]]),
        "q_of_target_net": np.array([[0.6, 1, 0, 4.5, 1]]),
        "dq_tot_dq": np.array([[[0.8, 0.5, 1], [1, 0, 2], [0.1, 0.2, 0.3], [1, 1, 1], [3, 4, 5]]]),
        "error_estimate": np.array([[2, 1.5, 0.2, 6, 9]]),
        "next_error_estimate": 0.99 * np.array([[3, 1, 0, 8, 5]]),  # the third step is terminal
        "log_density_ratio": np.array([[1, -0.5, 2, 0, 3]]),
        "uniform_noise": np.float64(0.4),
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


def errors(*delta: float, mask: list[int] | None = None) -> Arrays:
    """One episode with these TD errors."""
    q = np.array([delta], np.float64)
    valid = np.ones(q.shape, bool) if mask is None else np.array([mask])
    return {"q": q, "target": np.zeros_like(q), "mask": valid}


def weigh(name: str, batch: Arrays, **options: Any) -> np.ndarray:
    """The weights of a batch, by default of mean one."""
    return weighting.make(name, **{"normalise": "mean"} | options)(**batch)


def raw(name: str, batch: Arrays, **options: Any) -> np.ndarray:
    """The weights before normalisation."""
    return weigh(name, batch, normalise="none", **options)


def loss(batch: Arrays, weights: np.ndarray) -> float:
    """The mean of weighted squared TD errors."""
    squares = (batch["q"] - batch["target"]) ** 2
    return float(weighting.weighted_loss(squares, weights, batch["mask"]))


class Row(NamedTuple):
    """A weighting's known weights of the fixture, worked out to nine decimals."""

    raw: list[float]
    mean_one: list[float]
    ess: float
    loss_raw: float
    loss_mean_one: float

    def check(self, name: str, **options: Any) -> None:
        batch = fixture()
        plain, scaled = raw(name, batch, **options), weigh(name, batch, **options)
        assert plain[0].tolist() == pytest.approx([*self.raw, 0], abs=6e-10)
        assert scaled[0].tolist() == pytest.approx([*self.mean_one, 0], abs=6e-10)
        for weights in (plain, scaled):
            ess = effective_sample_size(weights, batch["mask"])
            assert ess == pytest.approx(self.ess, abs=6e-7)
        assert loss(batch, plain) == pytest.approx(self.loss_raw, rel=6e-10)
        assert loss(batch, scaled) == pytest.approx(self.loss_mean_one, rel=6e-10)


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
    q, target, q_star, greedy_value, of_target_net = rng.integers(-12, 13, (5, *shape)) / 4
    return {
        "q": q,
        "target": target,
        "q_star": q_star,
        "pi_taken": rng.choice([0.0, 0.05, 0.5, 0.9, 1.0, rng.random()], (*shape, n)),
        "is_greedy": rng.random(shape) < 0.5,
        "q_star_greedy": greedy_value,
        "q_of_target_net": of_target_net,
        "dq_tot_dq": rng.integers(-2, 9, (*shape, n)) / 4,
        "error_estimate": rng.integers(0, 40, shape) / 4,
        "next_error_estimate": rng.integers(0, 40, shape) / 4,
        "log_density_ratio": rng.integers(-15, 16, shape) / 1.0,
        "uniform_noise": np.float64(rng.choice([0.0, rng.random(), 1 - 2**-53])),
        "mask": np.arange(5) < np.array(lengths)[:, None],
    }
