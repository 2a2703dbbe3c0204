"""Replay weightings: from TD errors, values and policies to one weight per stored step.

    w = macpo.weighting.make("macpo")(q=q, target=y, q_star=q_star, pi_taken=pi, mask=mask)

Each scheme is one module with a frozen `Config`; see `macpo.weighting.base` for the contract.
"""

from typing import Any

from macpo import registry
from macpo.weighting.base import Scheme, Signals, effective_sample_size

__all__ = ["Scheme", "Signals", "effective_sample_size", "make"]


def make(name: str, **options: Any) -> Scheme:
    """The weighting called `name` (see `macpo list weightings`), ready to be called."""
    return registry.make_config("weighting", name, **options).make()
