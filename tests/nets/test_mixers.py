"""Mixers: sizes, monotonicity, and what each of them looks at."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.nets.mixers import (
    CentralMixer,
    DuelWeights,
    DuplexMixer,
    Extras,
    MonotonicMixer,
    NoMixer,
    SumMixer,
    duel,
)

N, S = 3, 5
KEY = jax.random.key(0)
UTILITIES, STATE = (
    np.random.default_rng(0).normal(scale=3, size=(64, n)).astype(np.float32) for n in (N, S)
)
A = 4


@functools.cache
def mixers():
    """One of each kind that has parameters."""

    @jax.jit
    def make(key):
        return {
            "monotonic": MonotonicMixer(key, N, S, embed=4, hypernet_embed=6),
            "central": CentralMixer(key, N, S, embed=8),
            "duplex": DuplexMixer(key, N, A, S, 6, 2, 6),
        }

    return make(KEY)


def drawn(rng, mixer):
    """The same mixer with other parameters."""
    return jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), mixer)


@jax.jit
def slopes_of(mixer, utilities, state):
    """∂Q_tot/∂u of every row."""
    return jax.vmap(jax.grad(lambda u, s: mixer(u, s)))(utilities, state)


def n_parameters(net: object) -> int:
    return sum(x.size for x in jax.tree.leaves(net))


def test_monotonic_mixer_of_predator_prey_has_76545_parameters():
    mixer = jax.eval_shape(lambda: MonotonicMixer(KEY, 8, 300, 32, 64))
    assert n_parameters(mixer) == 76_545


def test_central_mixer_of_predator_prey_has_288258_parameters():
    mixer = jax.eval_shape(lambda: CentralMixer(KEY, 8, 300, 256))
    assert n_parameters(mixer) == 288_258


def test_sum_mixer_adds_the_utilities():
    q_tot = SumMixer()(np.array([[1.0, 2.0, 4.5], [0.0, -1.0, 3.0]]), STATE[:2])
    assert q_tot.tolist() == [7.5, 2.0]


@pytest.mark.parametrize("seed", range(3))
def test_monotonic_mixer_never_falls_when_a_utility_rises(seed):
    # far from the initialisation the hypernetworks' outputs have both signs
    rng = np.random.default_rng(seed)
    mixer = drawn(rng, mixers()["monotonic"])
    slopes = slopes_of(mixer, UTILITIES, STATE)
    assert (slopes >= 0).all()
    assert (slopes > 0).any()


def test_monotonic_mixer_computes_the_published_formula():
    mixer = mixers()["monotonic"]
    u, s = np.asarray(UTILITIES[0], np.float64), np.asarray(STATE[0], np.float64)

    def linear(layer, x):
        return x @ np.asarray(layer.weight, np.float64) + np.asarray(layer.bias, np.float64)

    def two(mlp, x):
        return linear(mlp.layers[1], np.maximum(linear(mlp.layers[0], x), 0))

    hidden = u @ np.abs(two(mixer.weight_1, s)).reshape(N, 4) + linear(mixer.bias_1, s)
    hidden = np.where(hidden > 0, hidden, np.expm1(hidden))
    expected = hidden @ np.abs(two(mixer.weight_2, s)) + two(mixer.bias_2, s)[0]
    np.testing.assert_allclose(eqx.filter_jit(mixer)(UTILITIES[0], STATE[0]), expected, rtol=1e-5)


def test_central_mixer_may_fall_when_a_utility_rises():
    slopes = slopes_of(mixers()["central"], UTILITIES, STATE)
    assert (slopes < 0).any()
    assert (slopes > 0).any()


def test_central_mixer_depends_on_every_utility_and_on_every_part_of_the_state():
    slopes = jax.vmap(jax.grad(mixers()["central"], argnums=(0, 1)))
    by_utility, by_state = jax.jit(slopes)(UTILITIES, STATE)
    assert (np.abs(by_utility).max(0) > 0).all()
    assert (np.abs(by_state).max(0) > 0).all()


@pytest.mark.parametrize("kind", ["sum", "monotonic", "central"])
def test_a_joint_value_belongs_to_its_row_whatever_the_batch_axes(kind):
    mixer = SumMixer() if kind == "sum" else mixers()[kind]

    @jax.jit
    def several(u, s):
        return mixer(u, s), mixer(u.reshape(2, 3, N), s.reshape(2, 3, S)), mixer(u[4], s[4])

    q_tot, shaped, alone = several(UTILITIES[:6], STATE[:6])
    np.testing.assert_allclose(shaped.reshape(6), q_tot, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(alone, q_tot[4], rtol=1e-5, atol=1e-6)


def test_without_a_mixer_values_are_the_agents_own():
    np.testing.assert_array_equal(NoMixer()(UTILITIES, STATE), UTILITIES)


# --- duplex dueling -------------------------------------------------------------------------------


def test_duplex_mixer_of_predator_prey_has_287444_parameters():
    mixer = jax.eval_shape(lambda: DuplexMixer(KEY, 8, 6, 300, 64, 4, 64))
    assert n_parameters(mixer) == 287_444


def test_weights_of_the_duel_and_a_state_value_have_31669_parameters_in_fop():
    weights = jax.eval_shape(lambda: DuelWeights(KEY, 8, 6, 300, 4))
    value = (300 + 1) * 32 + 32 + 1
    assert n_parameters(weights) + value == 31_669


def duel_of(q, m):
    """w = (.5, 2), b = (.1, −.2), λ = (1.5, .25)."""
    w, b, weights = np.array([0.5, 2.0]), np.array([0.1, -0.2]), np.array([1.5, 0.25])
    return duel(w * q + b, w * m + b, weights)


def test_the_duel_counts_advantages_by_their_weights():
    # a = (.6, −1.2), b̃ = (1.1, .8): a sum of −.6, and .5 · −.5 − .75 · −2
    np.testing.assert_allclose(duel_of(np.array([1.0, -0.5]), np.array([2.0, 0.5])), 0.65)


def test_utilities_learn_through_the_duel_as_through_a_sum_and_best_ones_do_not():
    by_q, by_m = jax.grad(duel_of, argnums=(0, 1))(np.array([1.0, -0.5]), np.array([2.0, 0.5]))
    assert by_q.tolist() == [0.5, 2.0] and by_m.tolist() == [0.0, 0.0]


def test_the_duel_of_soft_values_is_fops():
    # α = .5, Q_1 = (1, 0, −1), Q_2 = (.2, .4, 0), u = (1, 2), λ = (.6, 1.4), V(s) = .3
    q, chosen = np.array([[1.0, 0, -1], [0.2, 0.4, 0]]), np.array([0.0, 0.0])
    soft = 0.5 * jax.nn.logsumexp(q / 0.5, axis=-1)
    np.testing.assert_allclose(soft, [1.0714658, 0.7756253], rtol=1e-6)
    q_tot = duel(chosen, soft, np.array([0.6, 1.4])) + 0.3
    np.testing.assert_allclose(q_tot, 0.4183362, rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_no_joint_action_is_worth_more_to_the_duplex_mixer_than_everyones_best(seed):
    rng = np.random.default_rng(seed)
    mixer = drawn(rng, mixers()["duplex"])
    q = np.asarray(rng.normal(size=(64, N, A)), np.float32)
    actions = np.asarray(rng.integers(A, size=(64, N)))

    @jax.jit
    def value(actions):
        chosen = jnp.take_along_axis(q, actions[..., None], -1)[..., 0]
        return mixer(chosen, STATE, Extras(actions, q.max(-1)))

    assert (value(q.argmax(-1)) >= value(actions)).all()


def test_the_duplex_mixer_tells_joint_actions_of_the_same_utilities_apart():
    best = UTILITIES + 1
    mix = eqx.filter_jit(mixers()["duplex"])
    one, other = (
        np.asarray(mix(UTILITIES, STATE, Extras(np.full((64, N), a), best))) for a in (0, 1)
    )
    assert (one != other).all()
