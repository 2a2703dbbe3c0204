"""A batch shared out over two devices gives what one device gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.algorithms.vdn import Config as Vdn
from macpo.conformance.canvas import CANVAS, Canvas, scribble
from macpo.kernels import shard
from macpo.kernels.shard import map_over_devices, n_devices
from macpo.types import Batch
from macpo.weighting.macpo import Config as Macpo

LENGTHS = sorted((5 * i % 7 for i in range(32)), reverse=True)
BATCH = scribble(CANVAS, LENGTHS, [n % 2 == 0 for n in LENGTHS])


@pytest.fixture
def one_device(monkeypatch):
    def use():
        monkeypatch.setattr(shard, "n_devices", lambda batch_size: 1)

    return use


@pytest.mark.parametrize(
    ("batch_size", "devices"), [(1, 1), (8, 1), (15, 1), (16, 2), (17, 1), (128, 2)]
)
def test_devices_share_a_batch_where_each_gets_as_many_episodes_and_at_least_eight(
    batch_size, devices
):
    assert n_devices(batch_size) == devices  # of the two that the tests have


def test_every_device_gets_every_nth_episode_and_results_come_back_in_order():
    number = np.arange(32)

    def fn(constant, x):
        return {"number": x + constant, "device": jnp.full_like(x, jax.lax.axis_index("episodes"))}

    out = jax.jit(lambda: map_over_devices(fn, 100, number))()
    assert out["number"].tolist() == list(range(100, 132))
    assert out["device"].tolist() == [0, 1] * 16


@pytest.mark.parametrize(("of_program", "batch_size"), [(8, 24), (16, 24), (16, 17), (32, 8)])
def test_a_program_stays_on_its_devices_whatever_batches_it_maps_over(of_program, batch_size):
    """DOP learns from its batch and from the newest episodes at once."""
    number, devices = np.arange(batch_size), shard.replicated(of_program)

    def program(x):
        return map_over_devices(lambda constant, x: x + constant, np.array(100), x)

    on_them = shard.on_devices_of(of_program, program)
    out = jax.jit(on_them, in_shardings=devices, out_shardings=devices)(number)
    assert out.tolist() == list(range(100, 100 + batch_size))


def test_loss_metrics_and_every_gradient_are_those_of_one_device(one_device):
    learner = Vdn(rnn_hidden_dim=8, central_mixing_embed_dim=8).make(Canvas(CANVAS), Macpo())
    state = learner.init(jax.random.key(0))

    def value_and_gradients():
        compiled = jax.jit(jax.value_and_grad(learner.loss, has_aux=True))
        batch = Batch(BATCH, np.ones(32))
        return jax.device_get(compiled(state.params, state, batch, jax.random.key(1)))

    two = value_and_gradients()
    one_device()
    one = value_and_gradients()

    def close(x, y):
        np.testing.assert_allclose(x, y, rtol=2e-5, atol=2e-6 * max(np.abs(y).max(), 1e-3))

    jax.tree.map(close, two, one)
