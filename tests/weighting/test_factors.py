"""Factors: f of MAC-PO, Eq. (7), by closed forms, symmetries and enumeration; the factor d^π/μ."""

import itertools
import math

import array_api_compat.numpy as xp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from macpo.weighting.factors import joint_probability, log, power
from tests.support.weighting_samples import (
    Arrays,
    fixture,
    golden,
    joint_policies,
    probabilities,
    quick,
    raw,
    signals,
    weigh,
)


def f(*pi: float) -> float:
    return float(joint_probability(np.array(pi, np.float64), xp))


# --- hand numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("case", golden()["f_values"].values(), ids=golden()["f_values"])
def test_f_equals_the_worked_numbers(case: dict[str, list[float]]) -> None:
    assert f(*case["pi"]) == pytest.approx(case["f"], rel=1e-12)


def test_f_equals_the_numbers_of_the_worked_fixture() -> None:
    numbers = golden()["fixture"]
    values = joint_probability(np.array(numbers["pi_taken"]), xp)
    np.testing.assert_allclose(values, numbers["f"], rtol=1e-12)


def test_one_chance_in_two_of_exactly_one_deviation_gives_one_and_a_half() -> None:
    assert f(0.5, 0.5) == 1.5
    assert f(0.5, 1, 1) == f(0, 0.5, 1) == 1.5


def test_f_is_finite_and_right_where_a_probability_is_zero() -> None:
    assert f(0, 0.9, 0.8) == pytest.approx(1.72, rel=1e-15)


@pytest.mark.parametrize("regime", golden()["f_regimes"].values(), ids=golden()["f_regimes"])
def test_f_equals_the_worked_numbers_of_real_games(regime: dict[str, float]) -> None:
    n, others = int(regime["n"]), int(regime["actions"]) - 1

    def probability(margin: float) -> float:
        """Of an action whose utility is `margin` above all others."""
        return math.exp(margin) / (math.exp(margin) + others)

    f_minus_1 = {
        "f_minus_1_uniform": f(*[probability(0)] * n) - 1,
        "f_minus_1_greedy_margin_1": f(*[probability(1)] * n) - 1,
        "f_minus_1_greedy_at_clamp": f(*[probability(7)] * n) - 1,  # utilities within (−5, 2)
    }
    for name, value in f_minus_1.items():
        assert value == pytest.approx(regime[name], rel=1e-5)
    one_deviator = f(probability(-7), *[probability(7)] * (n - 1))
    assert one_deviator == pytest.approx(regime["f_one_deviator_at_clamp"], rel=1e-12)


# --- closed forms ---------------------------------------------------------------------------------


@quick
@given(probabilities)
def test_f_of_one_agent_is_two_minus_its_probability(pi: float) -> None:
    assert f(pi) == pytest.approx(2 - pi, rel=1e-15)


@quick
@given(probabilities, probabilities)
def test_f_of_two_agents_is_one_plus_a_plus_b_minus_twice_their_product(a: float, b: float) -> None:
    assert f(a, b) == pytest.approx(1 + a + b - 2 * a * b, rel=1e-14)


@pytest.mark.parametrize("n", range(1, 8))
def test_f_of_certain_policies_is_two_where_exactly_one_agent_deviates_and_else_one(n: int) -> None:
    for corner in itertools.product([0, 1], repeat=n):
        assert f(*corner) == (2 if corner.count(0) == 1 else 1)


@quick
@given(st.integers(1, 12), probabilities)
def test_f_of_equal_probabilities_is_binomial(n: int, p: float) -> None:
    assert f(*[p] * n) == pytest.approx(1 + n * (1 - p) * p ** (n - 1), rel=1e-12)


@pytest.mark.parametrize("n", range(2, 10))
def test_f_of_equal_probabilities_is_largest_at_one_minus_one_over_n(n: int) -> None:
    grid = np.linspace(0, 1, 1000 * n + 1)
    values = joint_probability(np.repeat(grid[:, None], n, 1), xp)
    assert grid[values.argmax()] == pytest.approx((n - 1) / n, abs=1e-12)


@quick
@given(joint_policies)
def test_f_equals_the_form_printed_in_the_paper(pi: list[float]) -> None:
    leave_one_out = sum(math.prod(pi[:i] + pi[i + 1 :]) for i in range(len(pi)))
    printed = 1 + leave_one_out - len(pi) * math.prod(pi)
    assert f(*pi) == pytest.approx(printed, rel=1e-12)


@quick
@given(st.lists(probabilities, min_size=1, max_size=8))
def test_f_is_one_plus_the_chance_that_exactly_one_agent_deviates(pi: list[float]) -> None:
    chance = sum(
        math.prod(p if stays else 1 - p for p, stays in zip(pi, who, strict=True))
        for who in itertools.product([False, True], repeat=len(pi))
        if sum(who) == len(pi) - 1
    )
    assert f(*pi) == pytest.approx(1 + chance, rel=1e-12)


# --- structure ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "above"), [(np.float64, 1e-14), (np.float32, 1e-6)])
def test_f_of_a_million_random_policies_lies_between_one_and_two(dtype: type, above: float) -> None:
    rng = np.random.default_rng(0)
    for n in range(1, 28):
        pi = rng.random((37_038, n)).astype(dtype)
        pi[::2] = 1 - pi[::2] ** 8  # near one, where the products are large
        values = joint_probability(pi, xp)
        assert values.min() >= 1
        assert values.max() <= 2 + above


