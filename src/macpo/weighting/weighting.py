"""What a weighting is: factors in the log domain, multiplied, exponentiated, normalised.

Everything is written to the array API, so NumPy, JAX and torch arrays work alike. Weights are
constants: no gradient flows into them. They are exactly zero on padding, whatever it holds. A
scheme is pure: what changes from batch to batch (a few running means) is a state that goes in and
comes out; networks that a scheme needs live in the learner, and only their outputs come here.
"""

import functools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

from array_api_compat import array_namespace

from macpo.errors import require, require_choice
from macpo.weighting.factors import Factor, on_policy
from macpo.weighting.normalise import (
    NonFinite,
    Normalise,
    capped,
    masked_mean,
    normalised,
)
from macpo.weighting.signals import PER_AGENT, Signals, check, clean, constant, shape_of

WeightingState: TypeAlias = dict[str, Any]
"""Running means by name; part of the checkpoint."""


class Moving(NamedTuple):
    """A running mean: x ← x + rate · (observed − x), once per batch."""

    name: str
    initial: float
    rate: float
    needs: tuple[str, ...]
    observe: Callable[[Signals, Any], Any]
    """(signals, array namespace) → the batch's value."""


class Weighed(NamedTuple):
    """What a scheme makes of a batch."""

    weights: Any
    """[B, T], or [B, T, N] for schemes that weigh each agent."""
    state: WeightingState
    metrics: dict[str, Any]
    """Scalars by name, explained in `docs/metrics.md`."""


@dataclass(frozen=True)
class Weighting:
    """A weighting ready to be called; the factors say which signals it needs."""

    name: str
    factors: tuple[Factor, ...]
    normalise: Normalise = "mean"
    clip: float = 0.0
    nonfinite: NonFinite = "propagate"
    moving: tuple[Moving, ...] = ()
    learner_needs: tuple[str, ...] = ()
    """What a learner must have for the scheme to make sense although no factor reads it."""
    per_agent: bool = False
    """Whether there is a weight for each agent, [B, T, N]."""
    policy_temperature: float = 1.0
    """Temperature at which a learner computes `pi_taken` for this scheme."""
    include_unavailable: bool = False
    """Whether that softmax ranges over unavailable actions too."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The signals that must be given."""
        parts = [*(f.needs for f in self.factors), *(m.needs for m in self.moving)]
        return tuple(dict.fromkeys(name for part in [*parts, self.learner_needs] for name in part))

    def init(self) -> WeightingState:
        """The state before the first batch."""
        scale = {"scale": 0.0} if self.normalise == "ema" else {}
        return {m.name: m.initial for m in self.moving} | scale

    def times(self, other: "Weighting") -> "Weighting":
        """The product of both weights, normalised and in all else as this one."""
        return replace(
            self,
            factors=(*other.factors, *self.factors),
            learner_needs=(*other.learner_needs, *self.learner_needs),
        )

    def __call__(self, *, mask: Any, **signals: Any) -> Any:
        """Weights of the same shape as `mask`, from the initial state; see `MEANING` for signals.

        A trailing axis of length one, as PyMARL keeps it, is accepted and restored.
        """
        unknown = set(signals) - set(Signals._fields)
        require(
            not unknown,
            f"weighting {self.name!r} got unknown signals {sorted(unknown)}; "
            f"known are {', '.join(Signals._fields)}.",
        )
        shape = shape_of(self.name, "mask", mask)
        keeps_axis = len(shape) == 3 and shape[-1] == 1

        def drop(name: str, x: Any) -> Any:
            if not keeps_axis or name in PER_AGENT or getattr(x, "shape", None) != mask.shape:
                return x
            return x[..., 0]

        given = {name: drop(name, x) for name, x in signals.items()}
        made = self._weigh(self.init(), Signals(drop("mask", mask), **given))
        keeps_axis = keeps_axis and not self.per_agent
        return made.weights[..., None] if keeps_axis else made.weights

    def apply(self, state: WeightingState, signals: Signals) -> Weighed:
        """Weigh a batch, move the running means along, and say what the weights are like."""
        made = self._weigh(state, signals)
        xp, mask = made.xp, made.mask
        raw = xp.exp(made.log_weight)
        infinite = xp.isnan(made.log_total) | (made.log_total == math.inf)
        metrics = _metrics(made.weights, raw, mask, xp) | {
            "weight_n_nonfinite": xp.sum(xp.astype(mask & infinite, xp.int32)),
            "weight_fallback": made.fallback,
        }
        if "joint" in made.logs:
            f, valid = xp.exp(made.logs["joint"]), made.signals.mask
            metrics["f_mean"] = mean = masked_mean(f, valid, xp)
            metrics["f_std"] = xp.sqrt(masked_mean((f - mean) ** 2, valid, xp))
        metrics |= {f"weight_{name}": value for name, value in made.state.items()}
        return Weighed(made.weights, made.state, {name: constant(x) for name, x in metrics.items()})

    def _weigh(self, state: WeightingState, signals: Signals) -> "_Made":
        xp = check(self.name, signals, self.needs)
        s = clean(signals, self.needs, xp)
        s = s._replace(moving=state)  # as it was before this batch
        logs = [factor.log(s, xp) for factor in self.factors]
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
            keep = mask & ~(xp.isnan(total) | (total == math.inf))
        log_weight = xp.where(keep, total, xp.full_like(total, -math.inf))

        moving = {m.name: _moved(m, state[m.name], s, self.nonfinite, xp) for m in self.moving}
        if self.normalise == "ema":
            moving["scale"] = _moved_scale(state["scale"], log_weight, mask, self.clip, xp)
        scale = moving.get("scale", 1.0)
        weights, fallback = normalised(log_weight, mask, self.normalise, self.clip, scale, xp)
        new_state = {name: constant(x) for name, x in moving.items()}
        named = {factor.name: log for factor, log in zip(self.factors, logs, strict=True)}
        return _Made(constant(weights), new_state, s, named, total, log_weight, mask, fallback, xp)


