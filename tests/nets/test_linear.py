"""Initialisation of dense layers."""

import jax
import numpy as np
import pytest

from macpo.nets.agent import AgentNet
from macpo.nets.linear import Linear, fan_in_uniform, orthogonal

KEY = jax.random.key(0)


@pytest.mark.parametrize(("i", "o"), [(6, 4), (4, 6), (5, 5)])
def test_the_shorter_side_of_an_orthogonal_matrix_has_orthogonal_vectors_as_long_as_the_gain(i, o):
    weight = np.asarray(orthogonal(KEY, Linear(KEY, i, o), gain=3.0).weight)
    assert weight.shape == (i, o)
    product = weight.T @ weight if o <= i else weight @ weight.T
    np.testing.assert_allclose(product, 9 * np.eye(min(i, o)), atol=1e-5)


def test_the_gain_is_the_root_of_two_unless_another_is_asked_for():
    weight = np.asarray(orthogonal(KEY, Linear(KEY, 4, 4)).weight)
    np.testing.assert_allclose(weight @ weight.T, 2 * np.eye(4), atol=1e-5)


def test_every_bias_starts_at_zero_and_no_two_matrices_are_alike():
    net = orthogonal(KEY, AgentNet(KEY, 4, 4, 12))
    for bias in (net.embed.bias, net.cell.bias_x, net.cell.bias_h, net.head.bias):
        assert not np.asarray(bias).any()
    assert np.abs(net.cell.weight_x - net.cell.weight_h).max() > 0.1
    assert np.abs(net.cell.weight_x - net.head.weight).max() > 0.1


@pytest.mark.parametrize("shape", [(3,), (17, 5), (33, 40)])
def test_parameters_are_the_same_in_a_compiled_program(shape: tuple[int, ...]) -> None:
    key = jax.random.key(3)
    compiled = jax.jit(lambda key: fan_in_uniform(key, shape, 7))(key)
    assert np.array_equal(fan_in_uniform(key, shape, 7), compiled)
