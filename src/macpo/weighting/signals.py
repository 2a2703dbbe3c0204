"""What a weight may depend on, checked and cleaned before any arithmetic."""

from typing import NamedTuple

from array_api_compat import array_namespace, is_numpy_array, is_torch_array
from jaxtyping import Bool, Float

from macpo.errors import UsageError, nearest, require
from macpo.weighting.arrays import (
    Array,
    Namespace,
    as_flags,
    at_least_float32,
    holds_somewhere,
    stop_gradient,
)


class Signals(NamedTuple):
    """Arrays of one library. All but `mask` may be None; `MEANING` explains each.

    >>> import numpy as np
    >>> from macpo.weighting import Signals
    >>> Signals(np.ones((1, 2)), q=np.array([[1.0, 2.0]]), target=np.zeros((1, 2))).td_error
    array([[1., 2.]])
    """

    mask: Bool[Array, "B T"]
    q: Float[Array, "B T"] = None
    target: Float[Array, "B T"] = None
    q_star: Float[Array, "B T"] = None
    pi_taken: Float[Array, "B T N"] = None
    is_greedy: Bool[Array, "B T"] = None
    q_star_greedy: Float[Array, "B T"] = None
    q_of_target_net: Float[Array, "B T"] = None
    dq_tot_dq: Float[Array, "B T N"] = None
    error_estimate: Float[Array, "B T"] = None
    next_error_estimate: Float[Array, "B T"] = None
    log_density_ratio: Float[Array, "B T"] = None
    uniform_noise: Float[Array, ""] = None
    running_means: dict[str, Array] | None = None
    """The weighting's running means by name, set by the weighting itself."""

    @property
    def td_error(self) -> Float[Array, "B T"]:
        """δ = Q_tot − y."""
        return self.q - self.target

    @property
    def individual_td_error(self) -> Float[Array, "B T N"]:
        """Each agent's share of the TD error."""
        return individual_td_error(self.dq_tot_dq, self.td_error)


def individual_td_error(
    dq_tot_dq: Float[Array, "B T N"], td_error: Float[Array, "B T"]
) -> Float[Array, "B T N"]:
    """Each agent's share of the team's TD error, δ_i = ∂Q_tot/∂q_i · δ.

    Source: DIFFER (Hu et al. 2023), section 3.
    """
    return dq_tot_dq * td_error[..., None]


MEANING = {
    "mask": "[B, T] true (or 1) at real transitions",
    "q": "[B, T] joint value of the stored action",
    "target": "[B, T] the target that this value is trained towards",
    "q_star": "[B, T] unrestricted joint value of the stored action, from a central critic",
    "pi_taken": "[B, T, N] each agent's current probability of its stored action (`taken_probs`)",
    "is_greedy": "[B, T] whether the stored joint action is the greedy one",
    "q_star_greedy": "[B, T] target network's unrestricted value of the greedy joint action",
    "q_of_target_net": "[B, T] target network's joint value of the stored action",
    "dq_tot_dq": "[B, T, N] derivative of the joint value with respect to each agent's utility",
    "error_estimate": "[B, T] a network's estimate of the accumulated error of the stored action",
    "next_error_estimate": "[B, T] γ times its target network's estimate in the next state, 0 at "
    "terminal steps",
    "log_density_ratio": "[B, T] log of how much likelier the step is in recent play than in "
    "replay",
    "uniform_noise": "one random number, uniform in [0, 1)",
}
"""Shape and meaning of each signal."""

PER_AGENT = ("pi_taken", "dq_tot_dq")
_FLAGS = ("is_greedy",)
_SCALARS = ("uniform_noise",)
_PROBABILITIES = ("pi_taken",)
_ROUNDING = 1e-3
"""By how much a probability may exceed 1: what half precision rounds."""


def check(weighting: str, signals: Signals, needs: tuple[str, ...]) -> Namespace:
    """The array namespace of the needed signals; UsageError if they do not fit together."""
    shape = shape_of(weighting, "mask", signals.mask)
    require(
        len(shape) <= 2,
        f"weighting {weighting!r}: mask has shape {shape}, expected [B, T]; use vmap over "
        "further axes, so that each learner's weights are normalised separately.",
    )
    check_shapes(weighting, signals, needs)
    arrays = [signals.mask, *(getattr(signals, n) for n in needs if n not in _SCALARS)]
    devices = sorted({str(x.device) for x in arrays if is_torch_array(x)})
    require(
        len(devices) <= 1,
        f"weighting {weighting!r}: mask and signals lie on {' and '.join(devices)}; "
        "move them to one device.",
    )
    try:
        return array_namespace(*arrays)
    except TypeError as error:
        kinds = ", ".join(sorted({type(x).__module__.split(".")[0] for x in arrays}))
        raise UsageError(
            f"weighting {weighting!r}: mask and signals come from {kinds}; give arrays of "
            "one library: NumPy, JAX or torch."
        ) from error


