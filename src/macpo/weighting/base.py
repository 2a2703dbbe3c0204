"""What a weighting is: factors in the log domain, multiplied, exponentiated, normalised.

A factor is a function of `Signals` that returns log-weights [B, T]; a scheme is a tuple of them.
Everything is written to the array API, so NumPy, JAX and torch arrays work alike. Weights are
constants: no gradient flows into them. They are exactly zero on padding, whatever it holds.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from array_api_compat import array_namespace, is_jax_array, is_torch_array

from macpo.errors import UsageError, require

Normalise: TypeAlias = Literal["mean", "none"]
"""`mean`: mean one over valid steps, the paper's E_μ[w] = 1. `none`: raw, the released code."""


class Signals(NamedTuple):
    """What a weight may depend on; everything but `mask` is optional."""

    mask: Any
    """[B, T] true (or 1) at real transitions."""
    q: Any = None
    """[B, T] joint value of the stored action."""
    target: Any = None
    """[B, T] what it is regressed on."""
    q_star: Any = None
    """[B, T] unrestricted joint value of the stored action."""
    pi_taken: Any = None
    """[B, T, N] each agent's current probability of its stored action."""
    is_greedy: Any = None
    """[B, T] whether the stored joint action is the greedy one."""
    q_star_greedy: Any = None
    """[B, T] target network's unrestricted value of the greedy joint action in the same state."""


Factor: TypeAlias = Callable[[Signals, Any], Any]
"""(signals, array namespace) → log-weights [B, T]."""


@dataclass(frozen=True)
class Scheme:
    """A weighting ready to be called; the factors say which signals it needs."""

    name: str
    factors: tuple[tuple[str, Factor], ...]
    needs: tuple[str, ...]
    normalise: Normalise = "mean"
    policy_temperature: float = 1.0
    """Temperature at which a learner computes `pi_taken` for this scheme."""
    include_unavailable: bool = False
    """Whether that softmax ranges over unavailable actions too."""

    def __call__(self, *, mask: Any, **signals: Any) -> Any:
        """Weights of the same shape as `mask`; see `Signals` for the arguments.

        A trailing axis of length one, as PyMARL keeps it, is accepted and restored.
        """
        unknown = set(signals) - set(Signals._fields)
        require(
            not unknown,
            f"weighting {self.name!r} got unknown signals {sorted(unknown)}; "
            f"known are {', '.join(Signals._fields)}.",
        )
        shape = self._shape("mask", mask)
        keeps_axis = len(shape) == 3 and shape[-1] == 1

        def drop(name: str, x: Any) -> Any:
            if x is None or name == "pi_taken" or not keeps_axis or self._shape(name, x) != shape:
                return x
            return x[..., 0]

        given = {k: drop(k, v) for k, v in signals.items()}
        weights, _ = self.weigh(Signals(drop("mask", mask), **given))
        return weights[..., None] if keeps_axis else weights

    def weigh(self, signals: Signals) -> tuple[Any, dict[str, Any]]:
        """(weights [B, T], metrics by name)."""
        xp = self._check(signals)
        signals = _clean(signals, self.needs, xp)
        mask = signals.mask
        logs = {name: factor(signals, xp) for name, factor in self.factors}
        total: Any = xp.zeros_like(mask, dtype=xp.float32)
        for log_factor in logs.values():
            total = total + log_factor
        log_weight = xp.where(mask, total, xp.full_like(total, -math.inf))
        raw = xp.exp(log_weight)
        weights = _constant(_normalised(log_weight, raw, mask, self.normalise, xp))
        metrics = _metrics(weights, raw, mask, xp)
        if "joint" in logs:
            f = xp.exp(logs["joint"])
            metrics["f_mean"] = mean = _mean(f, mask, xp)
            metrics["f_std"] = xp.sqrt(_mean((f - mean) ** 2, mask, xp))
        return weights, {name: _constant(value) for name, value in metrics.items()}

    def _check(self, signals: Signals) -> Any:
        """The array namespace of the needed signals; UsageError if they do not fit together."""
        shape = self._shape("mask", signals.mask)
        require(
            len(shape) <= 2,
            f"weighting {self.name!r}: mask has shape {shape}, expected [B, T]; use vmap over "
            "further axes, so that each learner's weights are normalised alone.",
        )
        for name in self.needs:
            x = getattr(signals, name)
            if x is None:
                raise UsageError(
                    f"weighting {self.name!r} needs the signal {name!r} and did not get it; "
                    f"pass {', '.join(f'{n}=…' for n in self.needs)} and mask=…"
                )
            given = self._shape(name, x)
            expected = (*shape, *given[-1:]) if name == "pi_taken" else shape
            if given != expected:
                raise UsageError(
                    f"weighting {self.name!r}: {name} has shape {given} but mask has "
                    f"{shape}; give every signal as [B, T] and pi_taken as [B, T, N]."
                )
        arrays = [signals.mask, *(getattr(signals, name) for name in self.needs)]
        devices = sorted({str(x.device) for x in arrays if is_torch_array(x)})
        require(
            len(devices) <= 1,
            f"weighting {self.name!r}: mask and signals lie on {' and '.join(devices)}; "
            "move them to one device.",
        )
        try:
            return array_namespace(*arrays)
        except TypeError as error:
            kinds = ", ".join(sorted({type(x).__module__.split(".")[0] for x in arrays}))
            raise UsageError(
                f"weighting {self.name!r}: mask and signals come from {kinds}; give arrays of "
                "one library: NumPy, JAX or torch."
            ) from error

    def _shape(self, name: str, x: Any) -> tuple[int, ...]:
        if not hasattr(x, "shape"):
            raise UsageError(
                f"weighting {self.name!r}: {name} is a {type(x).__name__}; "
                "give an array of NumPy, JAX or torch."
            )
        return tuple(x.shape)


