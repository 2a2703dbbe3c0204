"""QPLEX is the value-based learner with a duplex mixer of the configured widths."""

from typing import Any

import jax
import pytest

from macpo.algorithms.qplex import Config as Qplex
from macpo.conformance.canvas import CANVAS, Canvas
from macpo.nets.mixers import DuplexMixer
from macpo.weighting.uniform import Config as Uniform


def mixer_of(**options: Any) -> DuplexMixer:
    """The shapes of the mixer."""
    learner = Qplex(**options).make(Canvas(CANVAS), Uniform())
    return jax.eval_shape(learner.make_mixer, jax.random.key(0))


def test_the_transformation_of_utilities_has_the_configured_width():
    mixer = mixer_of(hypernet_embed=6)
    for net in (mixer.weight, mixer.bias):
        assert [layer.weight.shape for layer in net.layers] == [(5, 6), (6, 2)]


def test_the_weights_of_the_duel_have_as_many_heads_as_configured():
    heads = mixer_of(hypernet_embed=6, n_heads=3).duel_weights.actions
    assert heads.first.weight.shape == (5 + 2 * 3, 3 * 6)  # of state and joint action
    assert len(heads.after) == 3


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_heads_have_as_many_layers_as_configured(n_layers: int):
    heads = mixer_of(hypernet_embed=6, n_heads=3, n_layers=n_layers).duel_weights.keys
    after = [layer.weight.shape for net in heads.after[:1] for layer in net.layers]
    assert [heads.first.weight.shape, *after] == {
        1: [(5, 3 * 1)],
        2: [(5, 3 * 6), (6, 1)],
        3: [(5, 3 * 6), (6, 6), (6, 1)],
    }[n_layers]
