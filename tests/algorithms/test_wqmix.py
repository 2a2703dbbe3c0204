"""CW-QMIX and OW-QMIX are QMIX with a weighting, whichever way they are asked for."""

import jax
import numpy as np
import pytest

from macpo.conformance.canvas import CANVAS, Canvas, scribble
from macpo.errors import UsageError
from macpo.registry import make_config
from macpo.types import Batch
from macpo.weighting.weighting import Weighting

KEY = jax.random.key(0)
NAMES = ["cwqmix", "owqmix"]
BATCH = Batch(scribble(CANVAS, [6, 3], [False, True]), np.ones(2))
SIZES = {
    "rnn_hidden_dim": 8,
    "mixing_embed_dim": 4,
    "hypernet_embed": 4,
    "central_mixing_embed_dim": 8,
}


def learner(algorithm: str, weighting: str):
    weighting = make_config("weighting", weighting)
    return make_config("algorithms", algorithm, **SIZES).make(Canvas(CANVAS), weighting)


@pytest.mark.parametrize("name", NAMES)
def test_the_algorithm_is_qmix_with_the_weighting_to_the_last_bit(name: str):
    one, other = learner(name, "uniform"), learner("qmix", name)
    states = [each.init(KEY) for each in (one, other)]
    jax.tree.map(np.testing.assert_array_equal, *states)
    programs = [jax.jit(each.update).lower(states[0], BATCH, KEY) for each in (one, other)]
    assert programs[0].as_text() == programs[1].as_text()


@pytest.mark.parametrize("name", NAMES)
def test_another_weighting_multiplies_the_algorithms_weights(name: str):
    weighting = make_config("weighting", "per", normalise="none", alpha=1.0)
    published = make_config("weighting", name, alpha=0.5)
    signals = {
        "q": np.array([[1.0, 3.0]], np.float32),
        "target": np.array([[2.0, 1.0]], np.float32),  # undervalued by 1, overvalued by 2
        "is_greedy": np.array([[True, False]]),
        "q_star_greedy": np.array([[5.0, 5.0]], np.float32),
    }
    product: Weighting = weighting.times(published)
    weights = product(mask=np.ones((1, 2), bool), **signals, q_star=signals["q"])
    np.testing.assert_allclose(weights, [[1.0, 0.5 * 2.0]], rtol=1e-6)
    assert "q_star" in product.needs  # the targets' sake


def test_a_weighting_multiplies_itself_too():
    weighting = make_config("weighting", "owqmix", alpha=0.5)
    q, target = np.array([[3.0]], np.float32), np.array([[1.0]], np.float32)
    weights = weighting.times(weighting)(mask=np.ones((1, 1), bool), q=q, target=target, q_star=q)
    np.testing.assert_allclose(weights, [[0.25]], rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_an_alpha_out_of_range_is_refused_by_name(name: str):
    with pytest.raises(UsageError, match=f"{name}: alpha"):
        make_config("algorithms", name, alpha=0.0)
