"""What a weighting is: factors in the log domain, added, exponentiated, normalised.

Everything is written against the array API, so NumPy, JAX and torch arrays work alike. Weights are
constants: no gradient flows into them. They are exactly zero on padding, whatever it holds. A
weighting is pure: the running means that change from batch to batch are a state that is passed in
and returned. Networks that a weighting needs belong to the learner; only their outputs arrive here.
"""

import functools
import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from array_api_compat import array_namespace
from jaxtyping import Bool, Float, Int

from macpo import registry
from macpo.bounds import NonNegative, Positive, check_fields
from macpo.weighting import boltzmann
from macpo.weighting.arrays import Array, Namespace, as_flags, stop_gradient
from macpo.weighting.factors import Factor, on_policy
from macpo.weighting.normalise import (
    NonFinite,
    Normalise,
    capped,
    is_nonfinite,
    masked_mean,
    normalised,
)
from macpo.weighting.signals import Signals, check, clean, drop_trailing_axis, shape_of

WeightingState: TypeAlias = dict[str, Array]
"""Running means by name, scalars; part of the checkpoint."""

SCALE_RATE = 0.01
"""Rate of the running mean that `ema` divides by: about the last hundred batches."""


class RunningMean(NamedTuple):
    """A running mean: x ← x + rate · (observed − x), once per batch.

    >>> from macpo.weighting import make
    >>> [mean.name for mean in make("discor-net").running_means()]
    ['temperature']
    """

    name: str
    initial: float
    rate: float
    needs: tuple[str, ...]
    """The signals it reads."""
    observe: Callable[[Signals, Namespace], Array]
    """(signals, array namespace) → the batch's value."""


class WeightingOutput(NamedTuple):
    """The weights of a batch, and the state for the next one.

    >>> import numpy as np
    >>> from macpo.weighting import Signals, make
    >>> weigh = make("per", alpha=1, beta=0, epsilon=0)
    >>> q, mask = np.array([[1.0, 3.0]]), np.ones((1, 2))
    >>> output = weigh.apply({}, Signals(mask, q=q, target=0 * q))
    >>> output.weights
    array([[0.5, 1.5]])
    """

    weights: Float[Array, "B T"]
    """[B, T, N] for weightings per agent."""
    state: WeightingState
    metrics: dict[str, Array]
    """Scalars by name, explained in `docs/metrics.md`."""


class Explanation(NamedTuple):
    """What the weights of a batch are made of; [*B] is [B, T], or [B, T, N] per agent.

    Everything but `mask` is arbitrary on padding.
    """

    mask: Bool[Array, "B T"]
    q: Float[Array, "B T"] | None
    target: Float[Array, "B T"] | None
    q_star: Float[Array, "B T"] | None
    """None where the learner has no such value."""
    log_factors: dict[str, Array]
    """Logs of the factors, [B, T] or [B, T, N], by `factor_names`; empty if `log_raw` is not
    known."""
    log_raw: Float[Array, "*B"] | None
    """Their sum: the log of the raw weight, before cap and normalisation. None for a weighting
    whose `apply` is its own, which need not be a product of factors."""
    weights: Float[Array, "*B"]
    """As `apply` gives them."""