@pytest.mark.parametrize("n", [2, 5, 10, 27])
def test_f_of_nearly_certain_policies_is_exact_to_rounding_in_single_precision(n: int) -> None:
    # dividing by each π_i and subtracting n Π π_i would lose up to 7e-6 here
    pi = (1 - np.random.default_rng(n).random((20_000, n)) ** 8).astype(np.float32)
    exact = joint_probability(pi.astype(np.float64), xp)
    np.testing.assert_allclose(joint_probability(pi, xp), exact, rtol=1e-6)


@quick
@given(joint_policies, st.randoms(use_true_random=False))
def test_f_does_not_depend_on_the_order_of_agents(pi: list[float], random: object) -> None:
    shuffled = random.sample(pi, len(pi))  # type: ignore[attr-defined]
    assert f(*shuffled) == pytest.approx(f(*pi), rel=1e-14)


@quick
@given(joint_policies)
def test_an_agent_without_a_choice_changes_nothing(pi: list[float]) -> None:
    assert f(*pi, 1) == pytest.approx(f(*pi), rel=1e-15)


@quick
@given(joint_policies)
def test_an_agent_who_never_acts_so_leaves_the_probability_of_the_others(pi: list[float]) -> None:
    assert f(*pi, 0) == pytest.approx(1 + math.prod(pi), rel=1e-14)


@quick
@given(joint_policies, probabilities, probabilities)
def test_f_is_affine_in_each_probability(pi: list[float], a: float, b: float) -> None:
    middle = f((a + b) / 2, *pi)
    assert middle == pytest.approx((f(a, *pi) + f(b, *pi)) / 2, rel=1e-14)


def test_the_expectation_of_f_over_joint_actions_is_f_of_the_squared_policies() -> None:
    numbers = golden()["f_expectation"]
    one, two = numbers["policies"]
    mean = sum(a * b * f(a, b) for a in one for b in two)
    squares = [sum(p * p for p in policy) for policy in (one, two)]
    assert squares == pytest.approx(numbers["q"])
    assert mean == pytest.approx(numbers["E_f"]) == f(*squares)


def test_the_mean_of_f_over_five_uniform_probabilities_is_1_15625() -> None:
    pi = np.random.default_rng(0).random((1_000_000, 5))
    assert joint_probability(pi, xp).mean() == pytest.approx(1 + 5 * 0.5**5, abs=1e-3)


# --- how on-policy a step is, from the logit of a classifier between recent play and replay -------

# the weights of z = 1, −½, 2, 0
WORKED = {
    1.0: [0.928226848, 0.207115405, 2.523182173, 0.341475574, 0],
    5.0: [1.057934690, 0.783737295, 1.292164349, 0.866163666, 0],
    7.5: [1.042607489, 0.853614814, 1.191315441, 0.912462256, 0],
}


@pytest.mark.parametrize("temperature", WORKED)
def test_alone_it_gives_the_worked_numbers(temperature: float) -> None:
    weights = weigh("uniform", fixture(), on_policy=temperature)
    assert weights[0].tolist() == pytest.approx(WORKED[temperature], abs=6e-10)


def test_in_macpo_it_gives_the_worked_numbers() -> None:
    weights = weigh("macpo", fixture(), on_policy=5.0)
    expected = [1.368749055, 2.145930526, 0.394588181, 0.090732238, 0]
    assert weights[0].tolist() == pytest.approx(expected, abs=6e-10)


@quick
@given(signals(), st.floats(0.1, 20))
def test_where_recent_play_and_replay_are_alike_it_changes_nothing(
    batch: Arrays, temperature: float
) -> None:
    alike = batch | {"log_density_ratio": np.zeros_like(batch["q"])}
    for mode in ("none", "mean"):
        weights = weigh("macpo", alike, normalise=mode, on_policy=temperature)
        np.testing.assert_array_equal(weights, weigh("macpo", batch, normalise=mode))


@quick
@given(signals())
def test_a_high_temperature_leaves_it_out(batch: Arrays) -> None:
    weights = weigh("macpo", batch, on_policy=1e12)
    np.testing.assert_allclose(weights, weigh("macpo", batch), rtol=1e-9)


@quick
@given(signals(), st.floats(-5, 5))
def test_a_constant_added_to_every_logit_cancels_in_the_normalisation(
    batch: Arrays, more: float
) -> None:
    z = np.clip(batch["log_density_ratio"], -5, 5)  # none is cut
    one, other = (batch | {"log_density_ratio": x} for x in (z, z + more))
    expected = weigh("macpo", one, on_policy=5.0)
    np.testing.assert_allclose(weigh("macpo", other, on_policy=5.0), expected, rtol=1e-12)


def test_logits_beyond_ten_are_cut() -> None:
    z = np.array([[-30.0, 10, 30, 0, 0]])
    weights = raw("uniform", fixture() | {"log_density_ratio": z}, on_policy=10.0)
    assert weights[0].tolist() == pytest.approx([np.exp(-1), np.e, np.e, 1, 0], rel=1e-6)


# --- logarithms -----------------------------------------------------------------------------------


def test_the_log_of_zero_is_minus_infinity_without_a_warning() -> None:
    with np.errstate(all="raise"):
        assert log(np.array([0.0, 1.0]), xp).tolist() == [-np.inf, 0]


def test_zero_to_the_power_of_zero_is_one() -> None:
    assert np.exp(power(np.array([0.0, 4.0]), 0.0, xp)).tolist() == [1, 1]
    assert np.exp(power(np.array([0.0, 4.0]), 0.5, xp)).tolist() == pytest.approx([0, 2])
