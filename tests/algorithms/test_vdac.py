"""VDAC against its loss, written down once more in plain JAX and NumPy."""

import functools
from typing import Any

import jax
import numpy as np
import pytest

from macpo.algorithms.vdac import Config
from macpo.conformance.canvas import CANVAS, Canvas, scribble
from macpo.learners.base import LearnerState
from macpo.nets.mixers import MonotonicMixer, SumMixer
from macpo.types import Batch
from macpo.weighting.uniform import Config as Uniform
from tests.support import plain

KEY = jax.random.key(0)
LENGTH = [6, 4, 3]
BATCH = scribble(CANVAS, LENGTH, [False, True, False])
EPSILON = 0.3
OPTIONS: dict[str, Any] = {
    "rnn_hidden_dim": 8,
    "mixing_embed_dim": 4,
    "hypernet_embed": 4,
    "lr": 0.5,
    "gamma": 0.9,
    "value_coef": 0.4,
    "grad_norm_clip": 0.2,
    **plain.RMSPROP,
}
MIXERS = pytest.mark.parametrize("mixer", ["sum", "mix"])


def config(mixer: Any, **options: Any) -> Config:
    return Config(**{"mixer": mixer, **OPTIONS, **options})


@functools.cache
def started(mixer: str) -> LearnerState:
    return config(mixer).make(Canvas(CANVAS), Uniform()).init(KEY)


@functools.cache
def updated(mixer: str, in_policy: bool) -> tuple[LearnerState, Any, Any]:
    learner = config(mixer, epsilon_in_policy=in_policy).make(Canvas(CANVAS), Uniform())
    batch = Batch(BATCH, np.ones(3), epsilon=EPSILON)
    return jax.jit(learner.update)(started(mixer), batch, KEY)


@functools.cache
def by_the_paper(mixer: str, in_policy: bool) -> dict[str, Any]:
    options, params = config(mixer), started(mixer).params

    def v_tot(params: Any) -> Any:
        values = plain.outputs(params.actor, BATCH)[..., -1]
        return (
            params.critic(values, BATCH.encoded_state.state) if mixer == "mix" else values.sum(-1)
        )

    value = np.asarray(jax.jit(v_tot)(params))
    returns = plain.lambda_return(BATCH, value, options.gamma, options.td_lambda)
    advantage = returns - value[:, :-1]

    def loss(params: Any) -> Any:
        pi = plain.policy(params.actor, BATCH, EPSILON if in_policy else 0.0)
        metrics = {
            "loss_policy": -plain.mean(advantage[..., None] * plain.log_taken(pi, BATCH), LENGTH),
            "loss_critic": plain.mean((v_tot(params)[:, :-1] - returns) ** 2, LENGTH),
            "entropy": plain.mean(plain.entropy(pi), LENGTH),
        }
        total = metrics["loss_policy"] + options.value_coef * metrics["loss_critic"]
        total -= options.entropy_coef * metrics["entropy"]
        return total, metrics | {"loss": total}

    grads, metrics = jax.jit(jax.grad(loss, has_aux=True))(params)
    return {
        "params": plain.Rmsprop(options, options.lr).step(grads, params),
        "grads": grads,
        "td_error_abs": np.abs(advantage),
        "metrics": metrics
        | {
            "td_error_abs": plain.mean(np.abs(advantage), LENGTH),
            "value_mean": plain.mean(value[:, :-1], LENGTH),
            "target_mean": plain.mean(returns, LENGTH),
            "grad_norm": plain.norm(grads),
        },
    }


@pytest.mark.parametrize(("mixer", "in_policy"), [("sum", False), ("mix", False), ("sum", True)])
def test_policies_and_values_take_one_step_with_one_clipped_norm(mixer, in_policy) -> None:
    expected = by_the_paper(mixer, in_policy)
    assert expected["metrics"]["grad_norm"] > 2 * OPTIONS["grad_norm_clip"]
    plain.assert_close(updated(mixer, in_policy)[0].params, expected["params"])


@MIXERS
def test_metrics_are_those_of_the_loss(mixer: str) -> None:
    metrics, expected = updated(mixer, False)[1], by_the_paper(mixer, False)["metrics"]
    plain.assert_close({name: metrics[name] for name in expected}, expected)


@MIXERS
def test_td_errors_are_lambda_returns_less_the_team_value_and_zero_on_padding(mixer: str) -> None:
    mask = np.arange(6) < np.array(LENGTH)[:, None]
    expected = np.where(mask, by_the_paper(mixer, False)["td_error_abs"], 0)
    np.testing.assert_allclose(updated(mixer, False)[2], expected, rtol=1e-4)


@pytest.mark.parametrize(("mixer", "kind"), [("sum", SumMixer), ("mix", MonotonicMixer)])
def test_the_critic_is_the_mixer_and_has_no_target_network(mixer: str, kind: type) -> None:
    assert type(started(mixer).params.critic) is kind
    assert updated(mixer, False)[0].target_networks.critic == ()


@MIXERS
def test_policy_values_and_mixer_share_an_optimiser(mixer: str) -> None:
    assert jax.tree.leaves(started(mixer).opt_state.actor)
    assert not jax.tree.leaves(started(mixer).opt_state.critic)


def test_the_agents_network_puts_out_the_policy_and_one_value() -> None:
    assert started("sum").params.actor.head.weight.shape == (8, CANVAS.n_actions + 1)


@MIXERS
def test_the_value_of_a_state_learns_through_the_mixer_alone(mixer: str) -> None:
    by_value = by_the_paper(mixer, False)["grads"].actor.head.bias[-1]
    step = (
        updated(mixer, False)[0].params.actor.head.bias[-1]
        - started(mixer).params.actor.head.bias[-1]
    )
    assert abs(by_value) > 1e-3
    assert np.sign(step) == -np.sign(by_value)
