"""The weights that MAC-PO's objective asks for: worked numbers, both kinds of policies, J."""

import array_api_compat.numpy as numpy
import numpy as np
import pytest
from array_api_compat import array_namespace
from hypothesis import given

from macpo.weighting import make, taken_probs
from macpo.weighting.macpo_regret import first_order_weights
from tests.support.regret import fall, states
from tests.support.weighting_libraries import every_library, library
from tests.support.weighting_libraries import given as of_library
from tests.support.weighting_samples import Arrays, one_step, quick, raw, signals, weigh

Q = np.array([[0.0, 0.0, 1.0]])
TARGET = np.array([[10.0, -2.0, 0.5]])  # a rare catch, a mistake, the greedy action
PI = np.array([[[1 / 6, 1 / 6], [0.5, 0.5], [1.0, 1.0]]])  # f = 23/18, 3/2, 1


def three_steps(scale: float = 1.0) -> Arrays:
    """A rare joint catch, a mistake that nobody means to repeat, and a greedy action."""
    return {
        "q": scale * Q,
        "target": scale * TARGET,
        "q_star": scale * TARGET,
        "is_greedy": np.array([[False, False, True]]),
        "q_star_greedy": np.zeros((1, 3)),
        "pi_taken": PI,
        "mask": np.ones((1, 3), bool),
    }


# --- worked numbers -------------------------------------------------------------------------------


def test_raw_weights_are_error_times_regret_times_joint_probability() -> None:
    expected = [10 * 1 * 23 / 18, 2 * 0.1 * 3 / 2, 0.5 * 1 * 1]
    np.testing.assert_allclose(raw("macpo-regret", three_steps())[0], expected, rtol=1e-14)
    np.testing.assert_allclose(expected, [12.7777778, 0.3, 0.5], rtol=1e-8)


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_weights_of_mean_one_have_no_units(scale: float) -> None:
    weights = weigh("macpo-regret", three_steps(scale))[0]
    np.testing.assert_allclose(weights, [2.8232406, 0.0662848, 0.1104746], atol=5e-8)


@pytest.mark.parametrize(
    ("scale", "expected"),
    [(1.0, [0.0024517, 1.7158771, 1.2816712]), (0.1, [1.8476339, 0.9654226, 0.1869435])],
)
def test_those_of_macpo_depend_on_the_unit_of_reward(scale: float, expected: list[float]) -> None:
    np.testing.assert_allclose(weigh("macpo", three_steps(scale))[0], expected, atol=5e-8)


@quick
@given(signals())
def test_with_greedy_policies_it_is_error_times_cw_qmixs_weight_times_f(batch: Arrays) -> None:
    expected = raw("macpo-no-value", batch) * raw("cwqmix", batch)
    np.testing.assert_allclose(raw("macpo-regret", batch), expected, rtol=1e-14)
    product = make("macpo-no-value").times(make("cwqmix"))  # what `--algorithm cwqmix` makes of it
    np.testing.assert_allclose(weigh("macpo-regret", batch), product(**batch), rtol=1e-14)


# --- options --------------------------------------------------------------------------------------


def test_a_milder_exponent_takes_the_root_of_the_error() -> None:
    weights = raw("macpo-regret", three_steps(), exponent=0.5)[0]
    expected = [np.sqrt(10) * 23 / 18, np.sqrt(2) * 0.15, np.sqrt(0.5)]
    np.testing.assert_allclose(weights, expected, rtol=1e-14)


def test_exponent_zero_leaves_cw_qmixs_weight_times_f() -> None:
    weights = raw("macpo-regret", three_steps(), exponent=0.0)[0]
    np.testing.assert_allclose(weights, [23 / 18, 0.15, 1], rtol=1e-14)


