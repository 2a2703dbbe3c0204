"""Weights as a rule of sampling: what is drawn by them, and what a learner gets of it on average.

One-step games: an episode is a step, and so a weight of steps is one of episodes.
"""

import functools
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import optax
import pytest

from macpo import registry
from macpo.algorithms import DOP, IQL, QMIX, QTRAN, VDN
from macpo.envs import MatrixGame
from macpo.errors import UsageError
from macpo.experiment import Experiment, Run
from macpo.learners.base import LearnerState
from macpo.replay import priority
from macpo.replay.priority import Replay
from macpo.training.trainer import Trainer, _raw_weights, make_trainer
from macpo.types import Batch, Episodes
from macpo.weighting import PER, MacPO, Uniform
from macpo.weighting.explained import EXPLANATION
from macpo.weighting.weighting import Explanation
from tests.support.quiet import Quiet
from tests.support.weighting_kinds import KINDS

BY_WEIGHTS = Replay(
    sampling="prioritized",
    priority="weights",
    per_alpha=1.0,
    per_beta=0.0,
    per_beta_finish=0.0,
    per_epsilon=0.0,
)
RUN = Run(
    batch_size_run=4,
    batch_size=8,
    updates_per_iteration=1,
    buffer_size=64,
    target_update_interval=8,
)
SMALL: Any = {"rnn_hidden_dim": 4, "central_mixing_embed_dim": 4}
VDN_SMALL = VDN(**SMALL)
ABSOLUTE_ERRORS = PER(alpha=1.0, epsilon=0.0, normalise="none")


def trainer(
    weighting: Any, replay: Replay = BY_WEIGHTS, algorithm: Any = VDN_SMALL, run: Run = RUN
) -> Trainer:
    return make_trainer(Experiment(MatrixGame(), algorithm, weighting, replay, run))


# --- what is drawn --------------------------------------------------------------------------------


def test_absolute_errors_as_weights_are_absolute_errors_as_priorities() -> None:
    by_weights = trainer(ABSOLUTE_ERRORS)
    by_errors = trainer(Uniform(), replace(BY_WEIGHTS, priority="td-error"))
    ends = [t.chunk(t.init(), np.array(10**6), 6)[0] for t in (by_weights, by_errors)]
    assert int(ends[0].updates[0]) == 5
    one, other = (jax.device_get((s.learner.params, s.priorities.value)) for s in ends)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-6), one, other)
    assert len(np.unique(one[1])) > 4


def test_two_seeds_in_one_program_draw_by_weights_as_each_does_alone_and_nothing_is_corrected() -> (
    None
):
    weighting, run = replace(ABSOLUTE_ERRORS, normalise="ema"), replace(RUN, steps=24, seed=5)
    alone, both = (trainer(weighting, run=replace(run, seeds=n)) for n in (1, 2))
    states, metrics = zip(*(t.chunk(t.init(), np.array(24), 6) for t in (alone, both)), strict=True)
    one, two = (jax.tree.map(lambda x: np.asarray(x)[0], s.priorities) for s in states)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-6), one, two)
    assert len(np.unique(one.value)) > 4
    assert metrics[1]["updates"].max() == 5
    assert (metrics[1]["importance_min"][:, 1:] == 1).all()  # at the end as at the beginning


def explained(mask: Any, weights: Any, log_raw: Any = None) -> Explanation:
    arrays = [None if x is None else np.asarray(x) for x in (mask, weights, log_raw)]
    return Explanation(arrays[0], None, None, None, {}, arrays[2], arrays[1])


def test_raw_weights_decide_and_not_those_that_the_loss_would_have() -> None:
    why = explained(np.ones((2, 1)), [[1.0], [1.0]], np.log([[3.0], [5.0]]))
    assert _raw_weights(why, 2).tolist() == [[pytest.approx(3)], [pytest.approx(5)]]


def test_weights_of_a_weighting_whose_raw_ones_are_not_known_are_taken_as_they_are() -> None:
    assert _raw_weights(explained(np.ones((2, 1)), [[2.0], [4.0]]), 2).tolist() == [[2], [4]]


def test_rows_of_an_episode_and_weights_of_agents_are_averaged_to_one_number_a_step() -> None:
    rows = explained(np.ones((4, 2)), [[1.0, 2], [3, 6], [5, 5], [7, 9]])
    assert _raw_weights(rows, 2).tolist() == [[2, 4], [6, 7]]
    agents = explained(np.ones((2, 1)), [[[1.0, 3.0]], [[4.0, 8.0]]])
    assert _raw_weights(agents, 2).tolist() == [[2], [6]]


@pytest.mark.parametrize("weighting", KINDS)
def test_every_kind_of_weighting_can_be_a_rule_of_sampling(weighting: str) -> None:
    qmix = QMIX(**SMALL, mixing_embed_dim=4, hypernet_embed=4)
    trainer(
        registry.make_config("weighting", weighting), algorithm=qmix
    ).check()  # traces an update


@pytest.mark.parametrize("algorithm", [DOP, IQL, QTRAN], ids=lambda a: a.__name__)
def test_every_family_of_algorithms_can_draw_by_weights(algorithm: Any) -> None:
    experiment = Experiment(MatrixGame(), algorithm(**SMALL), MacPO(), BY_WEIGHTS)
    make_trainer(experiment).check()


