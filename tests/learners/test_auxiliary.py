"""Losses of the networks that some weightings need, with worked numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.learners.auxiliary import (
    Auxiliary,
    AuxiliaryNetworks,
    density_ratio_loss,
    error_loss,
    log_density_ratio,
    make_density_ratio,
)
from tests.support.toys import CANVAS, Canvas

ALL = jnp.ones((1, 2), bool)


def test_the_ratio_loss_is_the_jensen_shannon_bound_plus_two_log_two():
    # Sinha et al. 2022 with w = e^z: mean log((1+w)/2) over replay − mean log(2w/(1+w)) over recent
    replay, recent = jnp.array([[1.0, -0.5]]), jnp.array([[2.0, 0.0]])
    w, v = np.exp(replay), np.exp(recent)
    bound = np.log((1 + w) / 2).mean() - np.log(2 * v / (1 + v)).mean()
    loss = density_ratio_loss(replay, ALL, recent, ALL)
    np.testing.assert_allclose(loss, 1.303706932, rtol=1e-6)
    np.testing.assert_allclose(bound, -0.082587429, rtol=1e-5)
    np.testing.assert_allclose(loss - bound, 2 * np.log(2), rtol=1e-6)


def test_padding_changes_no_ratio_loss():
    z = jnp.array([[1.0, jnp.nan]])
    some = jnp.array([[True, False]])
    np.testing.assert_allclose(
        density_ratio_loss(z, some, z, some), np.log1p(np.e) + np.log1p(1 / np.e)
    )


def test_the_error_network_learns_the_error_and_the_discounted_error_after_it():
    # DisCor: |δ| = .5, 2, .1, 4; γΔ̄′ = .99 · (3, 1, 0, 8); predictions 2, 1.5, .2, 6
    td, later = jnp.array([[0.5, -2, 0.1, 4]]), 0.99 * jnp.array([[3.0, 1, 0, 8]])
    predicted, mask = jnp.array([[2.0, 1.5, 0.2, 6]]), jnp.ones((1, 4), bool)
    np.testing.assert_allclose(error_loss(predicted, td, later, mask), 9.85935, rtol=1e-6)


def test_no_gradient_flows_from_the_error_network_into_the_values():
    mask = jnp.ones((1, 1), bool)
    slope = jax.grad(lambda td: error_loss(jnp.array([[1.0]]), td, td, mask))(jnp.array([[3.0]]))
    assert slope == 0


def test_the_error_networks_target_moves_by_half_a_percent_of_the_distance():
    auxiliary = Auxiliary(Canvas(CANVAS), ("next_error_estimate",), False, 8, 8)
    nets = AuxiliaryNetworks(None, error=jnp.array(3.0), density_ratio=None)  # any pytree
    still = jax.tree.map(jnp.zeros_like, nets)
    opt_state = auxiliary.init_optimiser(nets)
    new, target, _ = auxiliary.apply_gradients(still, opt_state, nets, jnp.array(1.0))
    assert new.error == 3
    np.testing.assert_allclose(target, 1.01)


@pytest.mark.parametrize("rows", [1, 5])
def test_the_classifier_sees_the_state_and_every_agents_action(rows: int):
    net = make_density_ratio(jax.random.key(0), CANVAS)
    state = jnp.ones((rows, CANVAS.state_size))
    actions = jnp.zeros((rows, CANVAS.n_agents), jnp.int8)
    z = log_density_ratio(net, state, actions, CANVAS.n_actions)
    other = log_density_ratio(net, state, actions.at[:, -1].set(1), CANVAS.n_actions)
    assert z.shape == (rows,) and not np.allclose(z, other)