def check_shapes(weighting: str, signals: Signals, needs: tuple[str, ...]) -> None:
    """UsageError unless all needed signals are there and have shapes that fit that of the mask."""
    shape = shape_of(weighting, "mask", signals.mask)
    n_agents: dict[str, tuple[int, ...]] = {}
    for name in needs:
        if name not in MEANING:  # no `require`: torch.compile cannot follow `nearest`
            raise UsageError(
                f"weighting {weighting!r} asks for {name!r}, which is no signal; "
                f"{nearest(name, MEANING)} Known: {', '.join(MEANING)}."
            )
        x = getattr(signals, name)
        if x is None:
            raise UsageError(
                f"weighting {weighting!r} needs the signal {name!r} ({MEANING[name]}) and did not "
                f"get it; pass {', '.join(f'{n}=…' for n in needs)} and mask=…"
            )
        if name in _SCALARS:
            given, expected = tuple(getattr(x, "shape", ())), ()
        elif name in PER_AGENT:
            given = shape_of(weighting, name, x)
            expected = (*shape[:2], *given[-1:])
            n_agents[name] = given[-1:]
        else:
            given, expected = shape_of(weighting, name, x), shape
        lacks_agents = name in PER_AGENT and given == shape[:2]
        against = ", which lacks an axis of agents" if lacks_agents else f" but mask has {shape}"
        require(
            given == expected,
            f"weighting {weighting!r}: {name} has shape {given}{against}; it must be "
            f"{MEANING[name]}.",
        )
    require(
        len(set(n_agents.values())) <= 1,
        f"weighting {weighting!r}: signals are of different numbers of agents: "
        f"{', '.join(f'{name} of {n}' for name, (n,) in n_agents.items())}.",
    )


def shape_of(weighting: str, name: str, x: Array) -> tuple[int, ...]:
    """The shape of an array; UsageError for anything else."""
    if not hasattr(x, "shape"):
        raise UsageError(
            f"weighting {weighting!r}: {name} is a {type(x).__name__}; "
            "give an array of NumPy, JAX or torch."
        )
    return tuple(x.shape)


def drop_trailing_axis(weighting: str, signals: Signals, needs: tuple[str, ...]) -> Signals:
    """Signals [B, T, 1], as PyMARL keeps them, as [B, T]; those per agent keep their axis.

    UsageError unless all needed ones have the axis that the mask has: the weights will have it too,
    and would broadcast with a [B, T] of the caller's to [B, T, T].
    """
    check_shapes(weighting, signals, needs)

    def drop(name: str, x: Array) -> Array:
        is_like_mask = getattr(x, "shape", None) == signals.mask.shape
        return x[..., 0] if is_like_mask and name not in PER_AGENT else x

    return Signals(*(drop(name, x) for name, x in zip(Signals._fields, signals, strict=True)))


def clean(weighting: str, s: Signals, needs: tuple[str, ...], xp: Namespace) -> Signals:
    """The needed signals as constants: float32 or wider, flags as booleans, padding overwritten.

    Whatever padding holds, NaN included, never enters a sum over steps. UsageError if a concrete
    array holds what no flag or probability can be.
    """
    mask = as_flags(s.mask, f"weighting {weighting!r}: mask")

    def cleaned(name: str) -> Array:
        x = stop_gradient(getattr(s, name))
        if name in _SCALARS:
            return x
        if name in _FLAGS:
            return as_flags(xp.where(mask, x, xp.zeros_like(x)), f"weighting {weighting!r}: {name}")
        x = at_least_float32(x, xp)
        if name not in PER_AGENT:
            return xp.where(mask, x, 0.0)  # equal values: δ = 0, and a gap of 0
        if name in _PROBABILITIES:
            require(
                not holds_somewhere(_are_impossible, mask[..., None], x),
                f"weighting {weighting!r}: {name} holds numbers outside [0, 1] at real "
                f"transitions; it must be {MEANING[name]}.",
            )
        # An agent's number enters only the weight of its own step, which is masked in the end, so
        # this changes no weight; but NumPy would warn about what padding holds.
        return xp.where(mask[..., None], x, 1.0) if is_numpy_array(x) else x

    return Signals(mask, running_means=s.running_means, **{name: cleaned(name) for name in needs})


def _are_impossible(mask: Bool[Array, "*B"], probabilities: Float[Array, "*B"]) -> Array:
    """Finite numbers that are no probabilities; `nonfinite` says what becomes of the others."""
    outside = (probabilities < 0) | (probabilities > 1 + _ROUNDING)
    return mask & outside & (abs(probabilities) < float("inf"))
