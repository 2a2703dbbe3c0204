"""What COMA, VDAC and MAPPO share: acting, and what must not matter when they learn."""

import dataclasses
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.algorithms.coma import Config as Coma
from macpo.algorithms.mappo import Config as Mappo
from macpo.algorithms.vdac import Config as Vdac
from macpo.conformance.canvas import CANVAS, Canvas, scribble, spoiled
from macpo.errors import UsageError
from macpo.kernels.packing import unpack
from macpo.learners.actor_critic import entropy
from macpo.learners.base import LearnerState
from macpo.learners.episodes import pack_episodes, transitions
from macpo.types import Batch, Episodes
from macpo.weighting.uniform import Config as Uniform
from tests.support import plain
from tests.support.updates import update_then_sync

KEY = jax.random.key(0)
LENGTH = [6, 4, 3]
WIDTHS: dict[str, Any] = {"rnn_hidden_dim": 8, "lr": 0.3, **plain.RMSPROP}
CONFIGS = {
    "coma": Coma(critic_hidden_dim=8, critic_lr=0.1, **WIDTHS),
    "vdac": Vdac(mixing_embed_dim=4, hypernet_embed=4, **WIDTHS),
    "mappo": Mappo(critic_hidden_dim=8, epochs=2, **WIDTHS),
}
EVERY = pytest.mark.parametrize("name", CONFIGS)


def without(action: int, episodes: Episodes) -> Episodes:
    """The same episodes where an action is never available, and another one is taken for it."""
    encoded_state, actions = episodes.encoded_state, episodes.actions
    encoded_state = encoded_state._replace(
        avail_actions=encoded_state.avail_actions.at[..., action].set(False)
    )
    return episodes._replace(
        encoded_state=encoded_state, actions=jnp.where(actions == action, 0, actions)
    )


BATCH = without(2, scribble(CANVAS, LENGTH, [False, True, False]))


def learner(name: str) -> Any:
    return CONFIGS[name].make(Canvas(CANVAS), Uniform())


@functools.cache
def started(name: str) -> LearnerState:
    """Fresh networks; the critic's target network lags behind."""
    state = jax.device_get(learner(name).init(KEY))
    targets = jax.tree.map(lambda x: np.float32(0.5) * x, state.target_networks)
    return state._replace(target_networks=targets)


@functools.cache
def update(name: str) -> Any:
    return jax.jit(update_then_sync(learner(name)))


def updated(name: str, episodes: Episodes = BATCH, sync: bool = False) -> Any:
    """(state, metrics, |δ|)."""
    batch = Batch(episodes, np.ones(len(LENGTH)))
    return jax.device_get(update(name)(started(name), batch, KEY, np.array(sync)))


def assert_equal(actual: Any, expected: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


# --- what must not matter -------------------------------------------------------------------------


@EVERY
def test_content_of_padding_changes_nothing(name: str) -> None:
    assert_equal(updated(name, spoiled(BATCH)), updated(name))


@EVERY
def test_the_head_of_an_action_that_is_never_available_stays_as_it_was(name: str) -> None:
    before, after = started(name).params.actor.head, updated(name)[0].params.actor.head
    assert_equal((after.weight[:, 2], after.bias[2]), (before.weight[:, 2], before.bias[2]))
    assert (after.bias[:2] != before.bias[:2]).all()


def with_final_state(episode: int, factor: float) -> Episodes:
    """The batch, but for the final state of an episode."""
    end, encoded_state = LENGTH[episode], BATCH.encoded_state
    obs = encoded_state.obs.at[episode, end].multiply(factor)
    state = encoded_state.state.at[episode, end].multiply(factor)
    return BATCH._replace(encoded_state=encoded_state._replace(obs=obs, state=state))


@EVERY
def test_what_comes_after_a_terminated_episode_changes_nothing(name: str) -> None:
    assert_equal(updated(name, with_final_state(1, -3.0)), updated(name))


@EVERY
@pytest.mark.parametrize("episode", [0, 2], ids=["at the limit", "before it"])
def test_a_truncated_episode_goes_on_with_the_value_of_its_final_state(name, episode) -> None:
    td_error, expected = (updated(name, e)[2] for e in (with_final_state(episode, -3.0), BATCH))
    last = LENGTH[episode] - 1
    assert abs(td_error[episode, last] - expected[episode, last]) > 1e-3


@EVERY
def test_all_networks_learn_and_every_number_of_an_update_is_finite(name: str) -> None:
    state, metrics, td_error = updated(name)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((state.params, metrics, td_error)))
    moved = jax.tree.map(lambda x, y: bool((x != y).any()), state.params, started(name).params)
    assert all(jax.tree.leaves(moved))


# --- the target network ---------------------------------------------------------------------------


