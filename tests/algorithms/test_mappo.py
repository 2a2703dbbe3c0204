"""MAPPO against its epochs, written down once more in plain JAX and NumPy."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from macpo.algorithms.mappo import CentralValue, Config
from macpo.conformance.canvas import CANVAS, Canvas, scribble
from macpo.learners.base import LearnerState
from macpo.types import Batch
from macpo.weighting.uniform import Config as Uniform
from tests.support import plain

KEY = jax.random.key(0)
LENGTH = [6, 4, 3]
BATCH = scribble(CANVAS, LENGTH, [False, True, False])
EPOCHS = 3
CONFIG = Config(
    rnn_hidden_dim=8,
    critic_hidden_dim=8,
    lr=2.0,
    critic_lr=0.5,
    gamma=0.9,
    grad_norm_clip=0.2,
    epochs=EPOCHS,
    huber_delta=0.7,
    **plain.RMSPROP,
)


def learner(**options: Any) -> Any:
    return Config(**{**vars(CONFIG), **options}).make(Canvas(CANVAS), Uniform())


@functools.cache
def started() -> LearnerState:
    """Fresh networks, whose policies already differ from the uniform one."""
    state = jax.device_get(learner().init(KEY))
    params = eqx.tree_at(lambda p: p.actor.head.weight, state.params, replace_fn=lambda x: 100 * x)
    return state._replace(params=params)


update_moments = jax.jit(CentralValue.update_moments)


@functools.cache
def update(epochs: int) -> Any:
    return jax.jit(learner(epochs=epochs).update)


@functools.cache
def updated(epochs: int = EPOCHS) -> tuple[LearnerState, Any, Any]:
    return update(epochs)(started(), Batch(BATCH, np.ones(3)), KEY)


# --- by the paper ---------------------------------------------------------------------------------


@functools.cache
def estimates() -> dict[str, np.ndarray]:
    """Of a batch that is the first: values are as the network puts them out."""
    value = np.asarray(started().params.critic.net(BATCH.encoded_state.state)[..., 0], np.float64)
    returns = plain.lambda_return(BATCH, value, CONFIG.gamma, CONFIG.td_lambda)
    real = np.arange(6) < np.array(LENGTH)[:, None]
    advantage = returns - value[:, :-1]
    advantage = (advantage - advantage[real].mean()) / advantage[real].std()
    mean, std = returns[real].mean(), returns[real].std()
    return {
        "value": value[:, :-1],
        "returns": returns,
        "advantage": advantage,
        "mean": mean,
        "std": std,
        "target": (returns - mean) / std,
        "log_pi": plain.log_taken(plain.policy(started().params.actor, BATCH), BATCH),
    }


def actor_loss(actor: Any, estimate: Any) -> Any:
    """−min(ρ A, clip(ρ, 1 ± 0.2) A), less the bonus for entropy."""
    pi = plain.policy(actor, BATCH)
    ratio = jnp.exp(plain.log_taken(pi, BATCH) - estimate["log_pi"])
    advantage = estimate["advantage"][..., None]
    gain = jnp.minimum(ratio * advantage, jnp.clip(ratio, 0.8, 1.2) * advantage)
    return -plain.mean(gain, LENGTH) - CONFIG.entropy_coef * plain.mean(plain.entropy(pi), LENGTH)


def huber(error: Any) -> Any:
    """Half the square within δ, and from there on a line."""
    small, delta = jnp.abs(error) <= CONFIG.huber_delta, CONFIG.huber_delta
    return jnp.where(small, error**2 / 2, delta * (jnp.abs(error) - delta / 2))


def critic_loss(net: Any, estimate: Any) -> Any:
    """The worse of the value and of the value at most 0.2 from what it was."""
    value = net(BATCH.encoded_state.state)[:, :-1, 0]
    near = estimate["value"] + jnp.clip(value - estimate["value"], -0.2, 0.2)
    worse = jnp.maximum(*(huber(v - estimate["target"]) for v in (value, near)))
    return plain.mean(worse, LENGTH)


@functools.cache
def gradient(loss: Any) -> Any:
    return jax.jit(jax.value_and_grad(loss))


@functools.cache
def epochs_by_the_paper() -> list[dict[str, Any]]:
    """Networks before each epoch and after the last, and the losses of each."""
    actor, net, estimate = started().params.actor, started().params.critic.net, estimates()
    of_actor = plain.Rmsprop(CONFIG, CONFIG.lr)
    of_critic = plain.Rmsprop(CONFIG, CONFIG.critic_lr)
    out = []
    for _ in range(EPOCHS):
        policy, d_actor = gradient(actor_loss)(actor, estimate)
        critic, d_net = gradient(critic_loss)(net, estimate)
        norm = plain.norm((d_actor, d_net))
        losses = {"loss": policy + critic, "loss_critic": critic, "grad_norm": norm}
        out.append({"actor": actor, "net": net, "losses": losses})
        actor, net = of_actor.step(d_actor, actor), of_critic.step(d_net, net)
    return [*out, {"actor": actor, "net": net}]


# --- an update ------------------------------------------------------------------------------------


def test_policies_and_value_take_a_step_each_epoch_on_the_clipped_losses() -> None:
    params, expected = updated()[0].params, epochs_by_the_paper()[-1]
    plain.assert_close(params.actor, expected["actor"], rtol=1e-3)
    plain.assert_close(params.critic.net, expected["net"], rtol=1e-3)


def test_losses_reported_are_those_of_the_last_epoch() -> None:
    expected = epochs_by_the_paper()[EPOCHS - 1]["losses"]
    plain.assert_close({name: updated()[1][name] for name in expected}, expected, rtol=1e-3)


def test_values_and_returns_reported_are_those_before_the_update_in_units_of_the_reward() -> None:
    estimate, metrics = estimates(), updated()[1]
    error = np.abs(estimate["value"] - estimate["returns"])
    expected = {
        "value_mean": plain.mean(estimate["value"], LENGTH),
        "target_mean": plain.mean(estimate["returns"], LENGTH),
        "td_error_abs": plain.mean(error, LENGTH),
    }
    plain.assert_close({name: metrics[name] for name in expected}, expected)
    real = np.arange(6) < np.array(LENGTH)[:, None]
    np.testing.assert_allclose(updated()[2], np.where(real, error, 0), rtol=1e-4)


def test_the_first_epoch_is_a_plain_policy_gradient_for_its_ratios_are_one() -> None:
    estimate = estimates()

    def loss(actor: Any) -> Any:
        pi = plain.policy(actor, BATCH)
        gain = estimate["advantage"][..., None] * plain.log_taken(pi, BATCH)
        return -plain.mean(gain, LENGTH) - CONFIG.entropy_coef * plain.mean(
            plain.entropy(pi), LENGTH
        )

    actor = started().params.actor
    expected = plain.Rmsprop(CONFIG, CONFIG.lr).step(jax.jit(jax.grad(loss))(actor), actor)
    plain.assert_close(updated(epochs=1)[0].params.actor, expected, rtol=1e-3)
    assert updated(epochs=1)[1]["clip_fraction"] == 0


def test_in_the_first_epoch_no_value_is_clipped_for_none_has_moved_yet() -> None:
    estimate = estimates()

    def loss(net: Any) -> Any:
        value = net(BATCH.encoded_state.state)[:, :-1, 0]
        return plain.mean(huber(value - estimate["target"]), LENGTH)

    net = started().params.critic.net
    expected = plain.Rmsprop(CONFIG, CONFIG.critic_lr).step(jax.jit(jax.grad(loss))(net), net)
    plain.assert_close(updated(epochs=1)[0].params.critic.net, expected, rtol=1e-3)


def test_clip_fraction_is_the_share_of_ratios_beyond_the_clip() -> None:
    before, estimate = epochs_by_the_paper()[EPOCHS - 1], estimates()
    log_pi = plain.log_taken(plain.policy(before["actor"], BATCH), BATCH)
    ratio = np.exp(log_pi - estimate["log_pi"])
    expected = plain.mean(np.abs(ratio - 1) > 0.2, LENGTH)
    assert 0.1 < expected < 0.9
    np.testing.assert_allclose(updated()[1]["clip_fraction"], expected, rtol=1e-6)


# --- the scale of values --------------------------------------------------------------------------


def test_before_there_are_returns_values_are_taken_as_they_are() -> None:
    assert [float(x) for x in started().params.critic.moments] == [0, 1]


def test_after_one_batch_the_moments_are_its_returns_mean_and_standard_deviation() -> None:
    expected = estimates()["mean"], estimates()["std"]
    np.testing.assert_allclose(updated()[0].params.critic.moments, expected, rtol=1e-4)


def test_after_two_batches_the_moments_are_those_of_both_alike() -> None:
    critic, rng = started().params.critic, np.random.default_rng(0)
    batches = np.float32(rng.normal(size=(2, 3, 6)) * 3 + np.array([5, -1])[:, None, None])
    real = np.arange(6) < np.array(LENGTH)[:, None]
    for returns in batches:
        critic = update_moments(critic, np.where(real, returns, np.nan), real)
    returns = batches[:, real]
    np.testing.assert_allclose(critic.moments, [returns.mean(), returns.std()], rtol=1e-3)


def test_the_value_of_a_second_batch_is_scaled_back_to_units_of_the_reward() -> None:
    state = updated()[0]
    metrics = update(EPOCHS)(state, Batch(BATCH, np.ones(3)), KEY)[1]
    mean, std = state.params.critic.moments
    value = state.params.critic.net(BATCH.encoded_state.state)[:, :-1, 0] * std + mean
    np.testing.assert_allclose(metrics["value_mean"], plain.mean(value, LENGTH), rtol=1e-4)


def test_equal_returns_are_not_divided_by_nothing() -> None:
    critic = update_moments(started().params.critic, np.full((3, 6), 4.0), np.ones((3, 6), bool))
    np.testing.assert_allclose(critic.moments, [4, 0.1], rtol=1e-4)


def test_no_optimiser_moves_the_moments() -> None:
    # three times the steps would move them thrice as far
    one, many = (updated(epochs)[0].params.critic for epochs in (1, EPOCHS))
    for name in ("mean", "square", "weight"):
        assert getattr(one, name) == getattr(many, name)


# --- how it starts --------------------------------------------------------------------------------


def gram(weight: Any) -> np.ndarray:
    weight = np.asarray(weight, np.float64)
    return weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight


@functools.cache
def fresh() -> Any:
    return learner().init(KEY).params


def test_matrices_start_orthogonal_and_biases_at_zero() -> None:
    actor, critic, _ = fresh()
    weights = [actor.embed.weight, actor.cell.weight_x, actor.cell.weight_h]
    for weight in weights + [layer.weight for layer in critic.net.layers]:
        np.testing.assert_allclose(gram(weight), 2 * np.eye(min(weight.shape)), atol=1e-5)
    biases = [actor.embed.bias, actor.cell.bias_x, actor.cell.bias_h, actor.head.bias]
    for bias in biases + [layer.bias for layer in critic.net.layers]:
        assert not np.asarray(bias).any()


def test_the_policys_head_starts_at_a_hundredth_so_that_policies_are_nearly_uniform() -> None:
    head = fresh().actor.head.weight
    np.testing.assert_allclose(gram(head), 1e-4 * np.eye(min(head.shape)), atol=1e-8)


def test_there_is_no_target_network_and_an_optimiser_each_for_policy_and_value() -> None:
    assert updated()[0].target_networks.critic == ()
    assert all(jax.tree.leaves(group) for group in updated()[0].opt_state[:2])
