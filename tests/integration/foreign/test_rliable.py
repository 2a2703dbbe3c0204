"""rliable, whose statistics the field quotes: the same numbers, where no run is missing.

It draws with its own random numbers, and takes quantiles without our correction for few runs, so
its interval is asked for at the level at which ours is taken.
"""

from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from macpo import statistics
from tests.support.later import needed

REASON = "needs another project: pip install rliable==1.2.0 'pandas<3'"
library = needed("rliable.library", REASON)
metrics = needed("rliable.metrics", REASON)

RNG = np.random.default_rng(0)
X, Y = RNG.gamma(2.0, size=(10, 4)), RNG.gamma(1.5, size=(7, 4))
Y[:3] = X[:3]  # some ties
REPS = 4_000


@pytest.fixture(autouse=True)
def their_draws() -> None:
    """It draws from NumPy's global generator, whatever `random_state` it is given."""
    np.random.seed(0)


def theirs(scores: Any, function: Any, level: float, reps: int = REPS) -> tuple[float, Any]:
    values, ends = library.get_interval_estimates(
        {"x": scores},
        lambda *x: np.array([function(*x)]),
        reps=reps,
        confidence_interval_size=level,
    )
    return values["x"][0], ends["x"][:, 0]


def corrected(level: float, n_runs: int, n_strata: int) -> float:
    z = norm.ppf((1 + level) / 2) * np.sqrt(n_runs / (n_runs - n_strata))
    return 2 * norm.cdf(z) - 1


def test_the_iqm_and_its_interval_are_theirs():
    value, ends = theirs(X, metrics.aggregate_iqm, corrected(0.95, X.size, 4))
    assert statistics.iqm(X) == pytest.approx(value)
    assert statistics.interval(X, reps=REPS) == pytest.approx(tuple(ends), abs=0.03)


def test_without_the_correction_theirs_is_the_narrower_one():
    low, high = statistics.interval(X, reps=REPS)
    _, ends = theirs(X, metrics.aggregate_iqm, 0.95)
    assert 0.9 < (ends[1] - ends[0]) / (high - low) < 0.99  # √(9/10) = 0.95


def test_the_mean_and_its_interval_are_theirs():
    value, ends = theirs(X, metrics.aggregate_mean, corrected(0.95, X.size, 4))
    assert np.mean(X) == pytest.approx(value)
    assert statistics.interval(X, np.mean, reps=REPS) == pytest.approx(tuple(ends), abs=0.03)


def test_the_probability_of_improvement_and_its_interval_are_theirs():
    level = corrected(0.95, X.size + Y.size, 8)
    value, ends = theirs((X, Y), metrics.probability_of_improvement, level, reps=1_000)  # slow
    assert statistics.probability_of_improvement(X, Y) == pytest.approx(value)
    assert statistics.improvement_interval(X, Y) == pytest.approx(tuple(ends), abs=0.02)


def test_the_performance_profile_and_its_band_are_theirs():
    thresholds = np.linspace(0, 5, 11)
    values, bands = library.create_performance_profile(
        {"x": X},
        thresholds,
        reps=REPS,
        confidence_interval_size=corrected(0.95, X.size, 4),
    )
    assert statistics.performance_profile(X, thresholds) == pytest.approx(values["x"])
    low, high = statistics.profile_interval(X, thresholds)
    assert low == pytest.approx(bands["x"][0], abs=0.03)
    assert high == pytest.approx(bands["x"][1], abs=0.03)