@dataclass(frozen=True)
class Weighting(ABC):
    """A weighting: a frozen dataclass of its options, which is called to get weights.

    A subclass has options of its own and says in `factors` what its weights are made of; see
    `macpo.weighting.macpo`. Options are checked against the bounds in their types (`macpo.bounds`).

    >>> import numpy as np
    >>> from macpo.weighting import Weighting, factors
    >>> class Root(Weighting):
    ...     def factors(self):
    ...         return (factors.bellman(0.5),)
    >>> q, target = np.array([[4.0, 9.0]]), np.zeros((1, 2))
    >>> Root(normalise="none")(q=q, target=target, mask=np.ones((1, 2)))
    array([[2., 3.]])
    """

    normalise: Normalise = "mean"
    """`mean`: mean one over a batch's valid steps, as the paper requires; `none`: raw, as in its
    released code; `max`: the largest is one; `sum`: they sum to one, and the loss is a sum; `ema`:
    divided by a running mean of their means."""
    clip: NonNegative = 0.0
    """Largest raw weight as a multiple of their mean; 0: no cap, as in all papers."""
    nonfinite: NonFinite = "propagate"
    """`propagate`: a NaN or infinite weight of a valid step stays visible; `zero`: the step is left
    out."""
    on_policy: NonNegative = 0.0
    """Temperature of the factor d^π/μ of MAC-PO's Theorem 1, estimated as in LFIW (which uses 5);
    0 leaves the factor out, as the paper does. In training it starts once replay holds more than
    four times as many episodes as the newest ones it is compared with (a twentieth of the
    buffer)."""

    def __post_init__(self) -> None:
        check_fields(self, self.name)

    @abstractmethod
    def factors(self) -> tuple[Factor, ...]:
        """The factors of a weight, without the common option `on_policy`."""

    def running_means(self) -> tuple[RunningMean, ...]:
        """Running means that the factors read; none by default."""
        return ()

    def taken_probs(
        self,
        utilities: Float[Array, "*B A"],
        actions: Int[Array, "*B"],
        avail_actions: Bool[Array, "*B A"] | None = None,
    ) -> Float[Array, "*B"]:
        """The signal `pi_taken`: probabilities of the stored actions, at temperature 1."""
        return boltzmann.taken_probs(utilities, actions, avail_actions)

    @property
    def name(self) -> str:
        """The name in `macpo list weightings`: the module's, with hyphens."""
        return registry.module_name(self)

    @property
    def all_factors(self) -> tuple[Factor, ...]:
        """All factors of a weight, `on_policy` included where it is switched on."""
        extra = (on_policy(self.on_policy),) if self.on_policy > 0 else ()
        return (*self.factors(), *extra)

    @property
    def factor_names(self) -> tuple[str, ...]:
        """The names of `all_factors`; of several of one name the last keeps it, the one before it
        is NAME_2, and so on."""
        names = [factor.name for factor in self.all_factors]
        later = [names[i + 1 :].count(name) for i, name in enumerate(names)]
        return tuple(f"{name}_{n + 1}" if n else name for name, n in zip(names, later, strict=True))

    @property
    def summary(self) -> str:
        """The weighting in a sentence: the first line of its docstring."""
        return registry.summary(type(self))

    @property
    def needs(self) -> tuple[str, ...]:
        """The signals that must be given."""
        parts = [*(f.needs for f in self.all_factors), *(m.needs for m in self.running_means())]
        return tuple(dict.fromkeys(name for part in parts for name in part))

    @property
    def per_agent(self) -> bool:
        """Whether there is a weight for each agent, [B, T, N]."""
        return any(factor.per_agent for factor in self.all_factors)

    def times(self, other: "Weighting") -> "Weighting":
        """The product of both weights, normalised and in all else like this weighting."""
        return Product(
            normalise=self.normalise,
            clip=self.clip,
            nonfinite=self.nonfinite,
            on_policy=self.on_policy,
            first=self,
            second=other,
        )

    def init(self) -> WeightingState:
        """The state before the first batch."""
        scale = {"scale": 0.0} if self.normalise == "ema" else {}
        return {m.name: m.initial for m in self.running_means()} | scale

    def __call__(
        self,
        *,
        mask: Bool[Array, "B T"],
        q: Float[Array, "B T"] | None = None,
        target: Float[Array, "B T"] | None = None,
        q_star: Float[Array, "B T"] | None = None,
        pi_taken: Float[Array, "B T N"] | None = None,
        is_greedy: Bool[Array, "B T"] | None = None,
        q_star_greedy: Float[Array, "B T"] | None = None,
        q_of_target_net: Float[Array, "B T"] | None = None,
        dq_tot_dq: Float[Array, "B T N"] | None = None,
        error_estimate: Float[Array, "B T"] | None = None,
        next_error_estimate: Float[Array, "B T"] | None = None,
        log_density_ratio: Float[Array, "B T"] | None = None,
        uniform_noise: Float[Array, ""] | float | None = None,
    ) -> Float[Array, "B T"]:
        """The weights of a batch, from the initial state; `MEANING` explains the signals.

        Only those in `needs` are read. The weights have the shape of `mask`, [B, T]; with a
        trailing axis of length one, as in PyMARL, it is kept. Weightings per agent give [B, T, N].

        Raises UsageError if a needed signal is missing, if the shapes do not match, or if a mask or
        a probability holds numbers that it cannot have (where they can be read: not in a program
        that is being compiled).
        """
        shape = shape_of(self.name, "mask", mask)
        signals = Signals(
            mask=mask,
            q=q,
            target=target,
            q_star=q_star,
            pi_taken=pi_taken,
            is_greedy=is_greedy,
            q_star_greedy=q_star_greedy,
            q_of_target_net=q_of_target_net,
            dq_tot_dq=dq_tot_dq,
            error_estimate=error_estimate,
            next_error_estimate=next_error_estimate,
            log_density_ratio=log_density_ratio,
            uniform_noise=uniform_noise,
        )
        has_axis = len(shape) == 3 and shape[-1] == 1
        state = self.init()
        if has_axis:
            signals = drop_trailing_axis(self.name, signals, self.needs)
        log = self._log_weights(state, signals)
        weights = self._weights(state, log).weights
        return weights[..., None] if has_axis and not self.per_agent else weights

    def apply(self, state: WeightingState, signals: Signals) -> WeightingOutput:
        """Weigh a batch, update the running means, and measure the weights."""
        log = self._log_weights(state, signals)
        scaled = self._weights(state, log)
        metrics = {name: stop_gradient(x) for name, x in _metrics(log, scaled).items()}
        return WeightingOutput(scaled.weights, scaled.state, metrics)

    def explain(self, state: WeightingState, signals: Signals) -> Explanation:
        """The weights that `apply` gives, and the factors whose product they are at first.

        >>> import numpy as np
        >>> from macpo.weighting import MacPO
        >>> q, catch = np.array([[0.0]]), np.array([[10.0]])
        >>> signals = Signals(np.ones((1, 1)), q, catch, catch, np.ones((1, 1, 8)))
        >>> logs = MacPO(normalise="none").explain({}, signals).log_factors
        >>> [f"{name} {log.item():.4g}" for name, log in logs.items()]
        ['bellman 2.303', 'value -10', 'joint 0']
        """
        weights = self.apply(state, signals).weights
        seen = signals.mask, signals.q, signals.target, signals.q_star
        if type(self).apply is not Weighting.apply:
            return Explanation(*seen, {}, None, weights)
        log = self._log_weights(state, signals)
        return Explanation(*seen, log.by_factor, log.total, weights)

    def _log_weights(self, state: WeightingState, signals: Signals) -> "_LogWeights":
        xp = check(self.name, signals, self.needs)
        s = clean(self.name, signals, self.needs, xp)
        s = s._replace(running_means=state)  # from before this batch
        factors = self.all_factors
        logs = [factor.log(s, xp) for factor in factors]
        mask = s.mask
        if self.per_agent:
            mask = xp.broadcast_to(mask[..., None], (*mask.shape, s.dq_tot_dq.shape[-1]))
        if logs:
            parts = (x if x.ndim == mask.ndim else x[..., None] for x in logs)
            total = functools.reduce(operator.add, parts)
        else:
            total = xp.zeros_like(mask, dtype=xp.float32)
        keep = mask
        if self.nonfinite == "zero":
            keep = mask & ~is_nonfinite(total, xp)
        masked = xp.where(keep, total, xp.full_like(total, -math.inf))
        by_factor = dict(zip(self.factor_names, logs, strict=True))
        return _LogWeights(xp, s, mask, by_factor, total, masked)

    def _weights(self, state: WeightingState, log: "_LogWeights") -> "_ScaledWeights":
        xp = log.xp
        means = {
            m.name: _updated(m, state[m.name], log.signals, self.nonfinite, xp)
            for m in self.running_means()
        }
        if self.normalise == "ema":
            means["scale"] = _updated_scale(state["scale"], log.masked, log.mask, self.clip, xp)
        scale = means.get("scale", 1.0)
        weights, fallback = normalised(log.masked, log.mask, self.normalise, self.clip, scale, xp)
        new_state = {name: stop_gradient(x) for name, x in means.items()}
        return _ScaledWeights(stop_gradient(weights), new_state, fallback)


