"""COMA against the paper's update, written down once more in plain JAX and NumPy."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.algorithms.coma import Config, _critic_function
from macpo.conformance.canvas import CANVAS, Canvas, scribble
from macpo.learners.base import LearnerState
from macpo.types import Batch, Episodes, Observation
from macpo.weighting.uniform import Config as Uniform
from tests.support import plain

KEY = jax.random.key(0)
LENGTH = [6, 4, 3]
EPSILON = 0.3
CONFIG = Config(
    rnn_hidden_dim=8,
    critic_hidden_dim=8,
    sweep_width=1,
    lr=0.5,
    critic_lr=0.3,
    gamma=0.9,
    grad_norm_clip=0.2,
    **plain.RMSPROP,
)
N, A = CANVAS.n_agents, CANVAS.n_actions


def learner(**options: Any) -> Any:
    return Config(**{**vars(CONFIG), **options}).make(Canvas(CANVAS), Uniform())


def batch() -> Episodes:
    """The first episode was cut off where each agent has one action left; the others ended."""
    episodes = scribble(CANVAS, LENGTH, [False, True, True])
    avail = np.array(episodes.encoded_state.avail_actions)
    avail[0, 6] = [False, True, False]
    return episodes._replace(encoded_state=episodes.encoded_state._replace(avail_actions=avail))


BATCH = batch()


@functools.cache
def started() -> LearnerState:
    """Fresh networks whose target lags behind."""
    state = jax.device_get(learner().init(KEY))
    return state._replace(
        target_networks=jax.tree.map(lambda x: np.float32(0.5) * x, state.target_networks)
    )


# --- by the paper ---------------------------------------------------------------------------------


def critic_inputs(episodes: Episodes) -> np.ndarray:
    """State, last actions of all, own observation, actions of the others, number: [B, T+1, N, i].

    In the final state of the first episode both agents take action 1, the only one available.
    """
    observed, eye = jax.tree.map(np.asarray, episodes.encoded_state), np.eye(A + 1)[:, :A]
    actions = np.pad(np.asarray(episodes.actions), ((0, 0), (0, 1), (0, 0)), constant_values=1)
    rows = []
    for b in range(len(LENGTH)):
        for t in range(7):
            last = eye[actions[b, t - 1]] if t > 0 else np.zeros((N, A))
            for i in range(N):
                others = eye[actions[b, t]]
                others[i] = 0
                parts = observed.state[b, t], last, observed.obs[b, t, i], others, np.eye(N)[i]
                rows.append(np.concatenate([p.reshape(-1) for p in parts]))
    return np.float32(rows).reshape(len(LENGTH), 7, N, -1)


def of_taken(q: Any) -> Any:
    """The values of actions taken; of action 1 in final states."""
    actions = np.pad(np.asarray(BATCH.actions), ((0, 0), (0, 1), (0, 0)), constant_values=1)
    return np.take_along_axis(np.asarray(q), actions[: len(q), : q.shape[1], :, None], -1)[..., 0]


@functools.cache
def by_the_paper(in_policy: bool) -> dict[str, Any]:
    state, epsilon = started(), EPSILON if in_policy else 0.0
    actor, critic, _ = state.params
    x, actions = critic_inputs(BATCH), BATCH.actions.astype(np.int32)

    # SARSA(λ) of the target network
    target = plain.lambda_return(
        BATCH, of_taken(state.target_networks.critic.net(x)), CONFIG.gamma, CONFIG.td_lambda
    )

    # a step of the critic for each env step, from the last; what it said before is kept
    @jax.jit
    def critic_gradient(critic: Any, x: Any, actions: Any, y: Any, alive: Any) -> Any:
        def loss(critic: Any) -> Any:
            q = critic.net(x)
            error = jnp.take_along_axis(q, actions[..., None], -1)[..., 0] - y
            return jnp.square(error * alive[:, None]).sum() / (alive.sum() * N), q

        return jax.value_and_grad(loss, has_aux=True)(critic)

    q, losses = np.zeros((len(LENGTH), 6, N, A)), []
    optimiser = plain.Rmsprop(CONFIG, CONFIG.critic_lr)
    for t in reversed(range(6)):
        alive = np.float32(np.array(LENGTH) > t)
        (loss, q[:, t]), grads = critic_gradient(
            critic, x[:, t], actions[:, t], target[:, t], alive
        )
        critic = optimiser.step(grads, critic)
        losses.append(loss)

    # A_i = Q(u) − Σ_u' π_i(u') Q(u_{−i}, u')
    pi = np.asarray(plain.policy(actor, BATCH, epsilon))[:, :-1]
    advantage = of_taken(q) - (pi * q).sum(-1)

    def policy_loss(actor: Any) -> Any:
        pi = plain.policy(actor, BATCH, epsilon)
        gain = plain.mean(advantage * plain.log_taken(pi, BATCH), LENGTH)
        h = plain.mean(plain.entropy(pi), LENGTH)
        return -gain - CONFIG.entropy_coef * h, {"loss_policy": -gain, "entropy": h}

    grads, metrics = jax.jit(jax.grad(policy_loss, has_aux=True))(actor)
    td_error = np.abs(of_taken(q) - target)
    return {
        "actor": plain.Rmsprop(CONFIG, CONFIG.lr).step(grads, actor),
        "critic": critic,
        "td_error_abs": td_error.mean(-1),
        "metrics": metrics
        | {
            "loss_critic": np.mean(losses),
            "advantage_abs": plain.mean(np.abs(advantage), LENGTH),
            "td_error_abs": plain.mean(td_error, LENGTH),
            "q_taken_mean": plain.mean(of_taken(q), LENGTH),
            "target_mean": plain.mean(target, LENGTH),
            "grad_norm": plain.norm(grads),
        },
    }


@functools.cache
def updated(in_policy: bool) -> tuple[LearnerState, Any, Any]:
    update = jax.jit(learner(epsilon_in_policy=in_policy).update)
    return update(started(), Batch(BATCH, np.ones(3), epsilon=EPSILON), KEY)


IN_POLICY = pytest.mark.parametrize("in_policy", [False, True], ids=["on top", "in the policy"])


@IN_POLICY
def test_the_critic_fits_sarsa_lambda_of_the_target_network_step_by_step(in_policy: bool) -> None:
    plain.assert_close(updated(in_policy)[0].params.critic, by_the_paper(in_policy)["critic"])


@IN_POLICY
def test_policies_climb_the_counterfactual_advantage_and_their_entropy(in_policy: bool) -> None:
    plain.assert_close(updated(in_policy)[0].params.actor, by_the_paper(in_policy)["actor"])


@IN_POLICY
def test_metrics_are_those_of_the_update(in_policy: bool) -> None:
    metrics, expected = updated(in_policy)[1], by_the_paper(in_policy)["metrics"]
    plain.assert_close({name: metrics[name] for name in expected}, expected)
    assert metrics["valid_steps"] == sum(LENGTH)


def test_td_errors_are_those_of_the_actions_taken_and_zero_on_padding() -> None:
    mask = np.arange(6) < np.array(LENGTH)[:, None]
    expected = np.where(mask, by_the_paper(False)["td_error_abs"], 0)
    np.testing.assert_allclose(updated(False)[2], expected, rtol=1e-4)


def test_where_an_episode_was_cut_off_it_goes_on_with_actions_drawn_from_the_policy() -> None:
    avail = BATCH.encoded_state.avail_actions.copy()
    avail[0, 6] = True
    episodes = BATCH._replace(encoded_state=BATCH.encoded_state._replace(avail_actions=avail))
    update = jax.jit(learner(td_lambda=0.0).update)

    def target_mean(seed: int) -> float:
        out = update(started(), Batch(episodes, np.ones(3)), jax.random.key(seed))
        return float(out[1]["target_mean"])

    assert len({round(target_mean(seed), 5) for seed in range(12)}) > 3


# --- what the critic sees -------------------------------------------------------------------------

SEEN = Observation(*(np.asarray(x)[:, 2] for x in BATCH.encoded_state))
ACTIONS, LAST = np.array([[0, 1], [2, 2], [1, 0]]), np.array([[1, 1], [0, 2], [-1, -1]])
critic_function = jax.jit(_critic_function)


def test_an_agents_own_action_changes_nothing_in_the_values_of_its_actions() -> None:
    _, q = critic_function(started().params.critic, SEEN, ACTIONS, LAST)
    _, other = critic_function(
        started().params.critic, SEEN, (ACTIONS + np.array([1, 0])) % A, LAST
    )
    np.testing.assert_array_equal(other[:, 0], q[:, 0])
    assert (np.abs(other[:, 1] - q[:, 1]).max(-1) > 1e-4).all()


def test_the_value_taken_is_that_of_the_agents_own_action() -> None:
    taken, q = critic_function(started().params.critic, SEEN, ACTIONS, LAST)
    np.testing.assert_array_equal(
        taken, np.take_along_axis(np.asarray(q), ACTIONS[..., None], -1)[..., 0]
    )


@pytest.mark.parametrize("agent", [0, 1])
def test_the_last_actions_of_all_agents_are_seen(agent: int) -> None:
    _, q = critic_function(started().params.critic, SEEN, ACTIONS, LAST)
    last = LAST.copy()
    last[:, agent] = (LAST[:, agent] + 1) % A
    _, other = critic_function(started().params.critic, SEEN, ACTIONS, last)
    assert (np.abs(other - q).max(-1) > 1e-4).all()
