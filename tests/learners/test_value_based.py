"""The value-based learner on a frozen batch: what an update changes, and what must not matter."""

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.algorithms.iql import Config as Iql
from macpo.algorithms.qmix import Config as Qmix
from macpo.algorithms.qtran import Config as Qtran
from macpo.algorithms.vdn import Config as Vdn
from macpo.conformance.canvas import CANVAS, Canvas, scribble, spoiled
from macpo.errors import UsageError
from macpo.learners.base import LearnerState
from macpo.learners.value_based import ValueBasedLearner
from macpo.nets.agent import agent_inputs
from macpo.types import Batch, Episodes, Observation
from macpo.weighting.cwqmix import Config as Cwqmix
from macpo.weighting.macpo import Config as Macpo
from macpo.weighting.uniform import Config as Uniform
from macpo.weighting.weighting import Product, Weighting, WeightingOutput
from tests.support.updates import update_then_sync

KEY = jax.random.key(0)
LENGTH, TERMINATED = [6, 3], [False, True]
BATCH = scribble(CANVAS, LENGTH, TERMINATED)
SMALL: dict[str, Any] = {"rnn_hidden_dim": 8, "central_mixing_embed_dim": 8, "lr": 3e-3}
QMIX = Qmix(**SMALL, mixing_embed_dim=4, hypernet_embed=4)
# a large epsilon makes the step of RMSprop depend on the length of the (clipped) gradient
VDN = Vdn(
    rnn_hidden_dim=8,
    optimiser="rmsprop",
    optim_alpha=0.9,
    optim_eps=1.0,
    grad_norm_clip=0.01,
    lr=5.0,
)


@dataclass(frozen=True)
class Exposing(Product):
    """A weighting whose metrics also hold its signals and weights."""

    def apply(self, state: Any, signals: Any) -> WeightingOutput:
        weights, state, metrics = super().apply(state, signals)
        given = {k: v for k, v in signals._asdict().items() if v is not None}
        return WeightingOutput(weights, state, metrics | given | {"weight": weights})


@dataclass(frozen=True)
class Fixed(Product):
    """A weighting with the same needs, but fixed weights."""

    weights: Any = None

    def apply(self, state: Any, signals: Any) -> WeightingOutput:
        return WeightingOutput(self.weights, state, {})


def exposing(weighting: Weighting) -> Weighting:
    return Exposing(**vars(weighting.times(Uniform())))  # times 1 it is the same


LEARNERS = {
    "qmix-macpo": QMIX.make(Canvas(CANVAS), exposing(Macpo())),
    "vdn-uniform": VDN.make(Canvas(CANVAS), exposing(Uniform())),
    "iql-macpo": Iql(**SMALL).make(Canvas(CANVAS), exposing(Macpo())),
    "qtran-macpo": Qtran(**SMALL | {"lr": 0.01}, joint_embed_dim=8).make(
        Canvas(CANVAS), exposing(Macpo())
    ),
}


@functools.cache
def started(name: str) -> LearnerState:
    """Fresh networks whose targets lag behind."""
    state = jax.tree.map(np.asarray, LEARNERS[name].init(KEY))
    return state._replace(target_networks=scaled(state.target_networks, 0.5))


def scaled(tree: Any, factor: float) -> Any:
    return jax.tree.map(lambda x: np.float32(factor) * x, tree)


@functools.cache
def update(name: str) -> Any:
    return jax.jit(update_then_sync(LEARNERS[name]))


def batch_of(episodes: Episodes) -> Batch:
    return Batch(episodes, np.ones(len(episodes.length)))


def updated(name: str, episodes: Episodes = BATCH, sync: bool = False) -> tuple[LearnerState, Any]:
    """(state, metrics)."""
    return update(name)(started(name), batch_of(episodes), KEY, np.array(sync))[:2]


