"""Uniform weights: plain replay."""

from dataclasses import dataclass

from macpo.weighting.base import Options, Scheme
from macpo.weighting.normalise import Normalise


@dataclass(frozen=True)
class Config(Options):
    """Every stored step counts the same."""

    normalise: Normalise = "none"
    """Of no consequence for equal weights; with `on_policy` see there."""

    def make(self) -> Scheme:
        """The scheme: no factor, no signal."""
        return self.scheme()
