"""DOP against the paper's update, written down once more in NumPy."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.algorithms.dop import Config, Critic
from macpo.conformance.canvas import CANVAS, Canvas, scribble, spoiled
from macpo.errors import UsageError
from macpo.nets.mixers import LinearMixer
from macpo.types import Batch, Episodes
from macpo.weighting.per import Config as Per
from macpo.weighting.uniform import Config as Uniform
from tests.support import plain

KEY = jax.random.key(0)
EPSILON = 0.3
CONFIG = Config(
    rnn_hidden_dim=8,
    critic_hidden_dim=8,
    mixing_embed_dim=4,
    central_mixing_embed_dim=8,
    on_policy_batch_size=2,
    lr=0.5,
    critic_lr=0.3,
    gamma=0.9,
    tree_lambda=0.7,
    grad_norm_clip=0.2,
    **plain.RMSPROP,
)
OLD, NEW = scribble(CANVAS, [6, 4, 3], [False, True, False]), scribble(CANVAS, [6, 2], [0, 1], 1)


def learner(weighting: Any = None) -> Any:
    return CONFIG.make(Canvas(CANVAS), weighting or Uniform())


@functools.cache
def started() -> Any:
    """Fresh networks whose target lags behind."""
    state = jax.device_get(learner().init(KEY))
    return state._replace(
        target_networks=jax.tree.map(lambda x: np.float32(0.5) * x, state.target_networks)
    )


@functools.cache
def update(weighting: Any = None) -> Any:
    return jax.jit(learner(weighting).update)


def updated(old: Episodes = OLD, new: Episodes = NEW, weighting: Any = None, **more: Any) -> Any:
    batch = Batch(old, np.ones(3), new, epsilon=EPSILON)._replace(**more)
    return jax.device_get(update(weighting)(started(), batch, KEY))


# --- by the paper ---------------------------------------------------------------------------------


def decomposition(critic: Critic, episodes: Episodes) -> tuple[np.ndarray, np.ndarray]:
    """(Q_i of every action [B, T+1, N, A], k_i(s) [B, T+1, N])."""
    state, obs = episodes.encoded_state.state, episodes.encoded_state.obs
    out = np.asarray(critic.agents(state, obs))
    return out[..., :-1] + out[..., -1:], np.asarray(critic.mixer.weights(state))


def target_values(episodes: Episodes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(π, Σ_i k_i Q_i(u_i) of the actions taken, what the policies expect of it)."""
    pi = np.asarray(plain.policy(started().params.actor, episodes, EPSILON))
    q, k = decomposition(started().target_networks.critic, episodes)
    actions = np.pad(np.asarray(episodes.actions), ((0, 0), (0, 1), (0, 0)))
    taken = np.take_along_axis(q, actions[..., None], -1)[..., 0]
    return pi, (k * taken).sum(-1), (k * (pi * q).sum(-1)).sum(-1)


def tree_backup(episodes: Episodes) -> np.ndarray:
    """Q_t + Σ_l (γλ)^l [Π_{j≤l} π(u_{t+j})] δ_{t+l} with δ = r + γ E Q' − Q, episode by episode."""
    pi, q, expected = target_values(episodes)
    actions = np.asarray(episodes.actions)
    out, gamma = np.zeros(episodes.reward.shape), CONFIG.gamma
    for b, length in enumerate(np.asarray(episodes.length)):
        joint = np.take_along_axis(pi[b, :-1], actions[b, ..., None], -1)[..., 0].prod(-1)
        for t in range(length):
            trace = 1.0
            out[b, t] = q[b, t]
            for s in range(t, length):
                if s > t:
                    trace *= gamma * CONFIG.tree_lambda * joint[s]
                over = s == length - 1 and bool(episodes.terminated[b])
                after = 0.0 if over else expected[b, s + 1]
                out[b, t] += trace * (episodes.reward[b, s] + gamma * after - q[b, s])
    return out


def sarsa(episodes: Episodes) -> np.ndarray:
    """λ-returns of the actions taken; an episode that was cut off goes on with the expectation."""
    _, q, expected = target_values(episodes)
    for b, length in enumerate(np.asarray(episodes.length)):
        q[b, length] = expected[b, length]
    return plain.lambda_return(episodes, q, CONFIG.gamma, CONFIG.td_lambda)


def both(of_old: np.ndarray, of_new: np.ndarray) -> np.ndarray:
    return np.concatenate([of_old, of_new])


