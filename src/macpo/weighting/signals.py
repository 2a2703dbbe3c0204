"""What a weight may depend on, checked and made harmless before any arithmetic."""

from typing import Any, NamedTuple

from array_api_compat import array_namespace, is_jax_array, is_numpy_array, is_torch_array

from macpo.errors import UsageError, require


class Signals(NamedTuple):
    """Arrays of one library; everything but `mask` is optional. `MEANING` explains each."""

    mask: Any
    q: Any = None
    target: Any = None
    q_star: Any = None
    pi_taken: Any = None
    is_greedy: Any = None
    q_star_greedy: Any = None
    q_of_target_net: Any = None
    dq_tot_dq: Any = None
    error_estimate: Any = None
    next_error_estimate: Any = None
    log_density_ratio: Any = None
    uniform_noise: Any = None
    moving: Any = None


MEANING = {
    "mask": "[B, T] true (or 1) at real transitions",
    "q": "[B, T] joint value of the stored action",
    "target": "[B, T] what that value is regressed on",
    "q_star": "[B, T] unrestricted joint value of the stored action, as a central network has it",
    "pi_taken": "[B, T, N] each agent's current probability of its stored action (`taken_probs`)",
    "is_greedy": "[B, T] whether the stored joint action is the greedy one",
    "q_star_greedy": "[B, T] target network's unrestricted value of the greedy joint action",
    "q_of_target_net": "[B, T] joint value of the stored action in the target network",
    "dq_tot_dq": "[B, T, N] derivative of the joint value by each agent's utility",
    "error_estimate": "[B, T] a network's estimate of the accumulated error of the stored action",
    "next_error_estimate": "[B, T] γ times its target's estimate in the next state, 0 at an end",
    "log_density_ratio": "[B, T] log of how much likelier this step is in recent play",
    "uniform_noise": "one random number, uniform in [0, 1)",
}
"""What each signal is, with its shape. `moving` holds a scheme's running means by name."""

_FLAGS = ("is_greedy",)
PER_AGENT = ("pi_taken", "dq_tot_dq")
_SCALARS = ("uniform_noise",)


def check(scheme: str, signals: Signals, needs: tuple[str, ...]) -> Any:
    """The array namespace of the needed signals; UsageError if they do not fit together."""
    shape = shape_of(scheme, "mask", signals.mask)
    require(
        len(shape) <= 2,
        f"weighting {scheme!r}: mask has shape {shape}, expected [B, T]; use vmap over "
        "further axes, so that each learner's weights are normalised alone.",
    )
    for name in needs:
        x = getattr(signals, name)
        if x is None:
            raise UsageError(
                f"weighting {scheme!r} needs the signal {name!r} ({MEANING[name]}) and did not "
                f"get it; pass {', '.join(f'{n}=…' for n in needs)} and mask=…"
            )
        if name in _SCALARS:
            continue
        given = shape_of(scheme, name, x)
        expected = (*shape, *given[-1:]) if name in PER_AGENT else shape
        if given != expected:
            raise UsageError(
                f"weighting {scheme!r}: {name} has shape {given} but mask has "
                f"{shape}; it must be {MEANING[name]}."
            )
    arrays = [signals.mask, *(getattr(signals, n) for n in needs if n not in _SCALARS)]
    devices = sorted({str(x.device) for x in arrays if is_torch_array(x)})
    require(
        len(devices) <= 1,
        f"weighting {scheme!r}: mask and signals lie on {' and '.join(devices)}; "
        "move them to one device.",
    )
    try:
        return array_namespace(*arrays)
    except TypeError as error:
        kinds = ", ".join(sorted({type(x).__module__.split(".")[0] for x in arrays}))
        raise UsageError(
            f"weighting {scheme!r}: mask and signals come from {kinds}; give arrays of "
            "one library: NumPy, JAX or torch."
        ) from error


def shape_of(scheme: str, name: str, x: Any) -> tuple[int, ...]:
    """The shape of an array; UsageError for anything else."""
    if not hasattr(x, "shape"):
        raise UsageError(
            f"weighting {scheme!r}: {name} is a {type(x).__name__}; "
            "give an array of NumPy, JAX or torch."
        )
    return tuple(x.shape)


def clean(s: Signals, needs: tuple[str, ...], xp: Any) -> Signals:
    """The needed signals as float32 or wider, flags as booleans, and harmless on padding.

    Whatever padding holds, NaN included, never enters what is summed over steps.
    """
    mask = s.mask != 0

    def harmless(name: str) -> Any:
        x = constant(getattr(s, name))
        if name in _SCALARS:
            return x
        if name in _FLAGS:
            return mask & (x != 0)
        x = wide(x, xp)
        if name not in PER_AGENT:
            return xp.where(mask, x, 0.0)  # equal values: δ = 0, and a gap of 0
        # an agent's number enters the weight of its own step alone, which is masked in the end;
        # NumPy would warn of what padding holds
        return xp.where(mask[..., None], x, 1.0) if is_numpy_array(x) else x

    return Signals(mask, moving=s.moving, **{name: harmless(name) for name in needs})


def wide(x: Any, xp: Any) -> Any:
    """x in float32 at least."""
    enough = xp.isdtype(x.dtype, "real floating") and xp.finfo(x.dtype).bits >= 32
    return x if enough else xp.astype(x, xp.float32)


def constant(x: Any) -> Any:
    """x without a gradient, in whatever library it lives."""
    if is_jax_array(x):
        import jax

        return jax.lax.stop_gradient(x)
    return x.detach() if is_torch_array(x) else x
