"""MAC-PO Approximation: the three levels in both readings of Algorithm 2."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from macpo import weighting
from tests.support.weighting_samples import (
    Arrays,
    fixture,
    golden,
    joint_policies,
    one_step,
    probabilities,
    quick,
    signals,
)

READINGS = ("quantised", "algorithm2")
both_readings = pytest.mark.parametrize("reading", READINGS)


def weigh(batch: Arrays, **options: Any) -> np.ndarray:
    return weighting.make("macpo-approx", **options)(**batch)


def level(reading: str, *pi: float) -> float:
    """The weight of a step whose TD error is one and whose value factor is one."""
    return float(weigh(one_step(pi=pi), reading=reading, normalise="none")[0, 0])


@both_readings
@pytest.mark.parametrize(("mode", "column"), [("none", "raw"), ("mean", "normalised")])
def test_weights_equal_the_worked_numbers(reading: str, mode: str, column: str) -> None:
    weights = weigh(fixture(), reading=reading, normalise=mode)
    expected = golden()["fixture"][column]["macpo_approx_quantised"]
    np.testing.assert_allclose(weights, [expected], rtol=1e-12)


@both_readings
def test_levels_equal_the_worked_numbers(reading: str) -> None:
    numbers = golden()["fixture"]
    levels = [level(reading, *pi) for pi in numbers["pi_taken"][:4]]
    assert levels == pytest.approx(numbers["alpha_quantised"][:4], rel=1e-15)


# --- quantised ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pi", "expected"),
    [
        ((1, 1, 1), 0.25),  # f = 1
        ((0, 0, 1), 0.25),  # f = 1
        ((0.5, 1, 1), 0.5),  # f = 1.5
        ((0, 1, 1), 0.75),  # f = 2
    ],
)
def test_the_levels_are_those_of_f_at_one_one_and_a_half_and_two(
    pi: tuple[float, ...], expected: float
) -> None:
    assert level("quantised", *pi) == expected


@pytest.mark.parametrize(("pi", "expected"), [(0.75, 0.25), (0.74, 0.5), (0.25, 0.5), (0.24, 0.75)])
def test_f_is_rounded_to_the_nearest_level_and_ties_go_down(pi: float, expected: float) -> None:
    assert level("quantised", pi) == expected  # f = 2 − π: ties at 1.25 and 1.75


@quick
@given(joint_policies)
def test_the_quantised_level_is_within_half_a_step_of_f(pi: list[float]) -> None:
    f = weighting.make("macpo", normalise="none")(**one_step(pi=tuple(pi)))[0, 0]
    assert abs(level("quantised", *pi) - (2 * f - 1) / 4) <= 0.125 + 1e-12


# --- the printed rule -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pi", "expected"),
    [
        ((0.05, 0.9, 0.95), 0.75),  # one unlikely, the others together 0.855
        ((0.9, 0.05, 0.95), 0.75),
        ((0.05, 0.9, 0.5), 0.25),  # the others together only 0.45, all together near 0
        ((0.05, 0.05, 0.9), 0.25),  # two unlikely
        ((0.95, 0.99, 0.98), 0.25),  # all together 0.92
        ((0.5, 0.5), 0.5),
        ((0.9, 0.8, 0.7), 0.5),
        ((0.05,), 0.75),  # a single agent has no others: their product is 1
        ((0.5,), 0.5),
        ((0.95,), 0.25),
    ],
)
def test_the_printed_rule_gives_these_levels(pi: tuple[float, ...], expected: float) -> None:
    assert level("algorithm2", *pi) == expected


# --- both -----------------------------------------------------------------------------------------


@both_readings
@quick
@given(joint_policies)
def test_there_are_three_levels(reading: str, pi: list[float]) -> None:
    assert level(reading, *pi) in (0.25, 0.5, 0.75)


@both_readings
@quick
@given(st.lists(probabilities, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_the_level_does_not_depend_on_the_order_of_agents(
    reading: str, pi: list[float], random: Any
) -> None:
    pi = [round(p, 3) + 0.0004 for p in pi]  # no product within rounding of a threshold
    assert level(reading, *pi) == level(reading, *random.sample(pi, len(pi)))


@both_readings
@quick
@given(signals(n_agents=2))
def test_steps_of_one_level_weigh_as_without_the_joint_term(reading: str, batch: Arrays) -> None:
    batch["pi_taken"] = np.ones_like(batch["pi_taken"])
    expected = weighting.make("macpo", without="joint")(**batch)
    np.testing.assert_allclose(weigh(batch, reading=reading), expected, rtol=1e-12, atol=1e-15)


@both_readings
def test_the_value_temperature_divides_the_gap(reading: str) -> None:
    batch = one_step(delta=2, gap=3, pi=(1, 1))
    weight = weigh(batch, reading=reading, normalise="none", value_temperature=6)
    assert weight[0, 0] == pytest.approx(0.25 * 2 * np.exp(-0.5), rel=1e-14)


@both_readings
def test_a_policy_that_is_no_number_is_not_hidden(reading: str) -> None:
    assert np.isnan(level(reading, 0.5, float("nan"), 0.5))
