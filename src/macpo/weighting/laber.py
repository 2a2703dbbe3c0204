"""LaBER: pick few steps of a large batch by priority, and correct exactly for the picking.

The batch is the large one. A share of its steps is picked with probability ∝ |δ|, and each pick
counts mean(|δ|)/|δ|. The expected loss is the unweighted one, whatever the priorities, so this is
the unbiased twin of weighting by |δ|. Picks are systematic (one random number, equal spacing),
which keeps the expected number of picks of each step and lowers their variance.

Source: Lahire et al. 2022, "Large Batch Experience Replay" (ICML), the variant "mean".
"""

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float

from macpo.bounds import Bounds
from macpo.weighting.arrays import Array, Namespace
from macpo.weighting.factors import Factor, log
from macpo.weighting.normalise import Normalise, masked_mean
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class LaBER(Weighting):
    """Steps picked ∝ |δ|, each pick counting mean(|δ|)/|δ| (LaBER, Lahire et al. 2022).

    One of these two steps is picked. The first one, with probability ¼, then counts for four:

    >>> import numpy as np
    >>> delta = np.array([[1.0, 3.0]])
    >>> LaBER(share=0.5)(q=delta, target=0 * delta, uniform_noise=0.9, mask=np.ones((1, 2)))
    array([[4., 0.]])
    """

    share: Annotated[float, Bounds(above=0, at_most=1)] = 0.25
    """Picks as a share of the batch's valid steps; the paper draws four times its batch."""
    normalise: Normalise = "none"
    """`none` is exactly unbiased; the other modes are not."""

    def factors(self) -> tuple[Factor, ...]:
        """The picks alone; they need one random number per batch."""

        def log_weight(s: Signals, xp: Namespace) -> Array:
            size = xp.abs(s.td_error)
            n_valid = xp.sum(xp.astype(s.mask, size.dtype))
            mean = masked_mean(size, s.mask)
            n_picks = xp.ceil(self.share * n_valid)
            picks = times_picked(size, s.uniform_noise, n_picks, xp)
            counts = (n_valid / xp.where(n_picks > 0, n_picks, xp.ones_like(n_picks))) * picks
            ratio = mean / xp.where(size > 0, size, xp.ones_like(size))
            # without any error there are no priorities: all steps count
            return log(xp.where(mean == 0, xp.ones_like(size), counts * ratio), xp)

        return (Factor("picked", ("q", "target", "uniform_noise"), log_weight),)


Config = LaBER


def times_picked(
    p: Float[Array, "*B"],
    uniform_noise: Float[Array, ""],
    n_picks: Float[Array, ""],
    xp: Namespace,
) -> Float[Array, "*B"]:
    """How often each entry is picked by `n_picks` equally spaced points on Σp.

    The mean over `uniform_noise` is n_picks·p/Σp.
    """
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
