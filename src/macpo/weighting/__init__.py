"""Replay weightings: from TD errors, values and policies to one weight per stored step.

    scheme = macpo.weighting.make("macpo")
    w = scheme(q=q, target=y, q_star=q_star, pi_taken=pi, mask=mask)

Each scheme is one module with a frozen `Config`; see `macpo.weighting.weighting` for the contract.
"""

from typing import Any

from macpo import registry
from macpo.weighting.boltzmann import taken_probs, weighted_loss
from macpo.weighting.signals import MEANING, Signals
from macpo.weighting.weighting import Weighting, effective_sample_size

__all__ = [
    "MEANING",
    "Signals",
    "Weighting",
    "available",
    "effective_sample_size",
    "make",
    "taken_probs",
    "weighted_loss",
]


def make(name: str, **options: Any) -> Weighting:
    """The weighting called `name` (see `macpo list weightings`), ready to be called."""
    return registry.make_config("weighting", name, **options).make()


def available() -> tuple[str, ...]:
    """The names that `make` knows."""
    return tuple(registry.discover("weighting"))