class _Made(NamedTuple):
    """A weighing and what was computed on the way."""

    weights: Any
    state: WeightingState
    signals: Signals
    logs: dict[str, Any]
    log_total: Any
    """Before anything was masked."""
    log_weight: Any
    mask: Any
    fallback: Any
    xp: Any


def _moved(m: Moving, old: Any, s: Signals, nonfinite: NonFinite, xp: Any) -> Any:
    """The running mean after a batch; padding alone says nothing."""
    observed = m.observe(s, xp)
    counts = xp.any(s.mask)
    if nonfinite == "zero":
        counts = counts & xp.isfinite(observed)
    old = old + xp.zeros_like(observed)
    return xp.where(counts, old + m.rate * (observed - old), old)


@dataclass(frozen=True)
class Options:
    """What every weighting can do besides its own rule; its `Config` inherits these."""

    normalise: Normalise = "mean"
    """`mean`: mean one over a batch's valid steps, as the paper demands; `none`: raw, as in its
    released code; `max`: the largest is one; `sum`: they sum to one and so does the loss; `ema`:
    over a running mean of their means."""
    clip: float = 0.0
    """No raw weight counts more than so many times their mean; 0: no cap, as in all papers."""
    nonfinite: NonFinite = "propagate"
    """A NaN or infinite weight of a valid step stays visible; `zero` leaves the step out."""
    on_policy: float = 0.0
    """Temperature of the factor d^π/μ of MAC-PO's Theorem 1, estimated as in LFIW (which has 5);
    0 leaves the factor out, as the paper does. In training it starts once replay holds more than
    four times the newest episodes it is compared with (a twentieth of the buffer)."""

    def __post_init__(self) -> None:
        name = self.weighting_name
        require_choice(name, "normalise", self.normalise, Normalise)
        require_choice(name, "nonfinite", self.nonfinite, NonFinite)
        for option in ("clip", "on_policy"):
            value = getattr(self, option)
            require(
                math.isfinite(value) and value >= 0,
                f"{name}: {option} must be a number from 0, not {value}; 0 switches it off.",
            )

    @property
    def weighting_name(self) -> str:
        """The name of the module that defines this configuration, with hyphens."""
        return type(self).__module__.rpartition(".")[2].replace("_", "-")

    def require_positive(self, *options: str, advice: str = "") -> None:
        """UsageError unless each of these options is a finite number above zero."""
        for option in options:
            value = getattr(self, option)
            require(
                math.isfinite(value) and value > 0,
                f"{self.weighting_name}: {option} must be a positive number, not {value}; {advice}",
            )

    def scheme(self, *factors: Factor, **more: Any) -> Weighting:
        """The scheme of these factors with the common options."""
        if self.on_policy > 0:
            factors = (*factors, on_policy(self.on_policy))
        return Weighting(
            self.weighting_name,
            factors,
            normalise=self.normalise,
            clip=self.clip,
            nonfinite=self.nonfinite,
            **more,
        )


@dataclass(frozen=True)
class Policies(Options):
    """Options of weightings that depend on the agents' policies."""

    policy_temperature: float = 1.0
    """Temperature of the Boltzmann policies; 1 in the paper."""
    include_unavailable: bool = False
    """Whether those policies give mass to unavailable actions, as the released code does."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("policy_temperature", advice="1 is the paper's.")

    def scheme(self, *factors: Factor, **more: Any) -> Weighting:
        """The scheme with these policies."""
        return super().scheme(
            *factors,
            policy_temperature=self.policy_temperature,
            include_unavailable=self.include_unavailable,
            **more,
        )


SCALE_RATE = 0.01
"""Rate of the running mean by which `ema` divides: about the last hundred batches."""


def _moved_scale(old: Any, log_weight: Any, mask: Any, clip: float, xp: Any) -> Any:
    """The running mean of raw weights; the first batch sets it, padding alone says nothing."""
    new = masked_mean(capped(xp.exp(log_weight), mask, clip, xp), mask, xp)
    old = old + xp.zeros_like(new)
    moved = xp.where(old > 0, old + SCALE_RATE * (new - old), new)
    return xp.where(xp.any(mask), moved, old)


def effective_sample_size(weights: Any, mask: Any) -> Any:
    """(Σw)² / Σw² over valid steps: how many equally weighted steps are worth this batch."""
    xp = array_namespace(weights, mask)
    w = xp.where(mask != 0, weights, xp.zeros_like(weights))
    squares = xp.sum(w * w)
    return xp.sum(w) ** 2 / xp.where(squares > 0, squares, xp.ones_like(squares))


def _metrics(weights: Any, raw: Any, mask: Any, xp: Any) -> dict[str, Any]:
    n_valid = xp.sum(xp.astype(mask, weights.dtype))
    small = xp.astype(weights < 1e-3, weights.dtype)
    return {
        "weight_raw_mean": masked_mean(raw, mask, xp),
        "weight_mean": masked_mean(weights, mask, xp),
        "weight_max": xp.max(weights),
        "weight_ess_fraction": effective_sample_size(weights, mask)
        / xp.where(n_valid > 0, n_valid, xp.ones_like(n_valid)),
        "weight_share_small": masked_mean(small, mask, xp),
    }
