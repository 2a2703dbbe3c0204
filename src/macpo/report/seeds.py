"""A trained seed, from whatever records it was read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from macpo.field_types import Settings

IMPORTED = "imported"
"""The section of an imported seed's experiment that says from which format it was read."""


class Curve(NamedTuple):
    """A metric of one seed, sorted by env steps; values need not be finite."""

    env_steps: Int[np.ndarray, " T"]
    """Of a seed that has learned offline: updates (`macpo.runs.record.reached`)."""
    values: Float[np.ndarray, " T"]


@dataclass(frozen=True)
class TrainedSeed:
    """What one seed of a run has recorded."""

    directory: Path
    """Of the run; an imported seed's may be a file."""
    seed: int
    experiment: Settings
    """As it is in the file; an imported one as far as it is known, and `IMPORTED`."""
    evaluations: Mapping[str, Curve]
    """By metric."""
    training: Mapping[str, Curve]
    """By metric: those of `DIAGNOSTICS`."""
    env_steps: int
    updates: int
    wall_s: float
    """Of the whole run, over all of its sessions; NaN if unknown."""
    made_by: str
    """Versions and device; empty if unknown."""
    arm: str = ""
    """Of a study."""
    absolute: Mapping[str, float] = field(default_factory=dict)
    """The absolute metrics; empty if the run has not ended or has none."""
    notes: tuple[str, ...] = ()
    """Sentences about what could not be read of the run."""

    @property
    def done(self) -> int:
        """How long it was trained: env steps, or the updates of one that has learned offline."""
        return self.env_steps or self.updates

    @property
    def unit(self) -> str:
        """Of what it has `done`, in words."""
        return "env steps" if self.env_steps else "updates"
