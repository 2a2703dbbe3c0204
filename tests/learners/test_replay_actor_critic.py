"""The weights of critics' TD errors, each critic's by its own errors."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from macpo.algorithms.dop import Config as Dop
from macpo.conformance.canvas import CANVAS, Canvas, scribble
from macpo.learners.actor_critic import TargetNetworks
from macpo.learners.base import LearnerState
from macpo.learners.replay_actor_critic import CriticOutput, CriticWeights, weight_critics
from macpo.types import Batch
from macpo.weighting.discor import Config as Discor
from macpo.weighting.per import Config as Per
from macpo.weighting.uniform import Config as Uniform
from macpo.weighting.weighting import Product, Weighting, WeightingOutput

KEY = jax.random.key(0)
NAN = np.nan
# an episode of three steps and one of a single step; all that follows is padding
EPISODES = scribble(CANVAS, [3, 1], [True, False])
MASK = np.arange(6) < np.array([[3], [1]])
IMPORTANCE = np.array([0.5, 2.0])


def on_steps(values: list[float]) -> np.ndarray:
    """Values of the four steps that exist, NaN on padding: [B, T]."""
    x = np.full(MASK.shape, NAN, np.float32)
    x[MASK] = values
    return x


TARGET = on_steps([1.0, 1.0, 1.0, 1.0])
FIRST = on_steps([2.0, 1.0, -1.0, 5.0])  # errors of 1, 0, 2 and 4
SECOND = on_steps([11.0, 1.0, 1.0, 1.0])  # errors of 10, 0, 0 and 0


def output(*q: np.ndarray) -> CriticOutput:
    """Of critics with these values."""
    return CriticOutput(
        q=np.stack(q, -1),
        q_of_target_net=np.stack([x + 100 for x in q], -1),
        target=TARGET,
        pi_taken=np.full((2, 6, 2), 0.5),
        greedy=np.zeros((2, 7, 2), np.int8),
    )


def weigh(weighting: Weighting, out: CriticOutput) -> CriticWeights:
    return program(weighting)(out)


@functools.cache
def program(weighting: Weighting) -> Callable[[CriticOutput], CriticWeights]:
    learner = Dop(rnn_hidden_dim=4, central_mixing_embed_dim=4).make(Canvas(CANVAS), weighting)

    @jax.jit
    def weigh(out: CriticOutput) -> CriticWeights:
        auxiliary = learner.auxiliary.init(jax.random.split(KEY, 4))
        targets = TargetNetworks((), learner.auxiliary.init_targets(auxiliary))
        state = LearnerState(None, targets, None, weighting.init())
        return weight_critics(learner, auxiliary, state, Batch(EPISODES, IMPORTANCE), KEY, out)

    return weigh


@dataclass(frozen=True)
class Exposing(Product):
    """A weighting whose metrics are its signals."""

    def apply(self, state: Any, signals: Any) -> WeightingOutput:
        given = {name: x for name, x in signals._asdict().items() if x is not None}
        return super().apply(state, signals)._replace(metrics=given)


def exposing(weighting: Weighting) -> Weighting:
    return Exposing(**vars(weighting.times(Uniform())))  # times 1 it is the same


# --- weights --------------------------------------------------------------------------------------


def test_steps_weigh_as_the_weighting_says_times_the_importance_of_their_episode():
    weights = weigh(Per(normalise="none"), output(FIRST)).weights[..., 0]
    np.testing.assert_allclose(weights[MASK], [0.5 * 1, 0, 0.5 * 2, 2 * 4], rtol=1e-6)


def test_padding_has_no_weight():
    assert not weigh(Per(), output(FIRST, SECOND)).weights[~MASK].any()


def test_each_critic_has_weights_by_its_own_error():
    weights = weigh(Per(normalise="none"), output(FIRST, SECOND)).weights
    assert weights.shape == (2, 6, 2)
    np.testing.assert_allclose(weights[..., 0][MASK], [0.5 * 1, 0, 0.5 * 2, 2 * 4], rtol=1e-6)
    np.testing.assert_allclose(weights[..., 1][MASK], [0.5 * 10, 0, 0, 0], rtol=1e-6)


def test_the_mean_weight_of_all_critics_together_is_one_before_the_importance():
    weights = weigh(Per(), output(FIRST, SECOND)).weights
    mean = (1 + 0 + 2 + 4 + 10) / 8
    np.testing.assert_allclose(weights[0, 2, 0], 0.5 * 2 / mean, rtol=1e-6)
    np.testing.assert_allclose(weights[0, 0, 1], 0.5 * 10 / mean, rtol=1e-6)


def test_weights_are_constants():
    def total(q: jax.Array) -> jax.Array:
        weights = weigh(Per(normalise="none"), output(FIRST)._replace(q=q)).weights
        return jnp.where(MASK[..., None], weights, 0.0).sum()

    q = np.nan_to_num(output(FIRST).q)
    assert total(q) > 0
    np.testing.assert_array_equal(jax.grad(total)(q), 0)


# --- signals --------------------------------------------------------------------------------------


def test_signals_of_the_team_are_repeated_for_every_critic_of_an_episode():
    seen = weigh(exposing(Per()), output(FIRST, SECOND)).metrics
    for name, first, second in (
        ("q", FIRST, SECOND),
        ("q_of_target_net", FIRST + 100, SECOND + 100),
        ("target", TARGET, TARGET),
        ("mask", MASK, MASK),
    ):
        of_episodes = [row for rows in zip(first, second, strict=True) for row in rows]
        np.testing.assert_array_equal(seen[name], of_episodes, name)


def test_a_joint_action_is_greedy_if_it_is_the_policies_likeliest_one():
    actions = np.asarray(EPISODES.actions)
    likeliest = np.pad(actions, ((0, 0), (0, 1), (0, 0)))
    likeliest[0, 1, 1] += 1  # one agent is likelier to do something else
    out = output(FIRST)._replace(greedy=likeliest)
    is_greedy = weigh(exposing(Per()), out).metrics["is_greedy"]
    np.testing.assert_array_equal(is_greedy[MASK], [True, False, True, True])


# --- auxiliary networks ---------------------------------------------------------------------------


def test_without_auxiliary_networks_there_is_no_auxiliary_loss():
    assert weigh(Per(), output(FIRST)).auxiliary_loss == 0


def test_q_star_learns_the_critics_targets():
    weighted = weigh(exposing(Discor()), output(FIRST))
    q_star = np.asarray(weighted.metrics["q_star"])[MASK]
    importance = np.broadcast_to(IMPORTANCE[:, None], MASK.shape)[MASK]
    expected = (importance * (q_star - 1.0) ** 2).sum() / 4
    assert expected > 0
    np.testing.assert_allclose(weighted.metrics["loss_central"], expected, rtol=1e-5)
    np.testing.assert_allclose(weighted.auxiliary_loss, expected, rtol=1e-5)


def test_no_gradient_of_their_losses_reaches_the_targets():
    def loss(target: jax.Array) -> jax.Array:
        return weigh(Discor(), output(FIRST)._replace(target=target)).auxiliary_loss

    value, slope = jax.value_and_grad(loss)(TARGET)
    assert value > 0
    np.testing.assert_array_equal(slope, 0)
