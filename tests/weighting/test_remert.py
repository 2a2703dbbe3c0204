"""ReMERT: weights from the distance to the episode's end alone."""

import numpy as np
import pytest

from macpo import weighting
from macpo.errors import UsageError
from tests.support.weighting_samples import raw, weigh

SIX = {"mask": np.ones((1, 6))}


def test_linear_weights_equal_the_worked_numbers() -> None:
    weights = raw("remert", SIX)
    assert weights[0].tolist() == pytest.approx([0.6, 0.6, 0.9, 1.5, 1.5, 1.5], rel=1e-6)


def test_linear_weights_of_mean_one_equal_the_worked_numbers() -> None:
    weights = weigh("remert", SIX)
    expected = [0.545454545, 0.545454545, 0.818181818, 1.363636364, 1.363636364, 1.363636364]
    assert weights[0].tolist() == pytest.approx(expected, rel=1e-6)


def test_hard_weights_favour_the_half_nearer_to_an_end() -> None:
    # distances 3 2 1 0 and 1 0: the median of the six is 1
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0]])
    weights = raw("remert", {"mask": mask}, shape="hard")
    expected = [[0.4, 0.4, 0.6, 0.6], [0.6, 0.6, 0, 0]]
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_the_median_of_an_even_number_lies_between_the_two_in_the_middle() -> None:
    weights = raw("remert", {"mask": np.ones((1, 4))}, shape="hard")  # 1.5
    np.testing.assert_allclose(weights, [[0.4, 0.4, 0.6, 0.6]], rtol=1e-6)


def test_exponential_weights_are_those_of_the_discounted_distance() -> None:
    weights = raw("remert", {"mask": np.array([[1, 1, 1, 0]])}, shape="exp", gamma=0.5)
    expected = np.exp([0.25, 0.5, 1]) / (np.e - 1)
    np.testing.assert_allclose(weights[0, :3], expected, rtol=1e-6)


def test_the_last_step_of_an_exponential_episode_weighs_1_582() -> None:
    weights = raw("remert", SIX, shape="exp")
    assert weights[0, -1] == pytest.approx(1.5819767, rel=1e-6)
    assert weights[0, 0] == pytest.approx(np.exp(0.996**5) / (np.e - 1), rel=1e-6)


def test_the_longest_episode_sets_the_scale_of_linear_weights() -> None:
    # distances 2 1 0 of a longest 4: nearness 0.5, 0.75, 1
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    np.testing.assert_allclose(raw("remert", {"mask": mask})[1, :3], [1.2, 1.5, 1.5], rtol=1e-6)


def test_episodes_of_one_step_weigh_the_same() -> None:
    mask = np.array([[1, 0], [1, 0]])
    for shape in ("linear", "hard", "exp"):
        np.testing.assert_allclose(weigh("remert", {"mask": mask}, shape=shape), mask, rtol=1e-6)


def test_no_signal_is_needed() -> None:
    assert weighting.make("remert").needs == ()


def test_an_unknown_shape_is_answered_with_the_choices() -> None:
    with pytest.raises(UsageError, match="remert: shape must be one of 'linear', 'hard', 'exp'"):
        weighting.make("remert", shape="soft")
