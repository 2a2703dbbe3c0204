"""OW-QMIX: full weight where Q_tot is below its target."""

import numpy as np
import pytest

from macpo import weighting

#               below,  above,  equal, below by a hair, padding
Q = np.array([[-1.0, 3.0, 2.0, 0.999, 0.0]])
TARGET = np.array([[0.0, 1.0, 2.0, 1.0, 1.0]])
MASK = np.array([[1, 1, 1, 1, 0]])


def weigh(**options: object) -> list[float]:
    weigh = weighting.make("owqmix", **options)
    return weigh(q=Q, target=TARGET, q_star=0 * Q, mask=MASK)[0].tolist()


def test_underestimated_steps_weigh_one_and_all_others_alpha() -> None:
    assert weigh(alpha=0.25) == pytest.approx([1, 0.25, 0.25, 1, 0], rel=1e-15)


def test_alpha_is_a_tenth_by_default() -> None:
    assert weigh() == pytest.approx([1, 0.1, 0.1, 1, 0], rel=1e-15)


def test_alpha_one_is_uniform() -> None:
    assert weigh(alpha=1.0) == [1, 1, 1, 1, 0]


def test_weights_of_mean_one_are_raw_ones_over_their_mean() -> None:
    weights = weigh(alpha=0.25, normalise="mean")  # the mean of 1, ¼, ¼, 1 is 0.625
    assert weights == pytest.approx([1.6, 0.4, 0.4, 1.6, 0], rel=1e-14)


def test_a_central_value_is_demanded_since_targets_must_come_from_it() -> None:
    assert "q_star" in weighting.make("owqmix").needs
