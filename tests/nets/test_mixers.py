"""Mixers: sizes, monotonicity, and what each of them looks at."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.nets.mixers import CentralMixer, MonotonicMixer, SumMixer

N, S = 3, 5
KEYS = jax.random.split(jax.random.key(0), 3)
UTILITIES = 3 * jax.random.normal(KEYS[0], (64, N))
STATE = 3 * jax.random.normal(KEYS[1], (64, S))


def n_parameters(net: object) -> int:
    return sum(x.size for x in jax.tree.leaves(net))


def test_monotonic_mixer_of_predator_prey_has_76545_parameters():
    assert n_parameters(MonotonicMixer(KEYS[2], 8, 300, 32, 64)) == 76_545


def test_central_mixer_of_predator_prey_has_288258_parameters():
    assert n_parameters(CentralMixer(KEYS[2], 8, 300, 256)) == 288_258


def test_sum_mixer_adds_the_utilities():
    q_tot = SumMixer()(jnp.array([[1.0, 2.0, 4.5], [0.0, -1.0, 3.0]]), STATE[:2])
    assert q_tot.tolist() == [7.5, 2.0]


@pytest.mark.parametrize("seed", range(3))
def test_monotonic_mixer_never_falls_when_a_utility_rises(seed):
    mixer = MonotonicMixer(jax.random.key(seed), N, S, embed=4, hypernet_embed=6)
    # far from the initialisation the hypernetworks' outputs have both signs
    mixer = jax.tree.map(lambda x: 4 * x, mixer)
    slopes = jax.jit(jax.vmap(jax.grad(mixer)))(UTILITIES, STATE)
    assert (slopes >= 0).all()
    assert (slopes > 0).any()


def test_monotonic_mixer_computes_the_published_formula():
    mixer = MonotonicMixer(jax.random.key(1), N, S, embed=4, hypernet_embed=6)
    u, s = np.asarray(UTILITIES[0], np.float64), np.asarray(STATE[0], np.float64)

    def linear(layer, x):
        return x @ np.asarray(layer.weight, np.float64) + np.asarray(layer.bias, np.float64)

    def two(mlp, x):
        return linear(mlp.layers[1], np.maximum(linear(mlp.layers[0], x), 0))

    hidden = u @ np.abs(two(mixer.weight_1, s)).reshape(N, 4) + linear(mixer.bias_1, s)
    hidden = np.where(hidden > 0, hidden, np.expm1(hidden))
    expected = hidden @ np.abs(two(mixer.weight_2, s)) + two(mixer.bias_2, s)[0]
    np.testing.assert_allclose(mixer(UTILITIES[0], STATE[0]), expected, rtol=1e-5)


def test_central_mixer_may_fall_when_a_utility_rises():
    mixer = CentralMixer(jax.random.key(1), N, S, embed=8)
    slopes = jax.jit(jax.vmap(jax.grad(mixer)))(UTILITIES, STATE)
    assert (slopes < 0).any()
    assert (slopes > 0).any()


def test_central_mixer_depends_on_every_utility_and_on_every_part_of_the_state():
    mixer = CentralMixer(jax.random.key(1), N, S, embed=8)
    by_utility, by_state = jax.jit(jax.vmap(jax.grad(mixer, argnums=(0, 1))))(UTILITIES, STATE)
    assert (jnp.abs(by_utility).max(0) > 0).all()
    assert (jnp.abs(by_state).max(0) > 0).all()


@pytest.mark.parametrize(
    "mixer",
    [
        SumMixer(),
        MonotonicMixer(KEYS[2], N, S, embed=4, hypernet_embed=6),
        CentralMixer(KEYS[2], N, S, embed=8),
    ],
    ids=lambda mixer: type(mixer).__name__,
)
def test_a_joint_value_belongs_to_its_row_whatever_the_batch_axes(mixer):
    q_tot = mixer(UTILITIES[:6], STATE[:6])
    shaped = mixer(UTILITIES[:6].reshape(2, 3, N), STATE[:6].reshape(2, 3, S))
    np.testing.assert_allclose(shaped.reshape(6), q_tot, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mixer(UTILITIES[4], STATE[4]), q_tot[4], rtol=1e-5, atol=1e-6)
