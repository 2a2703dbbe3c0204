"""Which auxiliary networks there are, and how they start and learn."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from macpo.conformance.canvas import CANVAS, Canvas
from macpo.learners.auxiliary import N_KEYS, Auxiliary, auxiliary_networks
from macpo.learners.central_critic import CentralCritic
from macpo.nets.value_network import central_value

SIGNALS = {
    "q_star": "central_critic",
    "next_error_estimate": "error",
    "log_density_ratio": "density_ratio",
}
ALL = tuple(SIGNALS)


def auxiliary(*needs: str, target_rate: float = 0.0, **options: Any) -> Auxiliary:
    make_value = functools.partial(central_value, CANVAS, 4, 4)
    central_critic = CentralCritic(make_value, target_rate=target_rate)
    return Auxiliary(auxiliary_networks(needs, Canvas(CANVAS), central_critic, 0.9), **options)


@pytest.mark.parametrize(("signal", "name"), SIGNALS.items())
def test_a_network_exists_where_its_signal_is_needed(signal: str, name: str):
    assert [network.name for network in auxiliary("q", signal).networks] == [name]


def test_no_network_depends_on_which_others_exist():
    keys = jax.random.split(jax.random.key(0), N_KEYS)
    together = auxiliary(*ALL).init(keys)
    for signal, name in SIGNALS.items():
        alone = auxiliary(signal).init(keys)
        jax.tree.map(np.testing.assert_array_equal, alone, {name: together[name]})


def test_those_without_an_optimiser_of_their_own_share_the_learners():
    networks = {"central_critic": 1, "error": 2, "density_ratio": 3}
    assert auxiliary(*ALL).shared(networks) == {"central_critic": 1}
    assert auxiliary(*ALL, optimiser=optax.sgd(1.0)).shared(networks) == {}


@pytest.mark.parametrize(("lag", "rate", "expected"), [(0, 1.0, 3.0), (2, 0.25, 1.5)])
def test_a_target_network_follows_at_its_rate(lag: float, rate: float, expected: float):
    networks = auxiliary("q_star", target_rate=rate)
    params = {"central_critic": np.array(3.0)}  # any pytree
    targets = jax.tree.map(lambda x: x - lag, networks.init_targets(params))
    still = jax.tree.map(jnp.zeros_like, params)
    new, targets, _ = networks.apply_gradients(still, {}, params, targets)
    assert new == params and targets == {"central_critic": expected}


def test_the_error_networks_target_moves_by_half_a_percent_of_the_distance():
    networks, params = auxiliary("next_error_estimate"), {"error": np.array(3.0)}
    still, opt_states = {"error": np.array(0.0)}, networks.init_optimisers(params)
    new, targets, _ = networks.apply_gradients(still, opt_states, params, {"error": np.array(1.0)})
    assert new == params
    np.testing.assert_allclose(targets["error"], 1.01)


@pytest.mark.parametrize(("buffer_size", "window"), [(2000, 100), (200, 32)])
def test_a_density_ratio_reads_a_batch_from_the_newest_twentieth(buffer_size: int, window: int):
    recent = auxiliary("log_density_ratio").recent_episodes(32, buffer_size)
    assert recent == (32, window)
    assert auxiliary("q_star", "next_error_estimate").recent_episodes(32, buffer_size) is None
