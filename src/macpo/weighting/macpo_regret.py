"""MAC-PO with the weights that its objective asks for: Bellman error × regret × joint probability.

Line (17a) of MAC-PO's appendix B, kept with its positive parts, bounds the regret by

    J = E_{s ~ d^π_k} [ E_{u ~ π*} (Q* − Q_k)₊ + E_{u ~ π_k} (Q_k − Q*)₊ ]

What counts is to underestimate what the optimal policy takes, and to overestimate what the current
policy takes. The paper then drops π* and the signs. Kept, they give a first-order optimal weight
(`first_order_weights`). As policies become greedy it approaches |δ| for the optimal action where
that is underestimated and for the greedy one where that is overestimated, and 0 for all others.
Nobody knows which action is optimal: it is the greedy one or one that beats it. This is CW-QMIX's
condition, and |δ| times CW-QMIX's weight is what is left, with its floor α for all others. (So
`--algorithm cwqmix`, which has that weight already, would apply it twice; this is for QMIX.)

Source: derived from Mei et al. 2023, appendix B; see docs/paper_and_code.md.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from jaxtyping import Float

from macpo.bounds import Bounds, NonNegative
from macpo.weighting.arrays import Array, Namespace
from macpo.weighting.factors import Factor, Likelihood, bellman, central, joint
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import BoltzmannWeighting

Policies: TypeAlias = Literal["greedy", "boltzmann"]


@dataclass(frozen=True)
class MacPORegret(BoltzmannWeighting):
    """|δ| · κ · f(π), κ = 1 where the action is greedy or y > Q*(greedy), else α.

    A rare catch that is worth 10, a mistake that nobody means to repeat, and a greedy action:

    >>> import numpy as np
    >>> weigh = MacPORegret(normalise="none")
    >>> weights = weigh(
    ...     q=np.array([[0.0, 0.0, 1.0]]),
    ...     target=np.array([[10.0, -2.0, 0.5]]),
    ...     q_star=np.array([[10.0, -2.0, 0.5]]),
    ...     is_greedy=np.array([[False, False, True]]),
    ...     q_star_greedy=np.zeros((1, 3)),
    ...     pi_taken=np.array([[[1 / 6, 1 / 6], [0.5, 0.5], [1.0, 1.0]]]),
    ...     mask=np.ones((1, 3)),
    ... )
    >>> weights.round(4)
    array([[12.7778,  0.3   ,  0.5   ]])
    """

    alpha: Annotated[float, Bounds(above=0, at_most=1)] = 0.1
    """Floor of κ; 0.1 as in Weighted QMIX for Predator-Prey."""
    exponent: NonNegative = 1.0
    """Of |δ|; smaller ones weigh more steps of a batch, 0 gives CW-QMIX's weights times f."""
    policies: Policies = "greedy"
    """π* and π_k in κ. `greedy`: the rule above; `boltzmann`: those at `policy_temperature`, as
    far as the stored action shows them (`soft_regret`)."""
    likelihood: Likelihood = "paper"
    """f, as for MAC-PO: `paper`, `additive`, `joint` or `none`."""

    def factors(self) -> tuple[Factor, ...]:
        """Bellman error, regret and joint action probability."""
        is_greedy = self.policies == "greedy"
        regret = central if is_greedy else lambda a: soft_regret(a, self.policy_temperature)
        return (bellman(self.exponent), regret(self.alpha), joint(self.likelihood))


def soft_regret(alpha: float, temperature: float) -> Factor:
    """max(α, κ), where κ is the part of `first_order_weights` besides |δ|.

    Only the stored action's values are known. So an action that is not overestimated has κ = π*,
    its probability relative to the better of itself and the greedy one under a Boltzmann policy of
    Q*. An overestimated one has κ = π_k [1 + (O − Ō)/T] with the product π_k of the agents'
    probabilities and Ō = π_k O, its own share of that mean.
    """

    def log_kappa(s: Signals, xp: Namespace) -> Array:
        pi = xp.prod(s.pi_taken, axis=-1)
        gap = s.q_star_greedy - s.target
        falls_short = (gap > 0) & ~s.is_greedy
        optimal = xp.exp(-xp.where(falls_short, gap, 0.0) / temperature)
        above_mean = s.td_error * (1 - pi)  # O − Ō
        kappa = xp.where(s.td_error > 0, pi * (1 + above_mean / temperature), optimal)
        floor = alpha * xp.ones_like(kappa)
        return xp.log(xp.where(kappa > floor, kappa, floor))

    needs = ("q", "target", "is_greedy", "q_star_greedy", "q_star", "pi_taken")
    return Factor("regret", needs, log_kappa)


def first_order_weights(
    q: Float[Array, "*B A"],
    q_star: Float[Array, "*B A"],
    temperature: float,
    xp: Namespace,
) -> Float[Array, "*B A"]:
    """How fast a state's J falls when a joint action is learned with y = Q*, for all A of them.

    |δ| · { π*(u) + π_k(u) Ō/T where Q_k < Q*; π_k(u) [1 + (O − Ō)/T]₊ where Q_k > Q* }, with
    O = (Q_k − Q*)₊ and Ō its mean under π_k, the Boltzmann policy of Q_k at T; π* is greedy, and
    uniform over actions that are equally good.

    >>> import numpy as np
    >>> q, q_star = np.array([0.0, 0.0]), np.array([1.0, -1.0])
    >>> first_order_weights(q, q_star, 1.0, np)  # Ō = ½
    array([1.25, 0.75])
    """
    error = q - q_star
    pi = xp.exp((q - xp.max(q, axis=-1, keepdims=True)) / temperature)
    pi = pi / xp.sum(pi, axis=-1, keepdims=True)
    best = xp.max(q_star, axis=-1, keepdims=True)
    optimal = xp.astype(q_star == best, q.dtype)
    optimal = optimal / xp.sum(optimal, axis=-1, keepdims=True)
    over = xp.where(error > 0, error, 0.0)
    mean = xp.sum(pi * over, axis=-1, keepdims=True)
    rising = 1 + (over - mean) / temperature
    under = optimal + pi * mean / temperature
    kappa = xp.where(error < 0, under, pi * xp.where(rising > 0, rising, 0.0))
    return xp.abs(error) * kappa


Config = MacPORegret
