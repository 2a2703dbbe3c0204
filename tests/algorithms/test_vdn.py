"""VDN is the value-based learner with a sum for a mixer."""

import jax
import numpy as np
import pytest

from macpo.algorithms.vdn import Config as Vdn
from macpo.conformance.canvas import CANVAS, Canvas
from macpo.errors import UsageError
from macpo.weighting.macpo import Config as Macpo
from macpo.weighting.uniform import Config as Uniform

KEY = jax.random.key(0)


def test_the_joint_value_is_the_sum_of_the_utilities_and_its_mixer_learns_nothing():
    mixer = Vdn().make(Canvas(CANVAS), Uniform()).make_mixer(KEY)
    assert jax.tree.leaves(mixer) == []
    assert mixer(np.array([[1.0, 2.0]]), np.zeros((1, 5))).tolist() == [3]


@pytest.mark.parametrize(("weighting", "central"), [(Uniform(), False), (Macpo(), True)])
def test_there_is_a_central_critic_where_the_weighting_reads_its_value(
    weighting: Uniform | Macpo, central: bool
):
    learner = Vdn(rnn_hidden_dim=4).make(Canvas(CANVAS), weighting)
    params = jax.eval_shape(learner.init, KEY).params
    assert ("central_critic" in params.auxiliary) == central
    assert learner.targets_central == central


@pytest.mark.parametrize("clamp", [(2.0, -5.0), (1.0, 1.0)])
def test_bounds_of_utilities_must_leave_room(clamp: tuple[float, float]):
    with pytest.raises(UsageError, match=r"^vdn: utility_clamp must be \(low, high\) with low < "):
        Vdn(utility_clamp=clamp)