def bellman(s: Signals, xp: Any) -> Any:
    """log |δ|: the Bellman error.   Source: MAC-PO, Theorem 1."""
    return _log(xp.abs(s.q - s.target), xp)


def value(temperature: float) -> Factor:
    """−|Q_tot − Q*| / temperature: value enhancement.   Source: MAC-PO, Theorem 1."""

    def factor(s: Signals, xp: Any) -> Any:
        return -xp.abs(s.q - s.q_star) / temperature

    return factor


def joint(s: Signals, xp: Any) -> Any:
    """log f: the joint action probability term.   Source: MAC-PO, Eq. (7)."""
    return xp.log(joint_probability(s.pi_taken, xp))


def joint_probability(pi: Any, xp: Any) -> Any:
    """f = 1 + Σ_i Π_{j≠i} π_j − n Π_i π_i, always within [1, 2].   Source: MAC-PO, Eq. (7).

    The same number is one plus the probability that exactly one agent, drawing from its own
    policy, would leave the stored joint action. Carrying the probabilities of no and of one
    such agent needs O(N) products and neither divides nor subtracts large numbers.
    """
    none, one = xp.ones_like(pi[..., 0]), xp.zeros_like(pi[..., 0])
    for agent in range(pi.shape[-1]):
        stays = pi[..., agent]
        one = one * stays + none * (1 - stays)
        none = none * stays
    return 1 + one


def effective_sample_size(weights: Any, mask: Any) -> Any:
    """(Σw)² / Σw² over valid steps: how many equally weighted steps are worth this batch."""
    xp = array_namespace(weights, mask)
    w = xp.where(mask != 0, weights, xp.zeros_like(weights))
    squares = xp.sum(w * w)
    return xp.sum(w) ** 2 / xp.where(squares > 0, squares, xp.ones_like(squares))


def _clean(s: Signals, needs: tuple[str, ...], xp: Any) -> Signals:
    """The needed signals as float32 or wider, flags as booleans, and harmless on padding.

    This comes before any arithmetic: whatever padding holds, NaN included, never enters it.
    """
    mask = s.mask != 0

    def clean(name: str) -> Any:
        x = _constant(getattr(s, name))
        if name == "is_greedy":
            return mask & (x != 0)
        if not xp.isdtype(x.dtype, "real floating") or xp.finfo(x.dtype).bits < 32:
            x = xp.astype(x, xp.float32)
        # pairs of equal values give δ = 0 and a gap of 0; π = 1 is the neutral element of f
        harmless = xp.full_like(x, 1.0 if name == "pi_taken" else 0.0)
        return xp.where(mask[..., None] if name == "pi_taken" else mask, x, harmless)

    return Signals(mask, **{name: clean(name) for name in needs})


def _normalised(log_weight: Any, raw: Any, mask: Any, mode: Normalise, xp: Any) -> Any:
    zero = xp.zeros_like(raw)
    if mode == "none":
        return xp.where(mask, raw, zero)
    # mean one is the same at any common scale: divide by the largest weight before exponentiating,
    # so that weights far below the smallest float still compare
    largest = xp.max(log_weight)
    finite = xp.isfinite(largest)
    scaled = xp.exp(log_weight - xp.where(finite, largest, xp.zeros_like(largest)))
    n_valid = xp.sum(xp.astype(mask, raw.dtype))
    total = xp.sum(xp.where(mask, scaled, zero))
    nonzero = total != 0  # NaN counts as non-zero and stays visible
    weights = scaled * (n_valid / xp.where(nonzero, total, xp.ones_like(total)))
    # a batch whose weights all vanish is learned from uniformly
    return xp.where(mask, xp.where(nonzero, weights, xp.ones_like(raw)), zero)


def _metrics(weights: Any, raw: Any, mask: Any, xp: Any) -> dict[str, Any]:
    n_valid = xp.sum(xp.astype(mask, weights.dtype))
    one = xp.ones_like(n_valid)
    small = xp.astype(weights < 1e-3, weights.dtype)
    return {
        "weight_raw_mean": _mean(raw, mask, xp),
        "weight_mean": _mean(weights, mask, xp),
        "weight_max": xp.max(weights),
        "weight_ess_fraction": effective_sample_size(weights, mask)
        / xp.where(n_valid > 0, n_valid, one),
        "weight_share_small": _mean(small, mask, xp),
        "weight_n_nonfinite": xp.sum(xp.astype(mask & ~xp.isfinite(raw), xp.int32)),
    }


def _mean(x: Any, mask: Any, xp: Any) -> Any:
    n_valid = xp.sum(xp.astype(mask, x.dtype))
    total = xp.sum(xp.where(mask, x, xp.zeros_like(x)))
    return total / xp.where(n_valid > 0, n_valid, xp.ones_like(n_valid))


def _constant(x: Any) -> Any:
    """x without a gradient, in whatever library it lives."""
    if is_jax_array(x):
        import jax

        return jax.lax.stop_gradient(x)
    return x.detach() if is_torch_array(x) else x


def _log(x: Any, xp: Any) -> Any:
    """log x of x ≥ 0: −∞ at 0, of which NumPy would warn."""
    zero = x == 0
    return xp.where(zero, xp.full_like(x, -math.inf), xp.log(xp.where(zero, xp.ones_like(x), x)))
