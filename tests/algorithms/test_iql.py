"""IQL on a frozen batch: whose errors are learned from, and what the team shares."""

from typing import Any

import jax
import numpy as np
import pytest

from macpo.algorithms.iql import Config as Iql
from macpo.algorithms.iql import agents_as_rows
from macpo.conformance.canvas import CANVAS, Canvas, scribble
from macpo.errors import UsageError
from macpo.learners.episodes import Transitions, transitions
from macpo.learners.forward import ForwardOutput, JointValues
from macpo.types import Batch
from macpo.weighting.differ import Config as Differ
from macpo.weighting.uniform import Config as Uniform

KEY = jax.random.key(0)
BATCH = scribble(CANVAS, [6, 3], [False, True])
MASK = np.arange(6) < np.array([6, 3])[:, None]


def test_agents_become_rows_with_their_own_values_and_the_teams():
    joint = JointValues(
        q_tot=np.arange(8.0).reshape(1, 4, 2),  # two agents, four states
        target_q_tot=np.ones((1, 4)),  # of a central critic
        q_of_target_net=None,
        dq_tot_dq=None,
        terms={},
    )
    pi_taken, is_greedy = np.array([[[0.1, 0.9]] * 4]), np.ones((1, 4), bool)
    out = ForwardOutput(joint, None, pi_taken, is_greedy)
    steps = Transitions(*(x[:1] for x in transitions(BATCH)))
    rows, row_steps = agents_as_rows(out, steps)
    assert rows.joint.q_tot.tolist() == [[0, 2, 4, 6], [1, 3, 5, 7]]
    assert rows.joint.target_q_tot.shape == (2, 4)
    # the policies of all, for the joint factor of either agent's weight
    np.testing.assert_array_equal(rows.pi_taken[0], rows.pi_taken[1])
    np.testing.assert_array_equal(row_steps.reward[0], row_steps.reward[1])


def test_every_agent_learns_from_the_teams_reward_and_its_own_next_value():
    learner = Iql(rnn_hidden_dim=8, td_lambda=0.0).make(Canvas(CANVAS), Uniform())
    state = learner.init(KEY)

    @jax.jit
    def run() -> Any:
        out = learner.forward((state.params, state.target_networks), BATCH)
        batch = Batch(BATCH, np.ones(2))
        return out.joint, learner.loss(state.params, state, batch, KEY)

    joint, (_, (metrics, _, td_error_abs)) = run()
    q, bootstrap = np.asarray(joint.q_tot), np.asarray(joint.target_q_tot)
    ends = np.zeros((2, 6, 1))
    ends[1, 2] = 1
    y = np.asarray(BATCH.reward)[..., None] + 0.99 * (1 - ends) * bootstrap[:, 1:]
    error = (q[:, :-1] - y)[MASK]  # [steps, agents]
    assert q.shape == (2, 7, 2)
    np.testing.assert_allclose(metrics["loss_td"], np.square(error).mean(), rtol=1e-5)
    np.testing.assert_allclose(td_error_abs[MASK], np.abs(error).mean(-1), rtol=1e-5)
    assert metrics["valid_steps"] == 9 and not td_error_abs[~MASK].any()


def test_a_weighting_that_needs_a_mixer_is_refused():
    with pytest.raises(UsageError, match="iql has no mixer"):
        Iql().make(Canvas(CANVAS), Differ())
