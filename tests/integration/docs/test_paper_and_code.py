"""The numbers of docs/paper_and_code.md, each worked out anew."""

import doctest
import importlib.util
import math
import re
import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.special import lambertw

from macpo import weighting
from macpo.weighting import Weighting
from tests.support.paths import ROOT
from tests.support.regret import boltzmann, bound, fall, states

TEXT = (ROOT / "docs" / "paper_and_code.md").read_text()
PROSE = re.sub(r"\s+", " ", TEXT)
SECTIONS = dict(re.findall(r"^##+ (.*?)\n(.*?)(?=^##|\Z)", TEXT, re.M | re.S))


def table(section: str) -> dict[str, list[str]]:
    """The cells of the table in a section by the first one of their line, the head left out."""
    lines = [line.strip("|") for line in SECTIONS[section].splitlines() if line.startswith("|")]
    rows = ([cell.strip() for cell in line.split(" | ")] for line in lines[2:])
    return {name: numbers for name, *numbers in rows}


@cache
def example(name: str) -> Any:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(name: str, **options: Any) -> Weighting:
    return weighting.make(name, normalise="none", **options)


WEIGHTINGS = {
    "`uniform`": plain("uniform"),
    "`per`": plain("per"),
    "`macpo`": plain("macpo"),
    "`macpo`, τ = 10": plain("macpo", value_temperature=10.0),
    "`owqmix`": plain("owqmix"),
    "`cwqmix`": plain("cwqmix"),
    "`per` × `owqmix`": plain("per").times(plain("owqmix")),
    "`macpo-regret`": plain("macpo-regret"),
}
"""Every table's weightings, by the names that they have there."""


# --- the derivation -------------------------------------------------------------------------------


def test_jensens_inequality_puts_the_papers_objective_below_its_bound() -> None:
    gap, probability = np.array([10, 0.05]), np.array([0.01, 0.99])
    mean = probability @ gap
    paper = -math.log(probability @ np.exp(-gap))  # Eq. (20)
    upper = math.log(probability @ np.exp(gap))
    assert f"Eq. (18) is {mean:.4f}, Eq. (20) {paper:.3f}" in PROSE
    assert f"is {upper:.2f}" in PROSE
    assert paper < mean < upper
    share = probability * np.exp(-gap) / (probability @ np.exp(-gap))  # ∂(20)/∂X
    assert share[0] == pytest.approx(5e-7, rel=0.05) and "5·10⁻⁷" in PROSE


def test_scaling_the_weights_changes_no_fit_and_so_the_multiplier_is_zero() -> None:
    rng = np.random.default_rng(0)
    features = np.array([[1, i == 0, j == 0] for i in range(2) for j in range(2)], float)
    target, p = rng.normal(0, 3, 4), rng.dirichlet(np.ones(4))

    def objective(p: np.ndarray) -> float:
        root = np.sqrt(p)[:, None]
        fit = np.linalg.lstsq(root * features, root[:, 0] * target, rcond=None)[0]
        return float(bound(features @ fit, target))

    eye = 1e-6 * np.eye(4)
    slope = np.array([(objective(p + step) - objective(p - step)) / 2e-6 for step in eye])
    assert np.abs(slope).max() > 0.1  # the weights matter
    assert abs(p @ slope) < 1e-6  # but not along p; with slackness, p · slope + λ = 0


def test_a_table_is_learned_whatever_the_weights() -> None:
    target, rng = np.array([1.0, -2.0, 5.0]), np.random.default_rng(0)
    for p in rng.dirichlet(np.ones(3), 5):
        root = np.diag(np.sqrt(p))
        fit = np.linalg.lstsq(root, root @ target, rcond=None)[0]
        np.testing.assert_allclose(fit, target)


@pytest.mark.parametrize(
    ("n", "told"), [(8, "0.97 with 8"), (9, "1.04 with 9"), (6**8, "10.94 with 6⁸")]
)
def test_lemma_3_fails_from_nine_joint_actions_on(n: int, told: str) -> None:
    largest = lambertw((n - 1) / math.e).real  # of z (n−1) e⁻ᶻ / (1 + (n−1) e⁻ᶻ), at z = 1 + it
    if n < 100:
        q = np.full(n, -1 - largest)
        q[0] = 0
        assert -(boltzmann(q) @ q) == pytest.approx(largest)
    assert told.startswith(f"{largest:.2f} ") and told in PROSE