@pytest.mark.parametrize("policies", ["greedy", "boltzmann"])
def test_alpha_is_the_weight_of_what_neither_policy_takes(policies: str) -> None:
    never = one_step(delta=1, pi=(0.0, 0.0)) | {
        "is_greedy": np.array([[False]]),
        "q_star_greedy": np.array([[100.0]]),
    }
    assert raw("macpo-regret", never, policies=policies)[0, 0] == pytest.approx(0.1)
    weight = raw("macpo-regret", never, policies=policies, alpha=0.25)[0, 0]
    assert weight == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("likelihood", "terms"),
    [
        ("paper", [23 / 18, 3 / 2, 1]),
        ("additive", [8 / 3, 2, 1]),
        ("joint", [71 / 36, 7 / 4, 1]),
        ("none", [1, 1, 1]),
    ],
)
def test_likelihoods_are_those_of_macpo(likelihood: str, terms: list[float]) -> None:
    weights = raw("macpo-regret", three_steps(), likelihood=likelihood)[0]
    np.testing.assert_allclose(weights, np.array([10, 0.2, 0.5]) * terms, rtol=1e-14)


def test_greedy_policies_without_likelihood_need_no_probabilities() -> None:
    batch = three_steps()
    del batch["pi_taken"]
    np.testing.assert_allclose(raw("macpo-regret", batch, likelihood="none")[0], [10, 0.2, 0.5])


def test_on_policy_multiplies_by_the_density_ratio() -> None:
    batch = three_steps() | {"log_density_ratio": np.log([[2.0, 1.0, 0.5]])}
    weights = raw("macpo-regret", batch, on_policy=1.0)[0]
    expected = raw("macpo-regret", three_steps())[0] * [2, 1, 0.5]
    np.testing.assert_allclose(weights, expected, rtol=1e-12)


# --- boltzmann policies ---------------------------------------------------------------------------


def soft(batch: Arrays, temperature: float) -> np.ndarray:
    """max(α, κ) alone."""
    return raw(
        "macpo-regret",
        batch,
        policies="boltzmann",
        policy_temperature=temperature,
        likelihood="none",
        exponent=0.0,
    )


def step(q: float, target: float, is_greedy: bool = False, pi: float = 0.5) -> Arrays:
    """One step of one agent in a state whose greedy action is worth 0."""
    return {
        "q": np.array([[q]]),
        "target": np.array([[target]]),
        "q_star": np.array([[target]]),
        "is_greedy": np.array([[is_greedy]]),
        "q_star_greedy": np.zeros((1, 1)),
        "pi_taken": np.array([[[pi]]]),
        "mask": np.ones((1, 1), bool),
    }


@pytest.mark.parametrize(
    ("case", "kappa"),
    [
        (step(q=0, target=10), 1),  # better than greedy
        (step(q=-2, target=-1), np.exp(-1 / 2)),  # worse than greedy by half a temperature
        (step(q=-2, target=-1, is_greedy=True), 1),  # nothing is better that is known
        (step(q=-9, target=-8), 0.1),  # e⁻⁴ is less than the floor
        (step(q=4, target=-2), 0.5 * (1 + 6 * 0.5 / 2)),  # overestimated by 6, taken every 2nd time
        (step(q=4, target=-2, pi=1.0), 1),  # always taken: O = Ō
        (step(q=4, target=-2, pi=0.01), 0.1),  # hardly ever taken
    ],
)
def test_regret_of_boltzmann_policies_is_as_worked_out(case: Arrays, kappa: float) -> None:
    assert soft(case, temperature=2.0)[0, 0] == pytest.approx(kappa, rel=1e-12)


@every_library
def test_regret_of_boltzmann_policies_is_the_same_in_every_library(name: str) -> None:
    case = {k: np.float32(x) if x.dtype == float else x for k, x in three_steps().items()}
    arrays = dict(zip(case, of_library(name, *case.values()), strict=True))
    kappa = np.asarray(soft(arrays, temperature=2.0))[0]
    # worth more; overestimated by 2 and taken with ¼; always taken
    np.testing.assert_allclose(kappa, [1, 0.25 * (1 + 2 * 0.75 / 2), 1], rtol=1e-6)


