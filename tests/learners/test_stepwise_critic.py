"""Stepwise updates of a critic against a plain loop in NumPy that never sees padding."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.algorithms.coma import Config as Coma
from macpo.conformance.canvas import CANVAS, Canvas, scribble, spoiled
from macpo.kernels import shard
from macpo.learners.stepwise_critic import CriticUpdate, Direction, update_critic_stepwise
from macpo.nets.linear import Linear
from macpo.types import Episodes
from macpo.weighting.uniform import Config as Uniform

LENGTH = [6, 4, 4, 1]
BATCH = scribble(CANVAS, LENGTH, [True, False, True, False])
LR, DECAY, EPS, CLIP = 0.2, 0.9, 0.5, 1.0
LEARNER = Coma(
    critic_lr=LR, optimiser="rmsprop", optim_alpha=DECAY, optim_eps=EPS, grad_norm_clip=CLIP
).make(Canvas(CANVAS), Uniform())
CRITIC = Linear(jax.random.key(0), 5 + 4 + 3 + 3, 1)


def evaluate(critic: Any, observation: Any, actions: Any, last: Any) -> Any:
    """A linear value of state, observation and two actions; the further output is its triple."""
    state = jnp.broadcast_to(observation.state[:, None], (*actions.shape, 5))
    inputs = (state, observation.obs, jax.nn.one_hot(actions, 3), jax.nn.one_hot(last, 3))
    value = critic(jnp.concatenate(inputs, -1))
    return value[..., 0], {"triple": 3 * value}


def evaluate_team(critic: Any, *observation: Any) -> Any:
    """One value for all agents: their mean."""
    value, outputs = evaluate(critic, *observation)
    return value.mean(-1), outputs


CRITICS = {"each agent": evaluate, "the team": evaluate_team}


def inputs_of(episodes: Episodes, t: int, rows: np.ndarray) -> np.ndarray:
    """What the critics see at time t of some episodes: [rows, N, inputs]."""
    encoded_state, actions = jax.tree.map(np.asarray, (episodes.encoded_state, episodes.actions))
    eye = np.eye(3)
    state = np.repeat(encoded_state.state[rows, t][:, None], 2, 1)
    now = eye[actions[rows, t]]
    last = eye[actions[rows, t - 1]] if t > 0 else np.zeros_like(now)
    return np.concatenate([state, encoded_state.obs[rows, t], now, last], -1).astype(np.float64)


def plain_loop(
    episodes: Episodes,
    target: np.ndarray,
    weight: np.ndarray,
    width: int = 1,
    direction: Direction = "backward",
) -> dict[str, Any]:
    """One step of RMSprop for `width` env steps, from the last that any episode has to the first,
    or from the first to the last.

    The gradient is that of Σ w (Q − y)² / n over the n values at these times of episodes that are
    that long.
    """
    length = np.asarray(episodes.length)
    w, b = np.float64(CRITIC.weight)[:, 0], np.float64(CRITIC.bias)[0]
    second_moment, losses = np.zeros(len(w) + 1), []
    value, triple = np.full(target.shape, np.nan), np.full((*target.shape[:2], 2, 1), np.nan)
    order = list(range(length.max()))[:: 1 if direction == "forward" else -1]
    for i in range(0, len(order), width):
        times = order[i : i + width]
        places = [(row, t) for t in times for row in np.flatnonzero(length > t)]
        rows, t = np.array(places).T
        x = np.concatenate([inputs_of(episodes, t, np.array([row])) for row, t in places])
        q = x @ w + b
        triple[rows, t] = 3 * q[..., None]
        if target.ndim == 2:
            x, q = x.mean(1), q.mean(1)
        value[rows, t] = q
        error = q - target[rows, t]
        scale = weight[rows, t].reshape(-1, *[1] * (error.ndim - 1)) / error.size
        losses.append((scale * error**2).sum())
        d_q = (2 * scale * error).reshape(-1)
        grad = np.append(d_q @ x.reshape(len(d_q), -1), d_q.sum())
        grad *= min(1, CLIP / np.linalg.norm(grad))
        second_moment = DECAY * second_moment + (1 - DECAY) * grad**2
        step = LR * grad / (np.sqrt(second_moment) + EPS)
        w, b = w - step[:-1], b - step[-1]
    loss = np.mean(losses)
    return {"weight": w, "bias": b, "value": value, "triple": triple, "loss": loss}


def drawn(batch: int, *agents: int) -> tuple[np.ndarray, np.ndarray]:
    """(targets, weights)."""
    rng = np.random.default_rng(1)
    target = 2 * rng.normal(size=(batch, 6, *agents))
    return np.float32(target), np.float32(rng.uniform(0.2, 2, size=(batch, 6)))


@functools.cache
def compiled(name: str, devices: int, width: int, direction: Direction) -> Any:
    """The updates as one program; `devices` tells programs of different sharding apart."""

    @jax.jit
    def run(episodes: Episodes, target: Any, weight: Any) -> CriticUpdate:
        optimiser = LEARNER.config.make_optimiser(LEARNER.critic_lr).init(CRITIC)
        mask = np.arange(6) < episodes.length[:, None]
        data = episodes, target, weight, mask
        how = {"steps_per_update": width, "direction": direction}
        return update_critic_stepwise(LEARNER, CRITIC, optimiser, CRITICS[name], *data, **how)

    return run


def updated(
    name: str,
    episodes: Episodes,
    target: np.ndarray,
    weight: np.ndarray,
    devices: int = 1,
    width: int = 1,
    direction: Direction = "backward",
) -> dict[str, Any]:
    """What the updates give, NaN on padding."""
    out = jax.device_get(compiled(name, devices, width, direction)(episodes, target, weight))
    mask = np.arange(6) < np.asarray(episodes.length)[:, None]

    def masked(x: np.ndarray) -> np.ndarray:
        return np.where(mask.reshape(*mask.shape, *[1] * (x.ndim - 2)), x, np.nan)

    return {
        "weight": out.critic.weight[:, 0],
        "bias": out.critic.bias[0],
        "value": masked(out.value),
        "triple": masked(out.outputs["triple"]),
        "loss": out.loss,
    }


def assert_close(actual: dict[str, Any], expected: dict[str, Any]) -> None:
    for name in expected:
        np.testing.assert_allclose(actual[name], expected[name], 1e-4, 1e-5, err_msg=name)


@pytest.mark.parametrize("name", CRITICS)
def test_it_is_a_step_for_every_env_step_from_the_last_to_the_first(name: str) -> None:
    target, weight = drawn(4, *[2] * (name == "each agent"))
    assert_close(updated(name, BATCH, target, weight), plain_loop(BATCH, target, weight))


def test_forward_it_is_a_step_for_every_env_step_from_the_first_to_the_last() -> None:
    target, weight = drawn(4)
    forward = plain_loop(BATCH, target, weight, direction="forward")
    assert_close(updated("the team", BATCH, target, weight, direction="forward"), forward)
    assert np.abs(forward["weight"] - plain_loop(BATCH, target, weight)["weight"]).max() > 1e-2


@pytest.mark.parametrize("direction", ["backward", "forward"])
@pytest.mark.parametrize("width", [3, 4, 7], ids=["even", "with a rest", "all at once"])
def test_several_env_steps_make_one_update_and_those_left_over_a_smaller_one(
    width: int, direction: Direction
) -> None:
    target, weight = drawn(4, 2)
    out = updated("each agent", BATCH, target, weight, width=width, direction=direction)
    assert_close(out, plain_loop(BATCH, target, weight, width, direction))


def test_the_output_of_a_step_is_from_before_its_update_and_after_those_of_later_steps() -> None:
    target, weight = drawn(4, 2)
    out = updated("each agent", BATCH, target, weight)
    fresh = 3 * (inputs_of(BATCH, 5, np.array([0])) @ CRITIC.weight + CRITIC.bias)
    np.testing.assert_allclose(out["triple"][:1, 5], fresh, rtol=1e-4)
    stale = 3 * (inputs_of(BATCH, 4, np.array([0])) @ CRITIC.weight + CRITIC.bias)
    assert np.abs(out["triple"][:1, 4] - stale).min() > 1e-3


def test_a_batch_has_as_many_updates_as_its_longest_episode_has_steps() -> None:
    def counted(length: list[int]) -> int:
        target, weight = drawn(4, 2)
        adam = Coma().make(Canvas(CANVAS), Uniform())
        optimiser = adam.config.make_optimiser(adam.critic_lr).init(CRITIC)
        episodes = scribble(CANVAS, length, [True] * 4)
        mask = np.arange(6) < episodes.length[:, None]
        out = jax.jit(
            lambda *data: update_critic_stepwise(adam, CRITIC, optimiser, evaluate, *data)
        )(episodes, target, weight, mask)
        counts = [x for x in jax.tree.leaves(out.opt_state) if jnp.issubdtype(x.dtype, jnp.integer)]
        return int(counts[0])

    assert [counted([6, 4, 4, 1]), counted([3, 2, 1, 1])] == [6, 3]


@pytest.mark.parametrize(("width", "direction"), [(2, "backward"), (2, "forward")])
def test_a_seed_with_shorter_episodes_waits_for_the_others_under_vmap(
    width: int, direction: Direction
) -> None:
    adam = Coma().make(Canvas(CANVAS), Uniform())  # it moves without a gradient too
    target, weight = map(jnp.asarray, drawn(4, 2))
    seeds = [scribble(CANVAS, length, [True] * 4) for length in ([6, 4, 4, 1], [3, 2, 1, 1])]

    @jax.jit
    def twice(episodes: Episodes) -> Any:
        critic, optimiser = CRITIC, adam.config.make_optimiser(adam.critic_lr).init(CRITIC)
        mask = np.arange(6) < episodes.length[:, None]
        for _ in range(2):
            data = episodes, target, weight, mask
            how = {"steps_per_update": width, "direction": direction}
            out = update_critic_stepwise(adam, critic, optimiser, evaluate, *data, **how)
            critic, optimiser = out.critic, out.opt_state
        return critic, optimiser, jnp.where(mask[..., None], out.value, 0), out.loss

    together = jax.vmap(twice)(jax.tree.map(lambda *x: np.stack(x), *seeds))
    for i, episodes in enumerate(seeds):
        one, alone = jax.tree.map(lambda x: x[i], together), twice(episodes)  # noqa: B023
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, 1e-4, 1e-6), one, alone)


def test_nonsense_in_padding_changes_nothing() -> None:
    target, weight = drawn(4, 2)
    past = np.arange(6) >= np.array(LENGTH)[:, None]
    dirty = updated(
        "each agent",
        spoiled(BATCH),
        np.where(past[..., None], np.float32(np.nan), target),
        np.where(past, np.float32(np.nan), weight),
    )
    clean = updated("each agent", BATCH, target, weight)
    jax.tree.map(np.testing.assert_array_equal, dirty, clean)


def test_two_devices_that_share_a_batch_give_what_one_gives(monkeypatch) -> None:
    lengths = sorted((1 + 5 * i % 6 for i in range(32)), reverse=True)
    episodes = scribble(CANVAS, lengths, [True] * 32)
    target, weight = drawn(32, 2)
    assert shard.n_devices(32) == 2
    two = updated("each agent", episodes, target, weight, devices=2)
    monkeypatch.setattr(shard, "n_devices", lambda batch_size: 1)
    assert_close(two, updated("each agent", episodes, target, weight, devices=1))