def test_the_target_critic_stays_until_a_copy_is_asked_for() -> None:
    assert_equal(updated("coma", sync=False)[0].target_networks, started("coma").target_networks)


def test_the_copy_is_of_the_critic_after_the_update() -> None:
    state = updated("coma", sync=True)[0]
    assert_equal(state.target_networks.critic, state.params.critic)


def test_an_update_needs_no_episodes_besides_its_batch() -> None:
    assert learner("coma").recent_episodes(8, 8) is None


# --- acting ---------------------------------------------------------------------------------------

PI = np.array([0.5, 0.375, 0.125])
N_ENVS = 4000


@functools.cache
def acting(name: str, avail: tuple[bool, ...], epsilon: float | None) -> np.ndarray:
    """How often each action is taken where the policy is PI over all actions."""
    params = started(name).params
    head = jax.tree.map(np.zeros_like, params.actor.head)
    head.bias[:3] = np.log(PI)
    params = eqx.tree_at(lambda p: p.actor.head, params, head)
    first = jax.device_get(BATCH.encoded_state)
    observation = jax.tree.map(lambda x: np.repeat(x[:1, 0], N_ENVS, 0), first)
    observation = observation._replace(avail_actions=np.broadcast_to(avail, (N_ENVS, 2, 3)))
    agents = learner(name)
    hidden, nothing = agents.initial_hidden(N_ENVS), np.full((N_ENVS, 2), -1)
    _, actions = jax.jit(agents.act)(params, KEY, hidden, observation, nothing, epsilon)
    return np.bincount(np.ravel(actions), minlength=3) / np.size(actions)


@pytest.mark.parametrize("name", ["coma", "vdac"])
def test_actions_are_drawn_from_the_policy_over_available_ones(name: str) -> None:
    frequency = acting(name, (True, False, True), 0.0)
    np.testing.assert_allclose(frequency, [0.8, 0, 0.2], atol=0.02)
    assert frequency[1] == 0


def test_exploration_mixes_the_uniform_policy_in() -> None:
    expected = 0.4 * PI + 0.6 / 3
    np.testing.assert_allclose(acting("coma", (True, True, True), 0.6), expected, atol=0.02)


def test_a_test_takes_the_likeliest_available_action() -> None:
    assert acting("coma", (False, True, True), None).tolist() == [0, 1, 0]


# --- parts ----------------------------------------------------------------------------------------


def test_the_last_real_step_of_a_terminated_episode_alone_is_terminal() -> None:
    _, terminal, mask, _ = transitions(BATCH)
    assert mask.sum(1).tolist() == LENGTH
    assert np.argwhere(terminal).tolist() == [[1, 3]]


def test_entropy_of_a_uniform_policy_over_two_of_three_actions_is_log_two() -> None:
    log_pi = np.array([np.log(0.5), -1e30, np.log(0.5)])
    np.testing.assert_allclose(entropy(log_pi), np.log(2), rtol=1e-6)


def test_no_action_is_stored_in_a_final_state_however_short_the_episode() -> None:
    packed = jax.jit(lambda: pack_episodes(Canvas(CANVAS), BATCH))()
    stored = np.asarray(jax.jit(unpack)(packed.packing, packed.actions))
    for b, end in enumerate(LENGTH):
        assert stored[b, end].tolist() == [-1, -1]
        np.testing.assert_array_equal(stored[b, :end], np.asarray(BATCH.actions)[b, :end])


# --- options --------------------------------------------------------------------------------------

REFUSED = {
    Coma: {"critic_lr": 0.0, "critic_hidden_dim": 0, "entropy_coef": -0.1},
    Vdac: {
        "mixer": "max",
        "value_coef": 0.0,
        "entropy_coef": -0.1,
        "mixing_embed_dim": 0,
        "hypernet_embed": -1,
    },
    Mappo: {
        "critic_lr": 0.0,
        "epochs": 0,
        "clip": 0.0,
        "huber_delta": -1.0,
        "critic_hidden_dim": 0,
        "entropy_coef": -0.1,
    },
}
SHARED = {
    "lr": 0.0,
    "optimiser": "sgd",
    "optim_eps": 0.0,
    "rnn_hidden_dim": 0,
    "gamma": 1.1,
    "td_lambda": -0.1,
}


@pytest.mark.parametrize(
    ("config", "name", "value"),
    [(c, *option) for c, own in REFUSED.items() for option in (SHARED | own).items()],
)
def test_impossible_hyper_parameters_are_refused_by_name(config, name, value) -> None:
    with pytest.raises(UsageError, match=rf"^\w+: {name} must .*\.$"):
        config(**{name: value})


@EVERY
@pytest.mark.parametrize("option", ["gamma", "td_lambda"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_discounts_and_lambdas_may_be_nothing_or_everything(name, option, value) -> None:
    assert getattr(dataclasses.replace(CONFIGS[name], **{option: value}), option) == value