def test_boltzmann_policies_tend_to_greedy_ones_as_the_temperature_falls() -> None:
    (q, q_star), every = states(200, scale=5), np.arange(9)
    greedy = q.argmax(-1)[:, None]
    batch = {
        "q": q,
        "target": q_star,
        "q_star": q_star,
        "is_greedy": every == greedy,
        "q_star_greedy": np.broadcast_to(np.take_along_axis(q_star, greedy, -1), (200, 9)),
        "mask": np.ones((200, 9), bool),
    }
    utilities = np.broadcast_to(q[:, None], (200, 9, 9))
    cold = taken_probs(utilities, np.broadcast_to(every, (200, 9)), temperature=1e-4)[..., None]
    limit = soft(batch | {"pi_taken": cold}, temperature=1e-4)
    greedy_weights = raw("cwqmix", batch)
    # CW-QMIX keeps what beats the greedy action even where it is overestimated and not taken
    idle = (q > q_star) & ~batch["is_greedy"] & (q_star > batch["q_star_greedy"])
    assert idle.any()
    np.testing.assert_allclose(limit[~idle], greedy_weights[~idle], atol=1e-9)
    np.testing.assert_allclose(limit[idle], 0.1)


def test_it_is_exact_where_only_the_stored_action_is_overestimated() -> None:
    rng = np.random.default_rng(1)
    n, temperature = 200, 0.7
    q_star = rng.normal(size=(n, 9))
    q = q_star - rng.exponential(size=(n, 9)) * rng.integers(0, 2, (n, 9))
    q[:, 0] = q_star[:, 0] + rng.exponential(2, n)
    exact = first_order_weights(q, q_star, temperature, numpy)[:, 0] / (q - q_star)[:, 0]
    batch = {
        "q": q[:, :1],
        "target": q_star[:, :1],
        "q_star": q_star[:, :1],
        "is_greedy": q[:, :1] == q.max(-1, keepdims=True),
        "q_star_greedy": np.take_along_axis(q_star, q.argmax(-1)[:, None], -1),
        "pi_taken": taken_probs(q[:, None], np.zeros((n, 1), int), temperature=temperature)[
            ..., None
        ],
        "mask": np.ones((n, 1), bool),
    }
    assert (exact < 0.1).any() and (exact > 1).any()
    np.testing.assert_allclose(soft(batch, temperature)[:, 0], np.maximum(exact, 0.1), rtol=1e-12)


# --- the objective --------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_first_order_weights_are_how_fast_j_falls_where_it_falls(temperature: float) -> None:
    q, q_star = states(300, scale=5)
    slope = fall(q, q_star, temperature)
    assert (slope < 0).any()  # an action whose learning raises J gets no weight
    weights = first_order_weights(q, q_star, temperature, numpy)
    np.testing.assert_allclose(weights, np.maximum(slope, 0), atol=1e-6)


def test_those_of_greedy_policies_keep_two_actions_and_cw_qmix_keeps_both_too() -> None:
    q, q_star = states(300, scale=5)
    kept = first_order_weights(q, q_star, 1e-3, numpy) / np.abs(q - q_star)
    greedy, every = q.argmax(-1)[:, None], np.arange(9)
    greedy_value = np.take_along_axis(q_star, greedy, -1)
    best = q_star.argmax(-1)[:, None]
    expected = ((every == best) & (q < q_star)) | ((every == greedy) & (q > q_star))
    apart = np.diff(np.sort(q, -1)[:, -2:])[:, 0] > 0.05  # the limit is reached already
    np.testing.assert_allclose(kept[apart], expected[apart], atol=1e-9)
    assert ((every == greedy) | (q_star > greedy_value))[expected].all()


def test_equally_good_actions_share_the_optimal_policy() -> None:
    q, q_star = np.array([-1.0, -2.0, 0.0]), np.array([3.0, 3.0, 0.0])
    weights = first_order_weights(q, q_star, 1.0, numpy)  # nothing is overestimated: Ō = 0
    np.testing.assert_allclose(weights, [4 / 2, 5 / 2, 0])


@every_library
def test_first_order_weights_are_the_same_in_every_library(name: str) -> None:
    q, q_star = (np.float32(x) for x in states(20, scale=5))
    arrays = of_library(name, q, q_star)
    weights = first_order_weights(*arrays, 2.0, array_namespace(*arrays))
    assert weights.dtype == library(name).float32
    expected = first_order_weights(np.float64(q), np.float64(q_star), 2.0, numpy)
    np.testing.assert_allclose(np.asarray(weights), expected, atol=1e-4)
