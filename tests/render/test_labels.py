"""Numbers that would overlap are apart."""

import numpy as np
import pytest

from macpo.render.labels import apart, grouped

FIELD = (600, 400)


def placed(homes: np.ndarray) -> np.ndarray:
    return apart(homes, np.tile([16, 12], (len(homes), 1)), FIELD)


def overlaps(places: np.ndarray, width: int = 16, height: int = 12) -> int:
    """Pairs of boxes that share a pixel."""
    x, y = np.abs(places[:, None] - places).transpose(2, 0, 1)
    return int(((x < width) & (y < height)).sum() - len(places)) // 2


def test_a_lone_number_is_at_home() -> None:
    assert placed(np.array([[50, 50], [80, 50], [50, 90]])).tolist() == [
        [50, 50],
        [80, 50],
        [50, 90],
    ]


def test_two_that_overlap_give_way_alike_along_the_line_between_them() -> None:
    a, b = placed(np.array([[100, 100], [110, 100]]))
    assert a[1] == b[1] == 100
    assert b[0] - a[0] >= 16
    assert abs((a[0] + b[0]) / 2 - 105) <= 1


@pytest.mark.parametrize("n", [2, 5, 27, 57])
def test_numbers_of_units_at_the_same_place_do_not_overlap(n: int) -> None:
    places = placed(np.full((n, 2), 200))
    assert overlaps(np.full((n, 2), 200)) == n * (n - 1) // 2
    assert overlaps(places) == 0


@pytest.mark.parametrize("spread", [10, 40, 100])
def test_numbers_of_a_crowd_do_not_overlap_and_stay_in_the_field(spread: int) -> None:
    rng = np.random.default_rng(0)
    homes = np.array([40, 40]) + rng.integers(0, spread, (40, 2))
    places = placed(homes)
    assert overlaps(places) == 0
    assert (places >= [8, 6]).all() and (places <= [592, 394]).all()


def test_a_number_hardly_moves_if_units_hardly_move() -> None:
    paths = [placed(np.array([[100, 100], [100 + k, 108], [140 - k, 100]])) for k in range(20)]
    assert np.abs(np.diff(paths, axis=0)).max() <= 3


def test_the_same_units_have_the_same_places() -> None:
    homes = np.random.default_rng(0).integers(100, 150, (20, 2))
    np.testing.assert_array_equal(placed(homes), placed(homes))


def test_numbers_without_room_between_them_stand_together_with_all_of_their_chain() -> None:
    homes = np.array([[100, 100], [118, 100], [136, 100], [136, 115], [170, 100]])
    assert grouped(homes, np.tile([16, 12], (5, 1))).tolist() == [4, 4, 4, 4, 1]


def test_larger_numbers_need_more_room() -> None:
    homes = np.array([[100, 100], [130, 100]])
    assert grouped(homes, np.array([[16, 12]] * 2)).tolist() == [1, 1]
    assert grouped(homes, np.array([[26, 18]] * 2)).tolist() == [2, 2]
