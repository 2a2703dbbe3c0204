"""Uniform weights: plain replay."""

from dataclasses import dataclass

from macpo.weighting.base import Scheme


@dataclass(frozen=True)
class Config:
    """Every stored step counts the same."""

    def make(self) -> Scheme:
        """The scheme; it needs no signal and no normalisation."""
        return Scheme("uniform", factors=(), needs=(), normalise="none")