def loss_of(learner: ValueBasedLearner, state: LearnerState, episodes: Episodes = BATCH) -> Any:
    """(networks, targets) → (loss, metrics)."""

    def loss(params: Any, targets: Any) -> Any:
        state_now = state._replace(params=params, target_networks=targets)
        value, (metrics, _, _) = learner.loss(params, state_now, batch_of(episodes), KEY)
        return value, metrics

    return loss


@functools.cache
def gradients(name: str) -> Any:
    """((gradients of the networks, gradients of the targets), metrics)."""
    learner, state = LEARNERS[name], started(name)
    grad = jax.jit(jax.grad(loss_of(learner, state), argnums=(0, 1), has_aux=True))
    return jax.tree.map(np.asarray, grad(state.params, state.target_networks))


def assert_equal(actual: Any, expected: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def assert_close(actual: Any, expected: Any, rtol: float = 1e-4) -> None:
    def check(x: Any, y: Any) -> None:
        np.testing.assert_allclose(x, y, rtol=rtol, atol=0.1 * rtol * np.abs(y).max())

    jax.tree.map(check, actual, expected)


# --- what an update does --------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEARNERS)
def test_updates_lower_the_error_on_a_frozen_batch(name):
    state, errors = started(name), []
    for _ in range(40):
        state, metrics, _ = update(name)(state, batch_of(BATCH), KEY, np.array(False))
        errors.append({k: v for k, v in metrics.items() if k in ("td_error_abs", "loss_central")})
    for key in errors[0]:
        assert errors[-1][key] < 0.9 * errors[0][key], key


def test_loss_is_the_weighted_error_plus_half_the_central_one():
    _, m = gradients("qmix-macpo")
    mask = np.arange(6) < np.array(LENGTH)[:, None]
    weighted = (m["weight"] * (m["q"] - m["target"]) ** 2)[mask].sum() / 9
    central = ((m["q_star"] - m["target"]) ** 2)[mask].sum() / 9
    np.testing.assert_allclose(m["loss_td"], weighted, rtol=1e-5)
    np.testing.assert_allclose(m["loss_central"], central, rtol=1e-5)
    np.testing.assert_allclose(m["loss"], weighted + 0.5 * central, rtol=1e-5)
    assert m["valid_steps"] == 9


def test_weights_and_targets_are_constants_of_the_loss():
    (grads, _), m = gradients("qmix-macpo")
    mask = np.arange(6) < np.array(LENGTH)[:, None]
    # each mixer adds its last bias to the joint value
    by_q = (2 * m["weight"] * (m["q"] - m["target"]))[mask].sum() / 9
    by_q_star = (m["q_star"] - m["target"])[mask].sum() / 9
    np.testing.assert_allclose(grads.value.mixer.bias_2.layers[1].bias, [by_q], rtol=1e-4)
    np.testing.assert_allclose(
        grads.auxiliary["central_critic"].mixer.value.layers[1].bias, [by_q_star], rtol=1e-4
    )


def test_no_gradient_flows_into_the_weights():
    (grads, _), metrics = gradients("qmix-macpo")
    learner, state = LEARNERS["qmix-macpo"], started("qmix-macpo")

    @jax.jit
    def with_fixed(weights: jax.Array) -> Any:
        weighting = Fixed(**vars(learner.weighting))
        object.__setattr__(weighting, "weights", weights)  # settings are plain values
        loss = loss_of(dataclasses.replace(learner, weighting=weighting), state)
        return jax.grad(loss, has_aux=True)(state.params, state.target_networks)[0]

    assert_close(grads, with_fixed(metrics["weight"]))


@pytest.mark.parametrize("name", LEARNERS)
def test_no_gradient_reaches_the_targets(name):
    (_, by_target), _ = gradients(name)
    assert_equal(by_target, scaled(by_target, 0.0))


@pytest.mark.parametrize("name", LEARNERS)
def test_every_network_learns(name):
    (by_params, _), _ = gradients(name)
    for path, grad in jax.tree_util.tree_leaves_with_path(by_params):
        assert np.abs(grad).max() > 0, jax.tree_util.keystr(path)


def test_targets_stay_until_a_copy_is_asked_for():
    state, _ = updated("qmix-macpo", sync=False)
    assert_equal(state.target_networks, started("qmix-macpo").target_networks)


def test_copied_targets_are_the_central_networks_after_the_step():
    state, _ = updated("qmix-macpo", sync=True)
    assert_equal(state.target_networks.value, state.params.auxiliary["central_critic"])


def test_copied_targets_are_the_networks_themselves_without_a_central_one():
    state, _ = updated("vdn-uniform", sync=True)
    assert state.params.auxiliary == {}
    assert_equal(state.target_networks.value, state.params.value)


def test_rmsprop_adds_epsilon_outside_the_root_and_sees_the_clipped_gradient():
    (grads, _), _ = gradients("vdn-uniform")
    state, metrics = updated("vdn-uniform")
    norm = np.sqrt(sum((np.asarray(g) ** 2).sum() for g in jax.tree.leaves(grads)))
    np.testing.assert_allclose(metrics["grad_norm"], norm, rtol=1e-5)
    assert norm > 0.01

    def step(before: np.ndarray, g: np.ndarray) -> np.ndarray:
        g = g * 0.01 / norm
        return before - 5 * g / (np.sqrt(0.1 * g**2) + 1)

    expected = jax.tree.map(step, started("vdn-uniform").params, grads)
    assert_close(state.params, expected)


# --- what must not matter -------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEARNERS)
def test_content_of_padding_changes_nothing(name):
    clean_state, clean = updated(name)
    dirty_state, metrics = updated(name, spoiled(BATCH))
    assert_equal(dirty_state.params, clean_state.params)
    scalars = {name for name, value in clean.items() if np.ndim(value) == 0}
    assert_equal({k: metrics[k] for k in scalars}, {k: clean[k] for k in scalars})


def test_a_longer_episode_limit_changes_nothing():
    spec = dataclasses.replace(CANVAS, episode_limit=9)
    learner = dataclasses.replace(LEARNERS["qmix-macpo"], env=Canvas(spec))

    def longer(x: jax.Array) -> jax.Array:
        return jnp.pad(x, ((0, 0), (0, 3), *[(0, 0)] * (x.ndim - 2))) if x.ndim > 1 else x

    state = started("qmix-macpo")
    loss = loss_of(learner, state, jax.tree.map(longer, BATCH))
    loss, metrics = jax.jit(loss)(state.params, state.target_networks)
    _, expected = gradients("qmix-macpo")
    assert_close(loss, expected["loss"])
    assert_close(metrics["target"][:, :6], expected["target"])
    assert_close(metrics["weight"][:, :6], expected["weight"])
    assert not metrics["weight"][:, 6:].any()


# --- options --------------------------------------------------------------------------------------


def shapes(config: Any, weighting: Any) -> tuple[LearnerState, dict[str, Any]]:
    """Shapes of a learner's state and of its metrics."""
    learner = config.make(Canvas(CANVAS), weighting)

    def run() -> tuple[LearnerState, Any]:
        state = learner.init(KEY)
        return learner.update(state, batch_of(BATCH), KEY)[:2]

    return jax.eval_shape(run)


def test_uniform_weights_need_no_central_network():
    state, metrics = shapes(QMIX, Uniform())
    assert state.params.auxiliary == {}
    assert "loss_central" not in metrics


def test_uniform_weights_can_take_targets_from_a_central_network():
    state, metrics = shapes(dataclasses.replace(QMIX, target_source="central"), Uniform())
    assert type(state.target_networks.value.mixer).__name__ == "CentralMixer"
    assert "loss_central" in metrics


def test_macpo_can_take_targets_from_the_factored_network():
    state, metrics = shapes(dataclasses.replace(QMIX, target_source="self"), Macpo())
    assert type(state.target_networks.value.mixer).__name__ == "MonotonicMixer"
    assert "loss_central" in metrics


def test_macpo_takes_targets_from_the_central_network_by_default():
    state, _ = shapes(QMIX, Macpo())
    assert type(state.target_networks.value.mixer).__name__ == "CentralMixer"


def utilities_of(agent: Any) -> np.ndarray:
    """The utilities in every state of the batch, step by step: [B, T+1, N, A]."""
    inputs = jnp.pad(BATCH.actions, ((0, 0), (1, 0), (0, 0)), constant_values=-1)
    h, out = np.zeros((2, 2, 8)), []
    step = jax.jit(lambda x, h: agent(x, h))
    for t in range(7):
        h, q = step(agent_inputs(CANVAS, BATCH.encoded_state.obs[:, t], inputs[:, t]), h)
        out.append(q)
    return np.stack(out, 1)


@pytest.mark.parametrize(
    ("options", "weighting", "sentence"),
    [
        ({"target_source": "self"}, Cwqmix(), "'cwqmix' compares with Q"),
        ({"double_q": False}, Macpo(), "double_q must stay true"),
    ],
)
def test_what_q_star_cannot_be_asked_for_is_refused(options, weighting, sentence):
    with pytest.raises(UsageError, match=sentence):
        dataclasses.replace(QMIX, **options).make(Canvas(CANVAS), weighting)


def test_without_double_q_targets_evaluate_what_the_target_network_prefers():
    config = dataclasses.replace(VDN, double_q=False)
    learner = dataclasses.replace(LEARNERS["vdn-uniform"], config=config)
    state = started("vdn-uniform")
    target = scaled(state.target_networks, -1.0)  # disagrees with the online network
    _, metrics = jax.jit(loss_of(learner, state))(state.params, target)
    available = np.asarray(BATCH.encoded_state.avail_actions)
    best = np.where(available, utilities_of(target.value.agent), -np.inf).max(-1)
    expected = best.sum(-1)[:, :-1]
    mask = np.arange(6) < np.array(LENGTH)[:, None]
    np.testing.assert_allclose(metrics["q_star_greedy"][mask], expected[mask], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("clamp", "chosen"), [(None, 1), ((-5.0, 2.0), 0)])
def test_clamped_utilities_tie_at_the_bound(clamp, chosen):
    learner: ValueBasedLearner = dataclasses.replace(VDN, utility_clamp=clamp).make(
        Canvas(CANVAS), Uniform()
    )
    params = scaled(started("vdn-uniform").params, 0.0)
    bias = np.array([3.0, 5.0, 4.0])
    params = eqx.tree_at(lambda p: p.value.agent.head.bias, params, bias)
    observation = Observation(*(x[:, 0] for x in BATCH.encoded_state))._replace(
        avail_actions=np.ones((2, 2, 3), bool)
    )
    nothing = np.full((2, 2), -1)
    hidden = learner.initial_hidden(2)
    _, actions = jax.jit(learner.act)(params, KEY, hidden, observation, nothing, 0.0)
    assert set(np.ravel(actions).tolist()) == {chosen}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("optimiser", "sgd"),
        ("target_source", "both"),
        ("lr", 0.0),
        ("optim_eps", 0.0),
        ("rnn_hidden_dim", 0),
        ("central_mixing_embed_dim", -1),
        ("gamma", 1.1),
        ("td_lambda", -0.1),
        ("central_loss", -0.5),
        ("qmix_loss", -1.0),
        ("utility_clamp", (2.0, -5.0)),
        ("utility_clamp", (-float("inf"), 2.0)),
        ("utility_clamp", (-1e300, 2.0)),
        ("mixing_embed_dim", 0),
        ("hypernet_embed", 0),
    ],
)
def test_impossible_hyper_parameters_are_refused_by_name(name, value):
    with pytest.raises(UsageError, match=name):
        Qmix(**{name: value})