@functools.cache
def by_the_paper() -> dict[str, Any]:
    episodes = jax.tree.map(lambda *x: np.concatenate(x), OLD, NEW)
    target = np.asarray(both(tree_backup(OLD), sarsa(NEW)), np.float32)
    actor, critic, _ = started().params
    encoded_state, length = episodes.encoded_state, np.asarray(episodes.length)

    @jax.jit
    def gradient(critic: Critic, state: Any, obs: Any, u: Any, y: Any, alive: Any) -> Any:
        def loss(critic: Critic) -> Any:
            out = critic.agents(state, obs)
            q, k = out[..., :-1] + out[..., -1:], critic.mixer.weights(state)
            q_tot = (k * jnp.take_along_axis(q, u[..., None], -1)[..., 0]).sum(-1)
            return jnp.square((q_tot - y) * alive).sum() / alive.sum(), (q, k)

        return jax.grad(loss, has_aux=True)(critic)

    said = [(np.zeros(0), np.zeros(0))] * 6
    optimiser = plain.Rmsprop(CONFIG, CONFIG.critic_lr)
    for t in range(6):
        now = (
            encoded_state.state[:, t],
            encoded_state.obs[:, t],
            episodes.actions[:, t].astype(int),
        )
        grads, said[t] = gradient(critic, *now, target[:, t], np.float32(length > t))
        critic = optimiser.step(grads, critic)
    q, k = (np.stack(x, 1)[3:] for x in zip(*said, strict=True))  # of the new episodes

    pi = np.asarray(plain.policy(actor, NEW, EPSILON))[:, :-1]
    taken = np.take_along_axis(q, np.asarray(NEW.actions)[..., None], -1)[..., 0]
    advantage = k * (taken - (pi * q).sum(-1))

    def loss(actor: Any) -> Any:
        pi = plain.policy(actor, NEW, EPSILON)
        return -plain.mean(advantage * plain.log_taken(pi, NEW), [6, 2])

    grads = jax.jit(jax.grad(loss))(actor)
    return {
        "critic": critic,
        "actor": plain.Rmsprop(CONFIG, CONFIG.lr).step(grads, actor),
        "target": target,
    }


def test_the_critic_fits_tree_backups_of_old_and_sarsa_lambda_of_new_episodes() -> None:
    plain.assert_close(updated()[0].params.critic, by_the_paper()["critic"], rtol=1e-3)


def test_the_policies_follow_k_times_the_counterfactual_advantage_in_new_episodes() -> None:
    plain.assert_close(updated()[0].params.actor, by_the_paper()["actor"], rtol=1e-3)


def test_the_mean_target_reported_is_that_of_old_episodes() -> None:
    mean = plain.mean(np.asarray(by_the_paper()["target"][:3]), [6, 4, 3])
    np.testing.assert_allclose(updated()[1]["target_mean"], mean, rtol=1e-4)


# --- what matters, and what does not --------------------------------------------------------------


def test_content_of_padding_changes_nothing() -> None:
    expected = updated()
    jax.tree.map(np.testing.assert_array_equal, updated(spoiled(OLD), spoiled(NEW)), expected)


def test_old_episodes_leave_the_policies_alone_but_for_what_the_critic_learns() -> None:
    config = CONFIG.__class__(**{**vars(CONFIG), "critic_lr": 1e-12})
    update = jax.jit(config.make(Canvas(CANVAS), Uniform()).update)
    other = scribble(CANVAS, [6, 5, 1], [False, True, False], seed=2)
    actors = [
        update(started(), Batch(old, np.ones(3), NEW), KEY)[0].params.actor for old in (OLD, other)
    ]
    plain.assert_close(*actors, rtol=1e-3)


def test_an_importance_of_zero_takes_an_old_episode_out_of_the_critics_loss() -> None:
    importance = np.array([1.0, 0.0, 1.0])
    changed = OLD._replace(reward=OLD.reward.at[1].multiply(5.0))
    one, other = (updated(x, importance=importance)[0].params for x in (OLD, changed))
    jax.tree.map(np.testing.assert_array_equal, one, other)
    assert (updated(changed)[0].params.actor.head.bias != updated()[0].params.actor.head.bias).any()


def test_a_weighting_changes_what_the_critic_learns() -> None:
    per, uniform = updated(weighting=Per())[0].params.critic, updated()[0].params.critic
    assert (per.agents.net.layers[0].bias != uniform.agents.net.layers[0].bias).any()


def test_coefficients_of_the_mixture_are_positive_and_add_up_to_one() -> None:
    state = jax.random.normal(KEY, (64, 5))
    k = LinearMixer(KEY, 3, 5, 4).weights(state)
    assert (np.asarray(k) > 0).all()
    np.testing.assert_allclose(k.sum(-1), 1, rtol=1e-6)


def test_the_newest_episodes_are_asked_for() -> None:
    assert learner().recent_episodes(64, 5000) == (2, 2)


def test_a_weighting_that_splits_the_teams_error_is_refused() -> None:
    from macpo.weighting.differ import Config as Differ

    with pytest.raises(UsageError, match="differ"):
        learner(Differ())


def test_an_update_of_the_critic_takes_at_least_one_env_step() -> None:
    with pytest.raises(UsageError, match="sweep_width"):
        Config(sweep_width=0)