@dataclass(frozen=True)
class BoltzmannWeighting(Weighting):
    """A weighting that depends on the agents' policies, Boltzmann policies of their utilities.

    >>> import numpy as np
    >>> from macpo.weighting import BoltzmannWeighting, factors
    >>> class Joint(BoltzmannWeighting):
    ...     def factors(self):
    ...         return (factors.joint(),)
    >>> pi_taken = np.array([[[0.5, 0.5], [0.0, 1.0]]])  # [B, T, N]
    >>> Joint(normalise="none")(pi_taken=pi_taken, mask=np.ones((1, 2)))
    array([[1.5, 2. ]])
    """

    policy_temperature: Positive = 1.0
    """Temperature of the Boltzmann policies; 1 in the paper."""
    include_unavailable: bool = False
    """Whether these policies range over unavailable actions too, as in the released code."""

    def taken_probs(
        self,
        utilities: Float[Array, "*B A"],
        actions: Int[Array, "*B"],
        avail_actions: Bool[Array, "*B A"] | None = None,
    ) -> Float[Array, "*B"]:
        """The signal `pi_taken`: probabilities of the stored actions under these policies."""
        return boltzmann.taken_probs(
            utilities, actions, avail_actions, self.policy_temperature, self.include_unavailable
        )


@dataclass(frozen=True, kw_only=True)
class Product(Weighting):
    """The product of two weightings, in all else like the first; see `Weighting.times`."""

    first: Weighting
    second: Weighting

    @property
    def name(self) -> str:
        """That of the first."""
        return self.first.name

    @property
    def summary(self) -> str:
        """Those of both."""
        return f"{self.first.summary} Times: {self.second.summary}"

    def factors(self) -> tuple[Factor, ...]:
        """Those of both."""
        return (*self.second.all_factors, *self.first.factors())

    def running_means(self) -> tuple[RunningMean, ...]:
        """Those of both."""
        return (*self.first.running_means(), *self.second.running_means())

    def taken_probs(
        self,
        utilities: Float[Array, "*B A"],
        actions: Int[Array, "*B"],
        avail_actions: Bool[Array, "*B A"] | None = None,
    ) -> Float[Array, "*B"]:
        """Under the policies of the first."""
        return self.first.taken_probs(utilities, actions, avail_actions)


