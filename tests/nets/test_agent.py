"""The agents' network against hand-written NumPy."""

import dataclasses

import jax
import numpy as np
import pytest
import scipy.stats

from macpo.conformance.canvas import CANVAS
from macpo.envs.predator_prey import Config as PredatorPrey
from macpo.nets.agent import AgentNet, GRUCell, agent_input_size, agent_inputs

KEY = jax.random.key(0)
NET = AgentNet(KEY, in_size=3, hidden_size=4, out_size=5)
X, H = jax.random.normal(KEY, (6, 3)), jax.random.normal(jax.random.key(1), (6, 4))


def as_numpy(tree):
    return jax.tree.map(lambda x: np.asarray(x, np.float64), tree)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru_of_pytorch(cell: GRUCell, x, h):
    """r, z, n = σ(W x + b + U h + c), σ(…), tanh(W x + b + r (U h + c)); h' = (1 − z) n + z h."""
    cell, x, h = as_numpy((cell, x, h))
    wr, wz, wn = np.split(cell.weight_x, 3, axis=1)
    ur, uz, un = np.split(cell.weight_h, 3, axis=1)
    br, bz, bn = np.split(cell.bias_x, 3)
    cr, cz, cn = np.split(cell.bias_h, 3)
    r = sigmoid(x @ wr + br + h @ ur + cr)
    z = sigmoid(x @ wz + bz + h @ uz + cz)
    n = np.tanh(x @ wn + bn + r * (h @ un + cn))
    return (1 - z) * n + z * h


# --- the network ----------------------------------------------------------------------------------


def test_gru_step_is_the_one_of_pytorch_with_both_biases():
    x = jax.random.normal(KEY, (6, 4))
    expected = gru_of_pytorch(NET.cell, x, H)
    np.testing.assert_allclose(NET.cell(x, H), expected, rtol=1e-5, atol=1e-6)


def test_agent_is_dense_relu_gru_dense():
    h, q = NET(X, H)
    embed, head = as_numpy((NET.embed, NET.head))
    hidden = gru_of_pytorch(NET.cell, np.maximum(np.asarray(X) @ embed.weight + embed.bias, 0), H)
    np.testing.assert_allclose(h, hidden, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(q, hidden @ head.weight + head.bias, rtol=1e-5, atol=1e-6)


def test_agent_of_predator_prey_has_30598_parameters():
    spec = PredatorPrey().make().spec
    net = jax.eval_shape(lambda: AgentNet(KEY, agent_input_size(spec), 64, spec.n_actions))
    assert sum(x.size for x in jax.tree.leaves(net)) == 30_598


def test_initial_weights_and_biases_are_uniform_within_one_over_root_fan_in():
    net = jax.jit(lambda: AgentNet(KEY, in_size=400, hidden_size=100, out_size=9))()
    for layer, bound in ((net.embed, 0.05), (net.cell, 0.1), (net.head, 0.1)):
        for leaf in jax.tree.leaves(layer):
            spread = np.ravel(leaf) / bound
            assert np.abs(spread).max() <= 1
            assert scipy.stats.kstest(spread, "uniform", (-1, 2)).pvalue > 1e-3


# --- what it sees ---------------------------------------------------------------------------------

OBS = np.arange(8, dtype=np.int8).reshape(2, 4)


def test_inputs_are_observation_then_last_action_then_agent_number():
    x = agent_inputs(CANVAS, OBS, np.array([2, 0]))
    assert x.tolist() == [
        [0, 1, 2, 3, 0, 0, 1, 1, 0],
        [4, 5, 6, 7, 1, 0, 0, 0, 1],
    ]


def test_at_the_first_step_there_is_no_last_action():
    x = agent_inputs(CANVAS, OBS, np.array([-1, -1]))
    assert x[:, 4:7].tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("last_action", [True, False])
@pytest.mark.parametrize("agent_id", [True, False])
def test_input_size_is_the_length_of_the_inputs(last_action, agent_id):
    spec = dataclasses.replace(CANVAS, obs_last_action=last_action, obs_agent_id=agent_id)
    x = agent_inputs(spec, OBS, np.array([2, 0]))
    assert x.shape == (2, agent_input_size(spec))
    assert agent_input_size(spec) == 4 + 3 * last_action + 2 * agent_id
