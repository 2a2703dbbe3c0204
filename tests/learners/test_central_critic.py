"""The central critic's signals and loss, with worked numbers."""

import jax
import numpy as np

from macpo.learners.auxiliary_network import AuxiliaryValues
from macpo.learners.central_critic import CentralCritic
from macpo.learners.episodes import Transitions
from macpo.learners.losses import LossInputs, TDErrors
from macpo.types import Batch
from macpo.weighting.signals import Signals

Q_STAR = np.array([[3.0, 5.0, 9.0]])  # the last in the final state
MASK = np.ones((1, 2), bool)


def inputs() -> LossInputs:
    """Targets of 1 and 4 where Q_tot is 0; the first step counts half."""
    nothing = np.zeros((1, 2))
    td = TDErrors(nothing, np.array([[1.0, 4.0]]), nothing)
    steps = Transitions(nothing, nothing > 0, MASK, np.array([[0.5, 1.0]]))
    return LossInputs(td, steps, Batch(None, np.ones(1)))


def critic(**options: float) -> CentralCritic:
    return CentralCritic(lambda keys: None, **options)


def test_it_learns_the_learners_targets_times_a_coefficient():
    loss_of = jax.jit(critic(coefficient=0.5).loss)
    loss, metrics = loss_of({}, AuxiliaryValues(Q_STAR), inputs())
    np.testing.assert_allclose(metrics["loss_central"], (0.5 * 2**2 + 1**2) / 2)
    np.testing.assert_allclose(loss, 0.5 * metrics["loss_central"])
    np.testing.assert_allclose(metrics["q_star_gap"], (3 + 5) / 2)


def test_its_value_of_the_actions_taken_is_a_signal():
    given = Signals(MASK, q_star_greedy=np.array([[7.0, 8.0]]))
    signals = critic().signals(given, AuxiliaryValues(Q_STAR), inputs())
    assert signals.q_star.tolist() == [[3, 5]]
    assert signals.q_star_greedy.tolist() == [[7, 8]]


def test_a_target_network_gives_the_value_of_the_greedy_actions():
    values = AuxiliaryValues(Q_STAR, greedy=2 * Q_STAR)
    signals = critic(target_rate=1.0).signals(Signals(MASK), values, inputs())
    assert signals.q_star_greedy.tolist() == [[6, 10]]
