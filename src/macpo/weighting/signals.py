"""What a weight may depend on, checked and cleaned before any arithmetic."""

from typing import NamedTuple

from array_api_compat import array_namespace, is_numpy_array, is_torch_array
from jaxtyping import Bool, Float

from macpo.errors import UsageError, require
from macpo.weighting.arrays import Array, Namespace, at_least_float32, stop_gradient


class Signals(NamedTuple):
    """Arrays of one library. All but `mask` may be None; `MEANING` explains each."""

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


def check(weighting: str, signals: Signals, needs: tuple[str, ...]) -> Namespace:
    """The array namespace of the needed signals; UsageError if they do not fit together."""
    shape = shape_of(weighting, "mask", signals.mask)
    require(
        len(shape) <= 2,
        f"weighting {weighting!r}: mask has shape {shape}, expected [B, T]; use vmap over "
        "further axes, so that each learner's weights are normalised separately.",
    )
    for name in needs:
        x = getattr(signals, name)
        if x is None:
            raise UsageError(
                f"weighting {weighting!r} needs the signal {name!r} ({MEANING[name]}) and did not "
                f"get it; pass {', '.join(f'{n}=…' for n in needs)} and mask=…"
            )
        if name in _SCALARS:
            continue
        given = shape_of(weighting, name, x)
        expected = (*shape, *given[-1:]) if name in PER_AGENT else shape
        if given != expected:
            raise UsageError(
                f"weighting {weighting!r}: {name} has shape {given} but mask has "
                f"{shape}; it must be {MEANING[name]}."
            )
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


def shape_of(weighting: str, name: str, x: Array) -> tuple[int, ...]:
    """The shape of an array; UsageError for anything else."""
    if not hasattr(x, "shape"):
        raise UsageError(
            f"weighting {weighting!r}: {name} is a {type(x).__name__}; "
            "give an array of NumPy, JAX or torch."
        )
    return tuple(x.shape)


def drop_trailing_axis(signals: Signals) -> Signals:
    """Signals [B, T, 1], as PyMARL keeps them, as [B, T]; those per agent keep their axis."""

    def drop(name: str, x: Array) -> Array:
        is_like_mask = getattr(x, "shape", None) == signals.mask.shape
        return x[..., 0] if is_like_mask and name not in PER_AGENT else x

    return Signals(*(drop(name, x) for name, x in zip(Signals._fields, signals, strict=True)))


def clean(s: Signals, needs: tuple[str, ...], xp: Namespace) -> Signals:
    """The needed signals as constants: float32 or wider, flags as booleans, padding overwritten.

    Whatever padding holds, NaN included, never enters a sum over steps.
    """
    mask = s.mask != 0

    def cleaned(name: str) -> Array:
        x = stop_gradient(getattr(s, name))
        if name in _SCALARS:
            return x
        if name in _FLAGS:
            return mask & (x != 0)
        x = at_least_float32(x, xp)
        if name not in PER_AGENT:
            return xp.where(mask, x, 0.0)  # equal values: δ = 0, and a gap of 0
        # An agent's number enters only the weight of its own step, which is masked in the end, so
        # this changes no weight; but NumPy would warn about what padding holds.
        return xp.where(mask[..., None], x, 1.0) if is_numpy_array(x) else x

    return Signals(mask, running_means=s.running_means, **{name: cleaned(name) for name in needs})