def test_weights_without_prioritised_sampling_are_refused() -> None:
    with pytest.raises(UsageError, match="with priority weights, set sampling to prioritized"):
        Replay(priority="weights")


def test_a_learner_that_hides_its_weights_is_refused_before_a_run() -> None:
    with pytest.raises(UsageError, match="must hand on the metrics of its weighting"):
        trainer(PER(), algorithm=Quiet(rnn_hidden_dim=4)).check()


# --- what a learner gets on average ---------------------------------------------------------------

N = 48  # episodes in replay


@functools.cache
def replayed() -> Episodes:
    """Random play."""
    t = trainer(Uniform(), Replay())
    learner = t.algorithm.init(jax.random.key(0))
    play = jax.jit(functools.partial(t.play, n_episodes=N, epsilon=1.0, keep_states=True))
    return play(learner.params, jax.random.key(1)).episodes


def compiled_gradient(t: Trainer, state: LearnerState) -> Any:
    """importance of each episode → (gradient of the value's networks, metrics)"""
    learner: Any = t.algorithm
    episodes = replayed()

    def gradient(importance: jax.Array) -> tuple[jax.Array, Any]:
        batch = Batch(episodes, importance, env_steps=0)
        loss = functools.partial(learner.loss, state=state, batch=batch, key=jax.random.key(2))
        grads, (metrics, *_) = jax.grad(loss, has_aux=True)(state.params)
        return jax.flatten_util.ravel_pytree(grads.value)[0], metrics

    return jax.jit(gradient)


class Gradients:
    """Of a fixed network on fixed episodes: weighted, and of each episode without weights."""

    def __init__(self, weighting: Any) -> None:
        state = trainer(weighting).algorithm.init(jax.random.key(0))
        weighted = compiled_gradient(trainer(weighting, Replay()), state)
        unweighted = compiled_gradient(trainer(weighting), state)
        self.weighted = np.asarray(weighted(np.ones(N))[0])
        # one after another: each runs on both devices, which wait for each other
        alone = [np.asarray(unweighted(N * one)[0]) for one in np.eye(N)]
        self.of_episode = np.stack(alone).astype(np.float64)
        log_raw = unweighted(np.ones(N))[1][EXPLANATION].log_raw
        self.raw = np.exp(np.asarray(log_raw)[:, 0], dtype=np.float64)


@functools.cache
def gradients() -> Gradients:
    return Gradients(MacPO(normalise="none"))


def drawn(n_batches: int, batch_size: int) -> np.ndarray:
    """The rows [n_batches, batch_size] that MAC-PO's weights draw."""
    table = priority.Priorities(np.float32(gradients().raw), np.ones(()))
    draw = functools.partial(priority.draw, batch_size=batch_size, config=BY_WEIGHTS, beta=0.0)
    keys = jax.random.split(jax.random.key(3), n_batches)
    return np.asarray(jax.jit(jax.vmap(lambda key: draw(key, table, N).rows))(keys))


def test_on_average_draws_by_weights_give_the_weighted_gradient() -> None:
    g = gradients()
    rows = drawn(n_batches=4_000, batch_size=1)[:, 0]
    of_draws = g.of_episode[rows]
    expected = g.weighted / g.raw.mean()  # the loss has Σ w / N, a draw probability w / Σ w
    standard_error = of_draws.std(0) / np.sqrt(len(rows))
    assert (abs(of_draws.mean(0) - expected) <= 5 * standard_error + 1e-6).all()
    # exactly, without chance
    share = g.raw / g.raw.sum()
    np.testing.assert_allclose(share @ g.of_episode, expected, rtol=2e-3, atol=1e-5)
    assert g.raw.max() > 3 * g.raw.min() and np.abs(expected).max() > 0.01


@pytest.mark.parametrize(
    ("optimiser", "agrees"),
    [
        (optax.sgd(0.1), True),
        (optax.chain(optax.clip_by_global_norm(0.2), optax.sgd(0.1)), False),
        (optax.rmsprop(1e-3, decay=0.99, eps=1e-5), False),
    ],
    ids=["SGD", "clipped", "RMSprop"],
)
def test_a_steps_mean_agrees_for_sgd_but_neither_under_clipping_nor_under_rmsprop(
    optimiser: optax.GradientTransformation, agrees: bool
) -> None:
    g = gradients()
    uniform = np.random.default_rng(0).integers(N, size=(4_000, 8))
    by_loss = (g.raw[uniform, None] * g.of_episode[uniform]).mean(1) / g.raw.mean()
    by_sampling = g.of_episode[drawn(n_batches=4_000, batch_size=8)].mean(1)
    first = optimiser.init(np.zeros(by_loss.shape[1]))
    step = jax.jit(jax.vmap(lambda gradient: optimiser.update(gradient, first)[0]))
    means, errors = zip(
        *((s.mean(0), s.std(0) / np.sqrt(len(s))) for s in map(step, (by_loss, by_sampling))),
        strict=True,
    )
    difference = abs(means[0] - means[1])
    bound = 5 * np.sqrt(errors[0] ** 2 + errors[1] ** 2) + 1e-7
    assert (difference <= bound).all() == agrees
