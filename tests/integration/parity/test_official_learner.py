"""One update, number by number, as the authors' released MAC-PO learner computed it.

`official_learner_golden.npz` was recorded from that learner (PyTorch, float32, CPU) on a synthetic
batch: four episodes of at most six steps, three agents, five actions. It clamps the utilities to
(−5, 2), lets unavailable actions take part in the policies, does not normalise the weights, and
counts the central network's error by half.
"""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.algorithms.qmix import Config as Qmix
from macpo.conformance.canvas import Canvas
from macpo.learners.base import LearnerState
from macpo.learners.forward import ValueBasedNetworks
from macpo.learners.value_based import ValueBasedLearner
from macpo.nets.value_network import ValueNetwork
from macpo.types import Batch, Episodes, Observation, Spec
from macpo.weighting.factors import joint_probability
from macpo.weighting.macpo import Config as Macpo
from macpo.weighting.uniform import Config as Uniform
from macpo.weighting.weighting import Product, WeightingOutput
from tests.support.paths import DATA

FILE = DATA / "official_learner_golden.npz"
ORDER = [0, 2, 1, 3]  # longest first
RTOL = 1e-4
SPEC = Spec(
    name="synthetic",
    n_agents=3,
    n_actions=5,
    obs_size=7,
    state_size=9,
    episode_limit=6,
    obs_agent_id=False,
)
AGENT = {
    "embed": "fc1",
    "head": "fc2",
    "cell.weight_x": "rnn.weight_ih",
    "cell.weight_h": "rnn.weight_hh",
    "cell.bias_x": "rnn.bias_ih",
    "cell.bias_h": "rnn.bias_hh",
}
MIXER = {
    "weight_1.layers.0": "hyper_w_1.0",
    "weight_1.layers.1": "hyper_w_1.2",
    "weight_2.layers.0": "hyper_w_final.0",
    "weight_2.layers.1": "hyper_w_final.2",
    "bias_1": "hyper_b_1",
    "bias_2.layers.0": "V.0",
    "bias_2.layers.1": "V.2",
}
CENTRAL_MIXER = {
    **{f"net.layers.{i}": f"net.{2 * i}" for i in range(4)},
    "value.layers.0": "V.0",
    "value.layers.1": "V.2",
}


@dataclass(frozen=True)
class Exposing(Product):
    """A weighting whose metrics also hold its signals and weights."""

    def apply(self, state: Any, signals: Any) -> WeightingOutput:
        weights, state, metrics = super().apply(state, signals)
        given = {k: v for k, v in signals._asdict().items() if v is not None}
        return WeightingOutput(weights, state, metrics | given | {"weight": weights})


# --- the recording --------------------------------------------------------------------------------


@functools.cache
def golden() -> dict[str, np.ndarray]:
    with np.load(FILE) as data:
        return dict(data)


def recorded(name: str) -> np.ndarray:
    """An input or output of the recorded update, longest episode first."""
    x = golden()[name][ORDER]
    return x[..., 0] if x.shape[-1] == 1 else x


def load(kind: str, net: str, template: Any, names: dict[str, str]) -> Any:
    """The template with the recorded tensors in place of its own; PyTorch's are [out, in]."""

    def tensor(path: tuple[Any, ...], leaf: jax.Array) -> jax.Array:
        parts = [str(getattr(p, "name", getattr(p, "idx", ""))) for p in path]
        ours = ".".join(parts)
        theirs = names.get(ours) or f"{names['.'.join(parts[:-1])]}.{parts[-1]}"
        value = golden()[f"{kind}/{net}/{theirs}"].T
        assert value.shape == leaf.shape, ours
        return jnp.asarray(value)

    return jax.tree_util.tree_map_with_path(tensor, template)


def networks(kind: str) -> ValueBasedNetworks:
    """`kind` is param, grad or param_after."""
    template = fresh().params
    central = template.auxiliary["central_critic"]
    return ValueBasedNetworks(
        ValueNetwork(
            load(kind, "agent", template.value.agent, AGENT),
            load(kind, "mixer", template.value.mixer, MIXER),
        ),
        {
            "central_critic": ValueNetwork(
                load(kind, "central_agent", central.agent, AGENT),
                load(kind, "central_mixer", central.mixer, CENTRAL_MIXER),
            )
        },
    )


def batch() -> Episodes:
    filled, terminated = recorded("in/filled"), recorded("in/terminated")
    encoded_state = Observation(
        recorded("in/obs"), recorded("in/state"), recorded("in/avail_actions").astype(bool)
    )
    episodes = Episodes(
        encoded_state=encoded_state,
        actions=recorded("in/actions")[:, :-1].astype(np.int8),
        reward=recorded("in/reward"),
        length=filled.sum(1).astype(np.int32) - 1,
        terminated=terminated.any(1),
    )
    return jax.tree.map(jnp.asarray, episodes)


