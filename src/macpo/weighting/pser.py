"""PSER: the steps that led to a surprise count with it, the less, the longer before.

p̃_t = max over 0 ≤ k ≤ W of ρ^k |δ_{t+k}|, within an episode. The maximum does not accumulate:
decayed values are not propagated again.

Source: Brittain et al. 2019, "Prioritized Sequence Experience Replay", with their decay and window,
which MAC-PO's section 5.1 also names. There p is stored and refreshed when drawn; here it is
computed afresh for each batch, and their guard against priorities collapsing (η) has nothing to do.
"""

from dataclasses import dataclass
from typing import Any

from macpo.errors import require
from macpo.weighting.factors import Factor, power
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Options, Weighting


@dataclass(frozen=True)
class Config(Options):
    """max_k ρ^k |δ_{t+k}| over the next W steps (PSER, Brittain et al. 2019)."""

    decay: float = 0.4
    """ρ, per step back."""
    window: int = 5
    """W, in env steps: where ρ^W falls to one per cent."""
    alpha: float = 1.0
    """Exponent of the swept error."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.decay <= 1, f"pser: decay must be between 0 and 1, not {self.decay}.")
        require(self.window >= 0, f"pser: window must not be negative, but is {self.window}.")
        require(self.alpha >= 0, f"pser: alpha must not be negative, but is {self.alpha}.")

    def make(self) -> Weighting:
        """The scheme."""

        def log(s: Signals, xp: Any) -> Any:
            swept = sweep(xp.abs(s.q - s.target), s.mask, self.decay, self.window, xp)
            return power(swept, self.alpha, xp)

        return self.scheme(Factor("sequence", ("q", "target"), log))


def sweep(p: Any, mask: Any, decay: float, window: int, xp: Any) -> Any:
    """p̃_t = max_{0≤k≤W} ρ^k p_{t+k}; neither across padding nor from it.   Source: PSER."""
    best, later, connected = p, p, mask
    nothing = xp.zeros_like(p[..., :1])
    for k in range(1, min(window, p.shape[-1] - 1) + 1):
        later = xp.concat([later[..., 1:], nothing], axis=-1)
        connected = xp.concat([connected[..., 1:], nothing != 0], axis=-1) & mask
        best = xp.maximum(best, xp.where(connected, decay**k * later, xp.zeros_like(p)))
    return best
