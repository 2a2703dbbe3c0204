"""Replay weightings: from TD errors, values and policies to one weight per stored step.

    scheme = macpo.weighting.make("macpo")
    w = scheme(q=q, target=y, q_star=q_star, pi_taken=pi, mask=mask)

Each scheme is one module with a frozen `Config`; see `macpo.weighting.base` for the contract.
"""

from typing import Any

from macpo import registry
from macpo.weighting.base import Scheme, effective_sample_size
from macpo.weighting.policies import taken_probs, weighted_loss
from macpo.weighting.signals import MEANING, Signals

__all__ = [
    "MEANING",
    "Scheme",
    "Signals",
    "available",
    "effective_sample_size",
    "make",
    "taken_probs",
    "weighted_loss",
]


def make(name: str, **options: Any) -> Scheme:
    """The weighting called `name` (see `macpo list weightings`), ready to be called."""
    return registry.make_config("weighting", name, **options).make()


def available() -> tuple[str, ...]:
    """The names that `make` knows."""
    return tuple(registry.discover("weighting"))