def mask() -> np.ndarray:
    return np.arange(6) < np.asarray(batch().length)[:, None]


# --- our update -----------------------------------------------------------------------------------


@functools.cache
def learner() -> ValueBasedLearner:
    weighting = Macpo(normalise="none", include_unavailable=True)
    config = Qmix(
        rnn_hidden_dim=16,
        mixing_embed_dim=8,
        hypernet_embed=16,
        central_mixing_embed_dim=24,
        utility_clamp=(-5.0, 2.0),
        central_loss=0.5,
        td_lambda=0.6,
        gamma=0.99,
        grad_norm_clip=0.0,
    )
    return config.make(Canvas(SPEC), Exposing(**vars(weighting.times(Uniform()))))


@functools.cache
def fresh() -> LearnerState:
    return jax.eval_shape(learner().init, jax.random.key(0))


@functools.cache
def updated() -> tuple[ValueBasedNetworks, dict[str, np.ndarray], ValueBasedNetworks]:
    """(gradients, everything exposed, parameters after one step of Adam)."""
    params = networks("param")
    central = params.auxiliary["central_critic"]
    target = ValueNetwork(
        load("param", "target_central_agent", central.agent, AGENT),
        load("param", "target_central_mixer", central.mixer, CENTRAL_MIXER),
    )

    @jax.jit
    def update() -> Any:
        key, given = jax.random.key(0), Batch(batch(), jnp.ones(4))
        state = (
            learner()
            .init(key)
            ._replace(params=params, target_networks=ValueBasedNetworks(target, {}))
        )
        grads, _ = jax.grad(learner().loss, has_aux=True)(params, state, given, key)
        state, metrics, _ = learner().update(state, given, key)
        return grads, metrics, state.params

    return jax.tree.map(np.asarray, update())


# --- tests ----------------------------------------------------------------------------------------


def test_recorded_last_actions_are_the_stored_ones_one_step_later():
    stored, onehot = recorded("in/actions"), recorded("in/last_actions_onehot")
    exists = np.arange(1, 7) <= np.asarray(batch().length)[:, None]
    assert not onehot[:, 0].any()
    np.testing.assert_array_equal(onehot[:, 1:][exists], np.eye(5)[stored[:, :-1]][exists])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("q", "q_tot"),
        ("q_star", "q_star"),
        ("target", "target"),
        ("pi_taken", "pi_taken"),
        ("weight", "weight"),
    ],
)
def test_signals_and_weights_are_those_of_the_released_learner(ours, theirs):
    _, exposed, _ = updated()
    expected = recorded(f"out/{theirs}")[mask()]
    np.testing.assert_allclose(exposed[ours][mask()], expected, rtol=RTOL, atol=1e-6)


def test_joint_probability_term_is_that_of_the_released_learner():
    _, exposed, _ = updated()
    f = joint_probability(exposed["pi_taken"], np)
    np.testing.assert_allclose(f[mask()], recorded("out/f")[mask()], rtol=RTOL)


@pytest.mark.parametrize(
    ("ours", "theirs", "factor"),
    [
        ("loss_td", "qmix_loss", 1.0),
        ("loss_central", "central_loss", 0.5),
        ("loss", "loss", 1.0),
        ("grad_norm", "grad_norm", 1.0),
    ],
)
def test_losses_and_gradient_norm_are_those_of_the_released_learner(ours, theirs, factor):
    _, exposed, _ = updated()
    np.testing.assert_allclose(factor * exposed[ours], golden()[f"out/{theirs}"], rtol=RTOL)


def test_every_gradient_tensor_is_that_of_the_released_learner():
    grads, _, _ = updated()
    tensors = jax.tree_util.tree_leaves_with_path(networks("grad"))
    assert len(tensors) == 42
    for (path, expected), actual in zip(tensors, jax.tree.leaves(grads), strict=True):
        np.testing.assert_allclose(
            actual,
            expected,
            rtol=RTOL,
            atol=RTOL * 0.1 * np.abs(expected).max(),
            err_msg=jax.tree_util.keystr(path),
        )


def test_parameters_after_one_step_of_adam_are_those_of_the_released_learner():
    _, _, after = updated()
    for (path, expected), actual in zip(
        jax.tree_util.tree_leaves_with_path(networks("param_after")),
        jax.tree.leaves(after),
        strict=True,
    ):
        # Adam moves every entry by about 1e-3, however small its gradient
        np.testing.assert_allclose(
            actual, expected, rtol=0, atol=5e-6, err_msg=jax.tree_util.keystr(path)
        )
