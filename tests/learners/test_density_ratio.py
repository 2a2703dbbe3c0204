"""The classifier of recent play and its loss, with worked numbers."""

import jax
import numpy as np
import pytest

from macpo.conformance.canvas import CANVAS, Canvas, scribble, spoiled
from macpo.learners.auxiliary_network import AuxiliaryValues
from macpo.learners.density_ratio import Classifier, DensityRatio, density_ratio_loss
from macpo.learners.episodes import actions_taken, transitions
from macpo.learners.losses import LossInputs
from macpo.nets.mixers import Extras
from macpo.types import Batch
from macpo.weighting.signals import Signals

ALL = np.ones((1, 2), bool)
KEY = jax.random.key(0)


def test_the_loss_is_the_jensen_shannon_bound_plus_two_log_two():
    # Sinha et al. 2022 with w = e^z: mean log((1+w)/2) over replay − mean log(2w/(1+w)) over recent
    replay, recent = np.array([[1.0, -0.5]]), np.array([[2.0, 0.0]])
    w, v = np.exp(replay), np.exp(recent)
    bound = np.log((1 + w) / 2).mean() - np.log(2 * v / (1 + v)).mean()
    loss = jax.jit(density_ratio_loss)(replay, ALL, recent, ALL)
    np.testing.assert_allclose(loss, 1.303706932, rtol=1e-6)
    np.testing.assert_allclose(bound, -0.082587429, rtol=1e-5)
    np.testing.assert_allclose(loss - bound, 2 * np.log(2), rtol=1e-6)


def test_padding_changes_no_loss():
    z = np.array([[1.0, np.nan]])
    some = np.array([[True, False]])
    np.testing.assert_allclose(
        jax.jit(density_ratio_loss)(z, some, z, some), np.log1p(np.e) + np.log1p(1 / np.e)
    )


@pytest.mark.parametrize("rows", [1, 5])
def test_the_classifier_sees_the_state_and_every_agents_action(rows: int):
    classifier = Classifier(KEY, CANVAS)
    state = np.ones((rows, CANVAS.state_size))
    actions = np.zeros((rows, CANVAS.n_agents), np.int8)
    others = actions.copy()
    others[:, -1] = 1
    z, other = (classifier(None, state, Extras(each)) for each in (actions, others))
    assert z.shape == (rows,) and not np.allclose(z, other)


def test_recent_play_is_classified_in_every_step_of_the_newest_episodes():
    network, recent = DensityRatio(Canvas(CANVAS)), scribble(CANVAS, [6, 3], [False, True])
    classifier = Classifier(KEY, CANVAS)
    steps = transitions(recent)
    inputs = LossInputs(None, steps, Batch(recent, np.ones(2), recent=spoiled(recent)))
    classify = jax.jit(lambda state, actions: classifier(None, state, Extras(actions)))
    states, actions = np.asarray(recent.encoded_state.state), np.asarray(actions_taken(recent))
    z = np.stack([classify(*episode) for episode in zip(states, actions, strict=True)])
    loss, _ = jax.jit(network.loss)({"density_ratio": classifier}, AuxiliaryValues(z), inputs)
    z = z[:, :-1][np.asarray(steps.mask)]
    expected = np.log1p(np.exp(z)).mean() + np.log1p(np.exp(-z)).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize(("differs", "expected"), [(True, [[1.0, 2.0]]), (False, [[0.0, 0.0]])])
def test_there_is_no_ratio_until_recent_play_differs_from_replay(differs, expected):
    batch = Batch(None, np.ones(1), recent_differs=differs)
    values = AuxiliaryValues(np.array([[1.0, 2.0, 9.0]]))
    signals = DensityRatio(Canvas(CANVAS)).signals(
        Signals(ALL), values, LossInputs(None, None, batch)
    )
    assert signals.log_density_ratio.tolist() == expected
