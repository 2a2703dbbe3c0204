"""The error network's loss, with worked numbers."""

import jax
import numpy as np

from macpo.learners.auxiliary_network import AuxiliaryValues
from macpo.learners.episodes import Transitions
from macpo.learners.error_network import ErrorNetwork, error_loss
from macpo.learners.losses import LossInputs, TDErrors
from macpo.types import Batch
from macpo.weighting.signals import Signals


def test_it_learns_the_error_and_the_discounted_error_after_it():
    # DisCor: |δ| = .5, 2, .1, 4; γΔ̄′ = .99 · (3, 1, 0, 8); predictions 2, 1.5, .2, 6
    td, later = np.array([[0.5, -2, 0.1, 4]]), 0.99 * np.array([[3.0, 1, 0, 8]])
    predicted, mask = np.array([[2.0, 1.5, 0.2, 6]]), np.ones((1, 4), bool)
    np.testing.assert_allclose(jax.jit(error_loss)(predicted, td, later, mask), 9.85935, rtol=1e-6)


def test_no_gradient_flows_into_the_values():
    td, mask = np.array([[3.0]]), np.ones((1, 1), bool)
    slopes = jax.jit(jax.grad(error_loss, argnums=(1, 2)))(np.array([[1.0]]), td, td, mask)
    assert slopes == (0, 0)


def test_nothing_is_wrong_after_the_end_of_an_episode():
    nothing, mask = np.zeros((1, 2)), np.ones((1, 2), bool)
    steps = Transitions(nothing, np.array([[False, True]]), mask, nothing)
    values = AuxiliaryValues(np.array([[1.0, 2.0, 9.0]]), greedy=np.array([[9.0, 4.0, 8.0]]))
    td = TDErrors(nothing, nothing, np.array([[-1.0, 3.0]]))
    inputs = LossInputs(td, steps, Batch(None, np.ones(1)))
    network = ErrorNetwork(lambda keys: None, gamma=0.5)

    signals = network.signals(Signals(mask), values, inputs)
    assert signals.error_estimate.tolist() == [[1, 2]]
    assert signals.next_error_estimate.tolist() == [[2, 0]]
    loss, _ = jax.jit(network.loss)({}, values, inputs)
    np.testing.assert_allclose(loss, ((1 - (1 + 2)) ** 2 + (2 - 3) ** 2) / 2)
