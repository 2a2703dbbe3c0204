"""Collision avoidance: who gives way, how much, and that nobody is ever too fast."""

from typing import Any

import jax
import numpy as np
import pytest

from macpo.envs.smac_jax.orca import HORIZON, avoid

run = jax.jit(avoid)


def scene(
    place: list[complex],
    wish: list[complex],
    velocity: list[complex] | None = None,
    speed: float = 0.2,
    radii: float = 1.0,
    neighbours: np.ndarray | None = None,
    clearance: tuple[float, float, float, float] = (np.inf,) * 4,
) -> tuple[np.ndarray, ...]:
    """What is known in one environment, where each avoids all others if nothing else is said.

    `clearance` is the same for all, to the west, east, south, north.
    """
    n = len(place)
    everyone = ~np.eye(n, dtype=bool) if neighbours is None else neighbours
    return (
        np.array(place, np.complex64),
        np.array(wish if velocity is None else velocity, np.complex64),
        np.array(wish, np.complex64),
        np.full(n, speed, np.float32),
        np.full((n, n), radii, np.float32),
        everyone,
        np.broadcast_to(np.array(clearance, np.float32), (n, 4)),
    )


def side_by_side(*scenes: tuple[np.ndarray, ...]) -> np.ndarray:
    """New velocities in each of several environments."""
    return np.moveaxis(run(*(np.stack(each, -1) for each in zip(*scenes, strict=True))), -1, 0)


def avoided(*args: Any, **known: Any) -> np.ndarray:
    """New velocities in one environment."""
    return side_by_side(scene(*args, **known))[0]


def nearest_approach(place: list[complex], velocity: np.ndarray) -> float:
    """The smallest distance between the first two units within the horizon."""
    times = np.linspace(0, HORIZON, 1000)
    return np.abs(place[1] - place[0] + times * (velocity[1] - velocity[0])).min()


def test_with_nobody_to_avoid_a_unit_does_as_it_wishes():
    alone = np.zeros((2, 2), bool)
    wish = [0.1 + 0.1j, -0.1 + 0j]
    np.testing.assert_allclose(avoided([0, 1.5], wish, neighbours=alone), wish, rtol=1e-6)


def test_a_wish_beyond_a_units_speed_is_shortened():
    alone = np.zeros((2, 2), bool)
    found = avoided([0, 9], [3 + 4j, 0.1], neighbours=alone)
    np.testing.assert_allclose(found, [0.12 + 0.16j, 0.1], rtol=1e-5)


def test_units_on_ways_apart_do_as_they_wish():
    wish = [-0.2 + 0j, 0.2 + 0j]
    np.testing.assert_allclose(avoided([0, 2], wish), wish, rtol=1e-5)


def test_two_that_would_meet_pass_without_touching_and_share_the_effort():
    place, wish = [0, 4 + 0.1j], [0.2 + 0j, -0.2 + 0j]
    assert nearest_approach(place, np.array(wish)) < 0.2
    found = avoided(place, wish)
    assert nearest_approach(place, found) > 1 - 1e-3
    np.testing.assert_allclose(found[0], -found[1], rtol=1e-4, atol=1e-6)


def test_one_that_stands_stays_and_the_other_does_all_the_avoiding():
    place, wish = [0, 2 + 0.1j], [0.2 + 0j, 0j]
    found = avoided(place, wish)
    assert found[1] == 0
    assert nearest_approach(place, found) > 1 - 1e-3


def test_whom_a_unit_need_not_avoid_it_runs_into():
    only_the_second = np.array([[False, False], [True, False]])
    place, wish = [0, 4 + 0.1j], [0.2 + 0j, -0.2 + 0j]
    found = avoided(place, wish, neighbours=only_the_second)
    np.testing.assert_allclose(found[0], wish[0], rtol=1e-5)
    assert abs(found[1] - wish[1]) > 0.01


def test_an_overlap_with_one_that_stands_is_left_within_a_loop():
    place = [0, 0.9 + 0j]
    found = avoided(place, [0.2 + 0j, 0j])
    assert abs(place[0] + found[0] - place[1]) > 1 - 1e-4


@pytest.mark.parametrize("seed", range(3))
def test_in_a_crowd_nobody_is_faster_than_its_speed(seed: int):
    rng = np.random.default_rng(seed)
    place, wish = rng.normal(size=(2, 8, 2)) @ [1, 1j] * [[1.0], [0.2]]
    speeds = np.abs(avoided(list(place), list(wish)))
    assert np.isfinite(speeds).all()
    assert (speeds < 0.2 * (1 + 1e-4)).all()
    assert speeds.any()


@pytest.mark.parametrize("side", range(4))
def test_a_unit_that_walks_to_a_wall_slows_down_so_as_to_reach_it_after_the_horizon(side: int):
    clearance, way = [np.inf] * 4, [-1, 1, -1j, 1j][side]
    clearance[side] = 1.6
    wish = 0.2 * way
    found = avoided([0, 9], [wish, -wish], clearance=tuple(clearance))
    np.testing.assert_allclose(found, [0.1 * way, -wish], atol=1e-6)  # 1.6 cells in 16 loops


def test_a_unit_slides_along_a_wall_that_it_touches():
    found = avoided([0, 9], [0.12 - 0.16j, 0.1], clearance=(np.inf, np.inf, 0.0, np.inf))
    np.testing.assert_allclose(found[0], 0.12, atol=1e-6)


def test_an_environment_among_others_is_as_alone():
    place, wish = [0, 0.9, 0.6 + 0.7j, 0.6 - 0.7j], [0.2, -0.2, -0.1 - 0.1j, -0.1 + 0.1j]
    nobody = np.zeros((4, 4), bool)
    several = [  # that take no turn, many, and others
        scene(place, wish, neighbours=nobody),
        scene(place, wish),
        scene(place, wish, clearance=(0.0, *[np.inf] * 3)),
    ]
    for one, among_others in zip(several, side_by_side(*several), strict=True):
        np.testing.assert_allclose(side_by_side(one)[0], among_others, rtol=1e-5, atol=1e-6)


def test_in_a_crowd_that_leaves_no_way_a_unit_breaks_into_others_but_not_into_a_wall():
    place = [0, 0.9 + 0j, 0.6 + 0.7j, 0.6 - 0.7j]
    wish = [0.2 + 0j, -0.2 + 0j, -0.1 - 0.1j, -0.1 + 0.1j]
    free, walled = avoided(place, wish), avoided(place, wish, clearance=(0.0, *[np.inf] * 3))
    assert free[0].real < -0.05
    assert walled[0].real == pytest.approx(0, abs=1e-6)
