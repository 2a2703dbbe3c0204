"""Signals at random, for a weighting to weigh: every one there is, of episodes that end early."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool

from macpo.types import AnyArray
from macpo.weighting.signals import Signals

LENGTHS = np.array([7, 5, 5, 3, 1, 0])
N_STEPS, N_AGENTS = 7, 4
MASK: Bool[np.ndarray, "B T"] = np.arange(N_STEPS) < LENGTHS[:, None]


def draw_signals(seed: int = 0) -> Signals:
    """Signals [B, T] and [B, T, N] in double precision, whose values single precision holds too."""
    rng = np.random.default_rng(seed)
    shape = MASK.shape

    def short(x: AnyArray) -> AnyArray:
        return np.float64(np.float32(x))

    q, target, q_star, greedy_value, of_target_net = short(2 * rng.normal(size=(5, *shape)))
    return Signals(
        mask=MASK,
        q=q,
        target=target,
        q_star=q_star,
        pi_taken=short(rng.random((*shape, N_AGENTS)) ** 0.25),
        is_greedy=rng.random(shape) < 0.5,
        q_star_greedy=greedy_value,
        q_of_target_net=of_target_net,
        dq_tot_dq=short(rng.random((*shape, N_AGENTS))),
        error_estimate=short(rng.exponential(4, shape)),
        next_error_estimate=short(rng.exponential(4, shape)),
        log_density_ratio=short(8 * rng.normal(size=shape)),  # some beyond ±10
        uniform_noise=short(rng.random()),
    )


def change_steps(signals: Signals, change: Callable[[AnyArray], AnyArray]) -> Signals:
    """The signals with `change` applied to all that belong to steps, the mask among them."""
    values = signals._asdict()
    kept = ("uniform_noise", "running_means")
    return Signals(**{k: x if k in kept or x is None else change(x) for k, x in values.items()})
