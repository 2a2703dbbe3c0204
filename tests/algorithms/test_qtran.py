"""QTRAN's networks and its two losses besides the TD loss, with worked numbers."""

from typing import Any

import jax
import numpy as np
import pytest

from macpo.algorithms.qtran import Config as Qtran
from macpo.algorithms.qtran import FactorisationLoss, FactorisedValues
from macpo.conformance.canvas import CANVAS, Canvas
from macpo.errors import UsageError
from macpo.learners.episodes import Transitions
from macpo.learners.losses import LossInputs, TDErrors
from macpo.nets.critics import JointValue
from macpo.nets.mixers import Extras
from macpo.types import Batch
from macpo.weighting.differ import Config as Differ
from macpo.weighting.macpo import Config as Macpo
from macpo.weighting.signals import Signals

KEY = jax.random.key(0)
LOSS = FactorisationLoss(opt_loss=1.0, nopt_loss=0.1)
compute_loss = jax.jit(LOSS.loss)
# the first step: the sum is .5 above Q_jt at the best action and 2 below it at the stored one;
# the second: 1 below, and 3 above
FINAL = 9.0  # of the final state, in which nobody acts
VALUES = FactorisedValues(
    q=np.array([[1.0, 6.0, FINAL]]),
    q_jt=np.array([[3.0, 3.0, FINAL]]),
    q_best=np.array([[4.5, 6.0, FINAL]]),
    q_jt_best=np.array([[4.0, 7.0, FINAL]]),
)


def loss_of(
    values: FactorisedValues = VALUES,
    mask: tuple[bool, bool] = (True, True),
    importance: float = 1.0,
) -> Any:
    """(loss, metrics) of two steps of an episode, the first of which counts as drawn so often."""
    nothing = np.zeros((1, 2))
    steps = Transitions(nothing, nothing > 0, np.array([mask]), np.array([[importance, 1.0]]))
    inputs = LossInputs(TDErrors(nothing, nothing, nothing), steps, Batch(None, np.ones(1)))
    return compute_loss({}, values, inputs)


def test_joint_network_of_predator_prey_has_61398_parameters():
    net = jax.eval_shape(lambda: JointValue(KEY, 6, 300, 64, 64))
    assert sum(x.size for x in jax.tree.leaves(net)) == 61_398


def test_the_sum_meets_the_joint_value_at_the_best_action_and_stays_above_it_elsewhere():
    loss, metrics = loss_of()
    np.testing.assert_allclose(metrics["loss_opt"], (0.25 + 1) / 2)
    np.testing.assert_allclose(metrics["loss_nopt"], (4 + 0) / 2)
    np.testing.assert_allclose(loss, 0.625 + 0.1 * 2)


def test_the_joint_value_learns_nothing_from_the_sum():
    slope = jax.grad(lambda values: loss_of(values)[0])(VALUES)
    assert not slope.q_jt.any() and not slope.q_jt_best.any()
    assert slope.q.any() and slope.q_best.any()


def test_episodes_drawn_too_often_count_less_in_both_losses():
    _, metrics = loss_of(importance=0.5)
    np.testing.assert_allclose(metrics["loss_opt"], (0.5 * 0.25 + 1) / 2)
    np.testing.assert_allclose(metrics["loss_nopt"], 0.5 * 4 / 2)


def test_padding_changes_neither_loss():
    junk = jax.tree.map(lambda x: np.where([True, False, True], x, np.nan), VALUES)
    loss, _ = loss_of(junk, mask=(True, False))
    np.testing.assert_allclose(loss, 0.25 + 0.1 * 4)


def test_the_sum_and_the_joint_value_judge_the_same_joint_actions():
    joint, rng = JointValue(KEY, 3, 5, 4, 8), np.random.default_rng(0)
    state, hidden, utilities = (
        rng.normal(size=shape).astype(np.float32) for shape in ((7, 5), (7, 2, 4), (7, 2))
    )
    best = np.full((7, 2), 2.0)
    extras = Extras(np.ones((7, 2), int), best, hidden)
    q_jt = joint(utilities, state, extras._replace(actions=np.zeros((7, 2), int)))
    values = LOSS.values(joint, q_jt, utilities, extras, state)
    v = joint.state_value(state)
    np.testing.assert_allclose(values.q, utilities.sum(-1) + v, rtol=1e-6)
    np.testing.assert_allclose(values.q_best, 4 + v, rtol=1e-6)
    np.testing.assert_allclose(values.q_jt_best, joint(best, state, extras), rtol=1e-6)
    np.testing.assert_array_equal(values.q_jt, q_jt)
    assert (values.q_jt_best != q_jt).all()


def test_the_joint_value_is_the_q_star_of_weightings_so_there_is_no_central_critic():
    learner = Qtran().make(Canvas(CANVAS), Macpo())
    assert not learner.has_central_critic and learner.auxiliary.networks == ()


def test_a_central_critic_that_there_is_nevertheless_is_their_q_star() -> None:
    def q_star(known: Any) -> Any:
        mask = np.ones((1, 2))
        return LOSS.signals(Signals(mask, q_star=known), VALUES, None).q_star  # type: ignore[arg-type]

    assert np.asarray(q_star(None)).tolist() == [[3, 3]]
    assert np.asarray(q_star(np.array([[1.0, 2.0]]))).tolist() == [[1, 2]]


def test_a_weighting_that_needs_a_mixer_is_refused():
    with pytest.raises(UsageError, match="in qtran that error does not depend on the utilities"):
        Qtran().make(Canvas(CANVAS), Differ())
