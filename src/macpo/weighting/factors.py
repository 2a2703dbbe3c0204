"""What weights are made of: functions of signals, in the log domain, to be added."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from array_api_compat import is_numpy_array
from jaxtyping import Float

from macpo.weighting.arrays import Array, Namespace
from macpo.weighting.signals import Signals

Likelihood: TypeAlias = Literal["paper", "additive", "joint", "none"]


class Factor(NamedTuple):
    """A named part of a weight.

    >>> import numpy as np
    >>> from macpo.weighting import Signals, factors
    >>> signals = Signals(np.ones((1, 1)), q=np.array([[4.0]]), target=np.array([[0.0]]))
    >>> float(np.exp(factors.bellman(0.5).log(signals, np))[0, 0])
    2.0
    """

    name: str
    needs: tuple[str, ...]
    """The signals that must be given; those it reads, and those that its meaning rests on."""
    log: Callable[[Signals, Namespace], Array]
    """(signals, array namespace) → log-weights [B, T], or [B, T, N] if `per_agent`."""
    per_agent: bool = False
    """Whether each agent has a weight of its own."""


def bellman(exponent: float = 1.0, epsilon: float = 0.0) -> Factor:
    """(|δ| + ε)^exponent: the Bellman error.   Source: MAC-PO, Theorem 1; with exponent: PER."""

    def log(s: Signals, xp: Namespace) -> Array:
        return power(xp.abs(s.td_error) + epsilon, exponent, xp)

    return Factor("bellman", ("q", "target"), log)


def value(temperature: float = 1.0) -> Factor:
    """exp(−|Q_tot − Q*| / temperature): value enhancement.   Source: MAC-PO, Theorem 1."""

    def log(s: Signals, xp: Namespace) -> Array:
        gap = xp.abs(s.q - s.q_star)
        # an infinite gap would get weight 0, which hides it
        return -xp.where(gap < math.inf, gap, math.nan) / temperature

    return Factor("value", ("q", "q_star"), log)


def joint(likelihood: Likelihood = "paper") -> Factor:
    """The joint action probability term.   Source: MAC-PO, Eq. (7), for `paper`.

    The derivation of Theorem 1, repeated for a product of policies, gives `additive`:
    1 + Σ_i (1 − π_i). A single agent that chooses the joint action, as in ReMERN, gives `joint`:
    2 − Π_i π_i. With one agent all three are 2 − π.
    """
    terms: dict[str, Callable[[Array, Namespace], Array]] = {
        "paper": joint_probability,
        "additive": lambda pi, xp: 1 + xp.sum(1 - pi, axis=-1),
        "joint": lambda pi, xp: 2 - xp.prod(pi, axis=-1),
        "none": lambda pi, xp: xp.ones_like(pi[..., 0]),
    }
    term = terms[likelihood]
    needs = () if likelihood == "none" else ("pi_taken",)

    def log(s: Signals, xp: Namespace) -> Array:
        if likelihood == "none":
            return xp.zeros_like(s.mask, dtype=xp.float32)
        return xp.log(term(s.pi_taken, xp))

    return Factor("joint", needs, log)


def central(alpha: float) -> Factor:
    """1 where the action is greedy or y > Q*(greedy), else α.   Source: Weighted QMIX, Eq. (8).

    The target y must come from an unrestricted value, hence `q_star`.
    """

    def log(s: Signals, xp: Namespace) -> Array:
        full = xp.ones_like(s.q)
        keep = s.is_greedy | (s.target > s.q_star_greedy)
        return xp.log(xp.where(keep, full, alpha * full))

    return Factor("central", ("q", "target", "is_greedy", "q_star_greedy", "q_star"), log)


def on_policy(temperature: float) -> Factor:
    """(d^π/μ)^(1/temperature): how on-policy a step is.   Source: LFIW (Sinha et al. 2022).

    The factor of Theorem 1 that MAC-PO leaves out. The logit of a classifier that tells recent play
    from replay is the log of their density ratio; it is clipped to ±10.
    """

    def log(s: Signals, xp: Namespace) -> Array:
        return tempered_log_density_ratio(s, temperature, xp)

    return Factor("on_policy", ("log_density_ratio",), log)


def tempered_log_density_ratio(
    s: Signals, temperature: float, xp: Namespace
) -> Float[Array, "B T"]:
    """z / temperature of the density ratio's logit z, clipped to ±10."""
    return xp.clip(s.log_density_ratio, -10.0, 10.0) / temperature


def joint_probability(pi: Float[Array, "*B N"], xp: Namespace) -> Float[Array, "*B"]:
    """f = 1 + Σ_i Π_{j≠i} π_j − n Π_i π_i, always within [1, 2].   Source: MAC-PO, Eq. (7).

    This equals one plus the probability that exactly one agent, drawing from its own policy, would
    deviate from the stored joint action. Two groups of agents merge by the probabilities of zero
    and of one deviation in each: O(N) products in all, without division or the subtraction of
    large numbers.
    """
    none, one = pi, 1 - pi  # a group of one agent: no deviation, or one
    while (n := none.shape[-1]) > 1:
        half = n // 2
        a, b, odd = slice(0, half), slice(half, 2 * half), slice(2 * half, n)
        merged = none[..., a] * none[..., b]
        either = one[..., a] * none[..., b] + none[..., a] * one[..., b]
        if n % 2:
            merged = xp.concat([merged, none[..., odd]], axis=-1)
            either = xp.concat([either, one[..., odd]], axis=-1)
        none, one = merged, either
    return 1 + one[..., 0]


def power(x: Float[Array, "*B"], exponent: float, xp: Namespace) -> Float[Array, "*B"]:
    """log x^exponent of x ≥ 0, with 0⁰ = 1."""
    return xp.zeros_like(x) if exponent == 0 else exponent * log(x, xp)


def log(x: Float[Array, "*B"], xp: Namespace) -> Float[Array, "*B"]:
    """log x of x ≥ 0: −∞ at 0, about which only NumPy would warn."""
    if not is_numpy_array(x):
        return xp.log(x)
    with np.errstate(divide="ignore"):
        return np.log(x)
