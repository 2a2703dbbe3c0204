"""QMIX is the value-based learner with a monotonic mixer of the configured widths."""

import jax

from macpo.algorithms.qmix import Config as Qmix
from macpo.conformance.canvas import CANVAS, Canvas
from macpo.nets.mixers import MonotonicMixer
from macpo.weighting.uniform import Config as Uniform


def test_the_mixer_has_the_configured_widths():
    learner = Qmix(mixing_embed_dim=7, hypernet_embed=6).make(Canvas(CANVAS), Uniform())
    mixer = jax.eval_shape(learner.make_mixer, jax.random.key(0))
    assert isinstance(mixer, MonotonicMixer)
    state, agents, embed, hyper = CANVAS.state_size, CANVAS.n_agents, 7, 6
    layers = (*mixer.weight_1.layers, mixer.bias_1, *mixer.weight_2.layers, *mixer.bias_2.layers)
    assert [layer.weight.shape for layer in layers] == [
        (state, hyper),
        (hyper, agents * embed),
        (state, embed),
        (state, hyper),
        (hyper, embed),
        (state, embed),
        (embed, 1),
    ]
