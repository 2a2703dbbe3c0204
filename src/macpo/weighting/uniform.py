"""Uniform weights: plain replay."""

from dataclasses import dataclass

from macpo.weighting.normalise import Normalise
from macpo.weighting.weighting import Options, Weighting


@dataclass(frozen=True)
class Config(Options):
    """Every stored step counts the same."""

    normalise: Normalise = "none"
    """Of no consequence for equal weights; with `on_policy` see there."""

    def make(self) -> Weighting:
        """The scheme: no factor, no signal."""
        return self.scheme()