def test_macpos_weights_depend_on_the_unit_of_reward_and_those_of_regret_do_not() -> None:
    rows = table("Units")
    for name, scale in (("reward 10", 1.0), ("reward 1", 0.1)):
        batch = {
            "q": scale * np.array([[0.0, 0.0, 1.0]]),
            "target": scale * np.array([[10.0, -2.0, 0.5]]),
            "q_star": scale * np.array([[10.0, -2.0, 0.5]]),
            "is_greedy": np.array([[False, False, True]]),
            "q_star_greedy": np.zeros((1, 3)),
            "pi_taken": np.array([[[1 / 6, 1 / 6], [0.5, 0.5], [1.0, 1.0]]]),
            "mask": np.ones((1, 3)),
        }
        of_both = (weighting.make(w)(**batch)[0] for w in ("macpo", "macpo-regret"))
        told = [", ".join(f"{x:.3f}" for x in weights) for weights in of_both]
        assert rows[name] == told


def test_its_influence_on_the_gradient_vanishes_for_large_errors() -> None:
    error = np.linspace(0, 20, 20_001)
    influence = error * error * np.exp(-error)  # |w δ| where Q* has learned the target, too
    assert error[influence.argmax()] == pytest.approx(2, abs=1e-3)
    assert f"{influence.max():.2f}" == "0.54" and "largest at |δ| = 2 (0.54)" in PROSE
    assert f"{influence[10_000]:.4f}" == "0.0045" and "0.0045 at 10" in PROSE


# --- what the objective asks for ------------------------------------------------------------------


def decrease(weigh: Weighting, scale: float) -> float:
    """How far weights of mean one lower J at first order, as a share of all there is to move."""
    q, q_star = states(400, scale)
    slope, greedy = fall(q, q_star), q.argmax(-1)[:, None]
    raw = weigh(
        q=q,
        target=q_star,
        q_star=q_star,
        is_greedy=np.arange(9) == greedy,
        q_star_greedy=np.broadcast_to(np.take_along_axis(q_star, greedy, -1), q.shape),
        pi_taken=boltzmann(q)[..., None],
        mask=np.ones_like(q),
    )
    weights = raw / raw.mean(-1, keepdims=True)
    return float(((weights * slope).sum(-1) / np.abs(slope).sum(-1)).mean())


def test_the_first_order_decrease_of_the_bound_is_as_told() -> None:
    rows = table("What it asks for")
    assert rows.keys() == WEIGHTINGS.keys() - {"`macpo`, τ = 10"}
    for name, told in rows.items():
        assert told == [f"{decrease(WEIGHTINGS[name], scale):.2f}" for scale in (1, 5)], name


# --- how daring -----------------------------------------------------------------------------------

CAPTURE, PUNISHMENT = 10.0, 2.0
REWARD = np.array([CAPTURE, -PUNISHMENT, -PUNISHMENT, 0.0])  # both catch, one, the other, none
FIRST, SECOND = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])  # action 0 is to catch


def weights_of_rewards(
    weigh: Weighting, utilities: np.ndarray, unit: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """(weights, TD errors) of the four joint actions, [P, 4], from both agents' utilities [P, 2].

    The game is symmetric, and so are the utilities; Q_tot is their sum, and Q* is exact.
    """
    q = utilities[:, FIRST] + utilities[:, SECOND]
    y, greedy = np.broadcast_to(unit * REWARD, q.shape), utilities.argmax(-1)[:, None]
    pi = boltzmann(np.concatenate([utilities, *[utilities[:, 1:]] * 4], -1))  # 5 idle actions
    w = weigh(
        q=q,
        target=y,
        q_star=y,
        is_greedy=(greedy == FIRST) & (greedy == SECOND),
        q_star_greedy=np.where(greedy == 0, unit * CAPTURE, 0 * y),
        pi_taken=np.stack([pi[:, FIRST], pi[:, SECOND]], -1),
        mask=np.ones(q.shape),
    )
    return w, q - y


def formula(weigh: Weighting, unit: float = 1.0) -> float:
    """p with p · c · w(c) = (1 − p) · k · w(−k): where the first step is neither way."""
    w, error = weights_of_rewards(weigh, np.array([[-1e-9, 0]]), unit)
    catch, mistake = np.abs(w * error)[0, :2]
    return mistake / (catch + mistake)


def simulated(weigh: Weighting, p: np.ndarray, n_steps: int = 1000) -> float:
    """The least of these p from which gradient flow, from zero, comes to prefer catching."""
    data = np.stack([p * p, p * (1 - p), p * (1 - p), (1 - p) ** 2], -1)
    utilities = np.tile([-1e-3, 0], (len(p), 1))
    for rate in np.linspace(0.02, 0, n_steps):
        w, error = weights_of_rewards(weigh, utilities)
        force = -data * w * error
        force = force.reshape(-1, 2, 2).sum(-1) / (data * w).sum(-1, keepdims=True)
        utilities += rate * force / (np.abs(force).max(-1, keepdims=True) + 1e-3)
    dares = utilities[:, 0] > utilities[:, 1]
    assert (dares == (p >= p[dares].min())).all()
    return float(p[dares].min())


@cache
def daring() -> dict[str, list[str]]:
    return table("How rare a catch may be")


def test_every_weighting_has_a_daring_threshold() -> None:
    assert daring().keys() == WEIGHTINGS.keys()


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_daring_thresholds_are_as_told(name: str) -> None:
    weigh = WEIGHTINGS[name]
    of_formula, of_flow = map(float, daring()[name])
    assert of_formula == pytest.approx(formula(weigh), rel=0.02)
    around = np.geomspace(0.8 * of_flow, min(1.2 * of_flow, 0.999), 60)
    assert of_flow == pytest.approx(simulated(weigh, around), rel=0.02)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 10.0, 1e3])
