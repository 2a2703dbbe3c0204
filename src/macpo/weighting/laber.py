"""LaBER: pick few steps of a large batch by priority, and correct exactly for the picking.

The batch is the large one. A share of as many steps is picked with probability ∝ |δ|, and each
pick counts mean(|δ|)/|δ|: the expected loss is the unweighted one, whatever the priorities, so this
is the unbiased twin of weighting by |δ|. Picks are systematic (one random number, equal spacing),
which keeps the expected number of picks of each step and lowers their variance.

Source: Lahire et al. 2022, "Large Batch Experience Replay" (ICML), the variant "mean".
"""

from dataclasses import dataclass
from typing import Any

from macpo.errors import require
from macpo.weighting.factors import Factor, log
from macpo.weighting.normalise import Normalise, masked_mean
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Options, Weighting


@dataclass(frozen=True)
class Config(Options):
    """Steps picked ∝ |δ|, each pick counting mean(|δ|)/|δ| (LaBER, Lahire et al. 2022)."""

    share: float = 0.25
    """Picks as a share of the batch's valid steps; the paper draws four times its batch."""
    normalise: Normalise = "none"
    """`none` is exactly unbiased; to normalise is not."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.share <= 1, f"laber: share must be in (0, 1], not {self.share}.")

    def make(self) -> Weighting:
        """The scheme; it needs one random number a batch."""

        def log_weight(s: Signals, xp: Any) -> Any:
            size = xp.abs(s.q - s.target)
            n_valid = xp.sum(xp.astype(s.mask, size.dtype))
            mean = masked_mean(size, s.mask, xp)
            n_picks = xp.ceil(self.share * n_valid)
            picks = times_picked(size, s.uniform_noise, n_picks, xp)
            counts = (n_valid / xp.where(n_picks > 0, n_picks, xp.ones_like(n_picks))) * picks
            ratio = mean / xp.where(size > 0, size, xp.ones_like(size))
            # nothing to choose by: all steps count
            return log(xp.where(mean == 0, xp.ones_like(size), counts * ratio), xp)

        return self.scheme(Factor("picked", ("q", "target", "uniform_noise"), log_weight))


def times_picked(p: Any, uniform_noise: Any, n_picks: Any, xp: Any) -> Any:
    """How often each entry is picked by `n_picks` equally spaced points on Σp; n_picks·p/Σp on
    average over `uniform_noise`."""
    flat = xp.reshape(p, (-1,))
    ends = xp.cumulative_sum(flat)
    total = ends[-1]
    points = ends / xp.where(total > 0, total, xp.ones_like(total)) * n_picks
    uniform_noise = xp.asarray(uniform_noise, dtype=points.dtype)
    passed = xp.minimum(xp.floor(points + uniform_noise), n_picks)  # a sum may round up
    before = xp.concat([xp.zeros_like(passed[:1]), passed[:-1]])
    picks = xp.reshape(passed - before, p.shape)
    # sums made in parallel may be out of order by a rounding error
    return xp.where((p == 0) | (picks < 0), xp.zeros_like(p), picks)