def effective_sample_size(weights: Float[Array, "*B"], mask: Bool[Array, "*B"]) -> Float[Array, ""]:
    """(Σw)² / Σw² over valid steps: how many equally weighted steps this batch is worth.

    >>> import numpy as np
    >>> float(effective_sample_size(np.array([1.0, 1.0, 0.0, 9.0]), np.array([1, 1, 1, 0])))
    2.0
    """
    xp = array_namespace(weights, mask)
    valid = as_flags(mask, "effective_sample_size: mask")
    w = xp.where(valid, weights, xp.zeros_like(weights))
    squares = xp.sum(w * w)
    return xp.sum(w) ** 2 / xp.where(squares > 0, squares, xp.ones_like(squares))


class _LogWeights(NamedTuple):
    """The log-weights of a batch, before normalisation; [*B] is [B, T] or [B, T, N]."""

    xp: Namespace
    signals: Signals
    mask: Bool[Array, "*B"]
    by_factor: dict[str, Array]
    """By `factor_names`."""
    total: Float[Array, "*B"]
    """The sum over factors, on padding too."""
    masked: Float[Array, "*B"]
    """The same with −∞ at steps that get no weight."""


class _ScaledWeights(NamedTuple):
    """Normalised weights, the new running means, and whether uniform weights were substituted."""

    weights: Float[Array, "*B"]
    state: WeightingState
    fallback: Float[Array, ""]


def _updated(
    mean: RunningMean, old: Array, s: Signals, nonfinite: NonFinite, xp: Namespace
) -> Array:
    """The running mean after a batch; unchanged by a batch of nothing but padding."""
    observed = mean.observe(s, xp)
    counts = xp.any(s.mask)
    if nonfinite == "zero":
        counts = counts & xp.isfinite(observed)
    old = old + xp.zeros_like(observed)
    return xp.where(counts, old + mean.rate * (observed - old), old)


def _updated_scale(old: Array, log_weight: Array, mask: Array, clip: float, xp: Namespace) -> Array:
    """The running mean of raw weights; the first batch sets it, padding alone leaves it."""
    new = masked_mean(capped(xp.exp(log_weight), mask, clip, xp), mask)
    old = old + xp.zeros_like(new)
    moved = xp.where(old > 0, old + SCALE_RATE * (new - old), new)
    return xp.where(xp.any(mask), moved, old)


def _metrics(log: _LogWeights, scaled: _ScaledWeights) -> dict[str, Array]:
    """What the weights of a batch are like."""
    xp, mask, weights = log.xp, log.mask, scaled.weights
    n_valid = xp.sum(xp.astype(mask, weights.dtype))
    small = xp.astype(weights < 1e-3, weights.dtype)
    nonfinite = is_nonfinite(log.total, xp)
    metrics = {
        "weight_raw_mean": masked_mean(xp.exp(log.masked), mask),
        "weight_mean": masked_mean(weights, mask),
        "weight_max": xp.max(weights),
        "weight_ess_fraction": effective_sample_size(weights, mask)
        / xp.where(n_valid > 0, n_valid, xp.ones_like(n_valid)),
        "weight_share_small": masked_mean(small, mask),
        "weight_n_nonfinite": xp.sum(xp.astype(mask & nonfinite, xp.int32)),
        "weight_fallback": scaled.fallback,
    }
    if "joint" in log.by_factor:
        f, valid = xp.exp(log.by_factor["joint"]), log.signals.mask
        metrics["f_mean"] = mean = masked_mean(f, valid)
        metrics["f_std"] = xp.sqrt(masked_mean((f - mean) ** 2, valid))
    return metrics | {f"weight_{name}": value for name, value in scaled.state.items()}