def test_macpo_is_less_daring_than_per_at_every_temperature(temperature: float) -> None:
    macpo = plain("macpo", value_temperature=temperature, likelihood="none")
    assert formula(macpo) > formula(plain("per")) == pytest.approx(1 / 26)


def test_only_macpos_threshold_depends_on_the_unit_of_reward() -> None:
    in_tens = formula(WEIGHTINGS["`macpo`"], unit=0.1)
    assert in_tens == pytest.approx(formula(WEIGHTINGS["`macpo`, τ = 10"]))
    for name in WEIGHTINGS.keys() - {"`macpo`", "`macpo`, τ = 10"}:
        assert formula(WEIGHTINGS[name], unit=0.1) == pytest.approx(formula(WEIGHTINGS[name]))


# --- one-step games -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("game", "names"),
    [
        ("penalty of QTRAN", ["`macpo`, τ = 10", "`cwqmix`", "`macpo-regret`"]),
        ("climbing", ["`macpo`, τ = 10", "`macpo-regret`"]),
        ("penalty −100", ["`macpo`, τ = 10"]),
        ("catch, p = 0.0167", ["`per`", "`cwqmix`", "`macpo-regret`"]),
    ],
)
def test_one_step_games_are_solved_as_often_as_told(game: str, names: list[str]) -> None:
    games = example("one_step_games")
    assert table("One-step games").keys() == games.GAMES.keys()
    told = dict(zip(games.WEIGHTINGS, table("One-step games")[game], strict=True))
    for name in names:
        solved = games.n_solved(game, games.WEIGHTINGS[name])
        assert solved == pytest.approx(int(told[name]), abs=2)  # rounding may turn a few


# --- section 4.3 ----------------------------------------------------------------------------------


def test_section_4_3_is_in_the_page_as_its_example_prints_it() -> None:
    script = ROOT / "examples" / "joint_probability.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert doctest.testmod(example("joint_probability")).failed == 0
    for part in done.stdout.split("\n\n"):
        assert part.strip() in TEXT


def test_policies_of_eq_6_follow_the_mean_over_what_the_others_do() -> None:
    q = np.zeros((3, 3))
    q[0] = [0, 6, 3]  # the first agent's means are 3, 0, 0; the second's 0, 2, 1
    first, second = example("joint_probability").policies(q)
    np.testing.assert_allclose(first, np.exp([3, 0, 0]) / (math.e**3 + 2))
    np.testing.assert_allclose(second, np.exp([0, 2, 1]) / (1 + math.e**2 + math.e))


def test_what_eq_2_neglects_is_a_multiple_of_the_main_term() -> None:
    pi, rest = np.array([0.5, 0.25, 0.8]), 0.01 * 3.0 * math.exp(-3)  # ε_0 |δ| e^−gap
    main = rest / 0.01 * pi.prod() * (1 + 0.5 * 0.2 + 0.75 * 0.4 + 0.2 * 0.125)  # d(s) = 1
    second_term = rest * pi.prod() * (0.5 + 0.75 + 0.2)
    neglected = example("joint_probability").neglected(pi)
    assert second_term / main == pytest.approx(0.01 * neglected)
