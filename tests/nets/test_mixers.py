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
MONOTONIC = jax.jit(lambda key: MonotonicMixer(key, N, S, embed=4, hypernet_embed=6))(KEYS[2])
CENTRAL = jax.jit(lambda key: CentralMixer(key, N, S, embed=8))(KEYS[2])


@jax.jit
def slopes_of(mixer, utilities, state):
    """∂Q_tot/∂u of every row."""
    return jax.vmap(jax.grad(lambda u, s: mixer(u, s)))(utilities, state)


def n_parameters(net: object) -> int:
    return sum(x.size for x in jax.tree.leaves(net))


def test_monotonic_mixer_of_predator_prey_has_76545_parameters():
    mixer = jax.eval_shape(lambda: MonotonicMixer(KEYS[2], 8, 300, 32, 64))
    assert n_parameters(mixer) == 76_545


def test_central_mixer_of_predator_prey_has_288258_parameters():
    mixer = jax.eval_shape(lambda: CentralMixer(KEYS[2], 8, 300, 256))
    assert n_parameters(mixer) == 288_258


def test_sum_mixer_adds_the_utilities():
    q_tot = SumMixer()(jnp.array([[1.0, 2.0, 4.5], [0.0, -1.0, 3.0]]), STATE[:2])
    assert q_tot.tolist() == [7.5, 2.0]


@pytest.mark.parametrize("seed", range(3))
def test_monotonic_mixer_never_falls_when_a_utility_rises(seed):
    # far from the initialisation the hypernetworks' outputs have both signs
    rng = np.random.default_rng(seed)
    mixer = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), MONOTONIC)
    slopes = slopes_of(mixer, UTILITIES, STATE)
    assert (slopes >= 0).all()
    assert (slopes > 0).any()


def test_monotonic_mixer_computes_the_published_formula():
    mixer = MONOTONIC
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
    slopes = slopes_of(CENTRAL, UTILITIES, STATE)
    assert (slopes < 0).any()
    assert (slopes > 0).any()


def test_central_mixer_depends_on_every_utility_and_on_every_part_of_the_state():
    by_utility, by_state = jax.jit(jax.vmap(jax.grad(CENTRAL, argnums=(0, 1))))(UTILITIES, STATE)
    assert (jnp.abs(by_utility).max(0) > 0).all()
    assert (jnp.abs(by_state).max(0) > 0).all()


@pytest.mark.parametrize(
    "mixer", [SumMixer(), MONOTONIC, CENTRAL], ids=["sum", "monotonic", "central"]
)
def test_a_joint_value_belongs_to_its_row_whatever_the_batch_axes(mixer):
    @jax.jit
    def several(u, s):
        return mixer(u, s), mixer(u.reshape(2, 3, N), s.reshape(2, 3, S)), mixer(u[4], s[4])

    q_tot, shaped, alone = several(UTILITIES[:6], STATE[:6])
    np.testing.assert_allclose(shaped.reshape(6), q_tot, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(alone, q_tot[4], rtol=1e-5, atol=1e-6)
