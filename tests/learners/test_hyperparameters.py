"""Hyper-parameters that all algorithms share: their bounds, and the optimisers they describe."""

import functools
from typing import Any

import jax
import numpy as np
import pytest

from macpo.errors import UsageError
from macpo.learners.hyperparameters import Hyperparameters, optimiser_step

CLIPPED_NEVER = 0.0


def steps(config: Hyperparameters, *grads: list[float], lr: float | None = None) -> np.ndarray:
    """Where parameters that start at 0 are after a step along each gradient."""
    optimiser = config.make_optimiser(lr)
    params = np.zeros(len(grads[0]), np.float32)
    opt_state = optimiser.init(params)
    step = jax.jit(functools.partial(optimiser_step, optimiser))
    for grad in grads:
        params, opt_state = step(np.array(grad, np.float32), opt_state, params)
    return np.asarray(params)


def test_rmsprop_adds_eps_outside_the_root():
    config = Hyperparameters(
        optimiser="rmsprop", optim_alpha=0.75, optim_eps=1.0, lr=0.1, grad_norm_clip=CLIPPED_NEVER
    )
    # the second moment is ¼ · 4² = 4, and then ¾ · 4 + ¼ · 2² = 4
    first = -0.1 * 4 / (2 + 1)
    np.testing.assert_allclose(steps(config, [4.0]), [first], rtol=1e-6)
    second = first - 0.1 * 2 / (2 + 1)
    np.testing.assert_allclose(steps(config, [4.0], [2.0]), [second], rtol=1e-6)


def test_adam_adds_eps_outside_the_root_of_the_corrected_moment():
    config = Hyperparameters(optim_eps=1.0, lr=0.1, grad_norm_clip=CLIPPED_NEVER)
    # after one step the corrected moments are g and g²
    np.testing.assert_allclose(steps(config, [3.0]), [-0.1 * 3 / (3 + 1)], rtol=1e-5)


@pytest.mark.parametrize("optimiser", ["adam", "rmsprop"])
def test_the_norm_of_the_whole_gradient_is_clipped_before_the_step(optimiser: Any):
    options: dict[str, Any] = {"optimiser": optimiser, "optim_eps": 1.0}
    clipped = Hyperparameters(grad_norm_clip=0.5, **options)
    free = Hyperparameters(grad_norm_clip=CLIPPED_NEVER, **options)
    # a norm of 5 becomes ½
    np.testing.assert_allclose(steps(clipped, [3.0, 4.0]), steps(free, [0.3, 0.4]), rtol=1e-5)
    np.testing.assert_allclose(steps(clipped, [0.03, 0.04]), steps(free, [0.03, 0.04]), rtol=1e-5)


@pytest.mark.parametrize("norm", [0.0, -1.0])
def test_a_norm_of_zero_or_less_clips_nothing(norm: float):
    config = Hyperparameters(grad_norm_clip=norm, optim_eps=1.0, lr=0.1)
    np.testing.assert_allclose(steps(config, [1e4]), [-0.1], rtol=1e-3)


def test_networks_may_learn_at_a_rate_of_their_own():
    config = Hyperparameters(lr=0.1, optim_eps=1.0)
    np.testing.assert_allclose(steps(config, [1.0], lr=0.3), 3 * steps(config, [1.0]), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0}, "lr must be above 0, not 0.0."),
        ({"gamma": 1.01}, "gamma must be between 0 and 1, not 1.01."),
        ({"optimiser": "sgd"}, "optimiser must be one of 'adam', 'rmsprop', not 'sgd'."),
        ({"rnn_hidden_dim": 0}, "rnn_hidden_dim must be at least 1, not 0."),
    ],
)
def test_settings_out_of_bounds_are_refused(options: dict[str, Any], message: str):
    with pytest.raises(UsageError) as refused:
        Hyperparameters(**options)
    assert str(refused.value).endswith(message)
