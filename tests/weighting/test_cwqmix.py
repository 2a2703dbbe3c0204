"""CW-QMIX: full weight where the stored action is, or beats, the greedy one."""

import numpy as np
import pytest

from macpo import weighting

#          greedy, greedy and worse, beats it, equals it, falls short, padding
IS_GREEDY = np.array([[True, True, False, False, False, True]])
TARGET = np.array([[5.0, -5.0, 2.5, 2.0, 1.5, 9.0]])
Q_STAR_GREEDY = np.array([[2.0] * 6])
MASK = np.array([[1, 1, 1, 1, 1, 0]])


def weigh(is_greedy: np.ndarray = IS_GREEDY, **options: object) -> list[float]:
    weights = weighting.make("cwqmix", **options)(
        q=0 * TARGET,
        target=TARGET,
        q_star=0 * TARGET,
        is_greedy=is_greedy,
        q_star_greedy=Q_STAR_GREEDY,
        mask=MASK,
    )
    return weights[0].tolist()


def test_greedy_steps_and_steps_better_than_greedy_weigh_one_and_all_others_alpha() -> None:
    assert weigh(alpha=0.25) == pytest.approx([1, 1, 1, 0.25, 0.25, 0], rel=1e-15)


def test_alpha_is_a_tenth_by_default() -> None:
    assert weigh() == pytest.approx([1, 1, 1, 0.1, 0.1, 0], rel=1e-15)


def test_alpha_one_is_uniform() -> None:
    assert weigh(alpha=1.0) == [1, 1, 1, 1, 1, 0]


def test_weights_of_mean_one_are_raw_ones_over_their_mean() -> None:
    weights = weigh(alpha=0.25, normalise="mean")  # the mean of 1, 1, 1, ¼, ¼ is 0.7
    assert weights == pytest.approx([1 / 0.7] * 3 + [0.25 / 0.7] * 2 + [0], rel=1e-14)


def test_flags_given_as_numbers_mean_the_same() -> None:
    assert weigh(IS_GREEDY.astype(np.float32)) == weigh()
