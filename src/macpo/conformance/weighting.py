"""The promises of a weighting: each is a check that yields a finding where it is broken.

The first sentence of a check's docstring says what holds if it yields nothing. All take the
weighting.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from macpo import registry
from macpo.algorithms import QMIX
from macpo.conformance.findings import examine
from macpo.conformance.signals import LENGTHS, MASK, change_steps, draw_signals
from macpo.envs import TwoStep
from macpo.experiment import Experiment, from_dict, to_dict
from macpo.interop.check import Result
from macpo.interop.promises import Finding, Promise, broken
from macpo.training.trainer import make_trainer
from macpo.types import AnyArray
from macpo.weighting.normalise import Normalise
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Weighting, WeightingOutput

MODES: tuple[Normalise, ...] = get_args(Normalise)
CLOSE = 1e-5
"""Relative; weights are computed in single precision where they must be."""


def check_weighting(weighting: Weighting) -> Iterator[Result]:
    """Every check of a weighting, in turn.

    >>> from macpo.weighting import PER
    >>> [result.title for result in check_weighting(PER()) if result.findings]
    []
    """
    return examine(PROMISES, weighting)


def _apply(weighting: Weighting, signals: Signals) -> WeightingOutput:
    return weighting.apply(weighting.init(), signals)


def _weights(weighting: Weighting, signals: Signals) -> Float[np.ndarray, "*B"]:
    return np.asarray(_apply(weighting, signals).weights)


def _in(weighting: Weighting, mode: Normalise) -> Weighting:
    return dataclasses.replace(weighting, normalise=mode)


def _differ(one: ArrayLike, other: ArrayLike) -> bool:
    return not np.allclose(one, other, rtol=CLOSE, atol=1e-7, equal_nan=True)


# --- the numbers ----------------------------------------------------------------------------------


def shapes(weighting: Weighting) -> Iterator[Finding]:
    """There is one weight for each step, or for each agent's."""
    signals = draw_signals()
    agents = signals.pi_taken.shape[-1:] if weighting.per_agent else ()
    expected, found = (*MASK.shape, *agents), _weights(weighting, signals).shape
    if found != expected:
        yield broken("weights", f"shape {expected}", str(found))


def signs(weighting: Weighting) -> Iterator[Finding]:
    """Weights are finite and not negative."""
    for seed in range(3):
        weights = _weights(weighting, draw_signals(seed))
        for where in np.argwhere(~(np.isfinite(weights) & (weights >= 0)))[:1]:
            at = f"episode {where[0]}, step {where[1]}"
            yield broken(at, "a weight from 0 on", f"{weights[tuple(where)]:g}")


def scales(weighting: Weighting) -> Iterator[Finding]:
    """Weights have mean one, sum one or maximum one, as asked."""
    measures: dict[Normalise, Callable[[np.ndarray], float]] = {
        "mean": np.mean,
        "sum": np.sum,
        "max": np.max,
    }
    for mode, measure in measures.items():
        found = measure(_weights(_in(weighting, mode), draw_signals())[MASK])
        if _differ(found, 1):
            yield broken(f"normalise={mode!r}", f"a {mode} of 1 over valid steps", f"{found:g}")


def ratios(weighting: Weighting) -> Iterator[Finding]:
    """Normalisation changes nothing but the scale."""
    raw = _weights(_in(weighting, "none"), draw_signals())
    for mode in MODES:
        weights = _weights(_in(weighting, mode), draw_signals())
        if _differ(weights / weights.sum(), raw / raw.sum()):
            yield Finding(f"normalise={mode!r}", "weights are not in proportion to the raw ones")


def repeated(weighting: Weighting) -> Iterator[Finding]:
    """Weighing twice is weighing once, and changes none of its inputs."""
    signals, kept = draw_signals(), draw_signals()
    state = weighting.init()
    first, second = (weighting.apply(state, signals) for _ in range(2))
    if not np.array_equal(first.weights, second.weights):
        yield Finding("second call", "other weights for the same signals")
    if state != weighting.init():
        yield Finding("state", "the state that is passed in is changed; return a new one")
    for name, x in signals._asdict().items():
        if x is not None and not np.array_equal(x, getattr(kept, name)):
            yield Finding(name, "the signal that is passed in is changed")


def states(weighting: Weighting) -> Iterator[Finding]:
    """The state keeps its names, and is of finite numbers."""
    new, first = _apply(weighting, draw_signals()).state, weighting.init()
    if new.keys() != first.keys():
        yield broken("state", f"the names {sorted(first)}", str(sorted(new)))
    for name, x in new.items():
        if np.ndim(x) or not np.isfinite(x):
            yield broken(f"state, {name}", "a finite number", str(x))


# --- padding --------------------------------------------------------------------------------------


def padding(weighting: Weighting) -> Iterator[Finding]:
    """Padding weighs zero and changes nothing, whatever it holds."""
    clean = _weights(weighting, draw_signals())
    if clean[~MASK].any():
        yield broken("padding", "weights of 0", f"{np.abs(clean[~MASK]).max():g}")
    for garbage in (np.nan, np.inf, 1e30):

        def dirty(x: AnyArray, garbage: float = garbage) -> AnyArray:
            there = ~MASK[..., None] if x.ndim > MASK.ndim else ~MASK
            return there | x if x.dtype == bool else np.where(there, garbage, x)

        signals = change_steps(draw_signals(), dirty)._replace(mask=MASK)
        with np.errstate(all="ignore"):
            if not np.array_equal(_weights(weighting, signals), clean):
                yield Finding(f"padding of {garbage:g}", "changes the weights of valid steps")


def longer_batches(weighting: Weighting) -> Iterator[Finding]:
    """Steps of padding at the end of all episodes change nothing."""
    clean = _weights(weighting, draw_signals())

    def padded(x: AnyArray) -> AnyArray:
        return np.pad(x, [(0, 0), (0, 2), *[(0, 0)] * (x.ndim - 2)])

    weights = _weights(weighting, change_steps(draw_signals(), padded))
    if _differ(weights[:, : MASK.shape[1]], clean):
        yield Finding("two steps of padding", "change the weights of valid steps")


def faults(weighting: Weighting) -> Iterator[Finding]:
    """An error that is no number never weighs zero, which would hide it."""
    at = (np.arange(MASK.shape[1]) == 2) & MASK & (np.arange(len(LENGTHS)) < 3)[:, None]
    for fault in (np.nan, np.inf):
        signals = draw_signals()
        signals = signals._replace(q=np.where(at, fault, signals.q))
        with np.errstate(all="ignore"):
            weights = _weights(dataclasses.replace(weighting, nonfinite="propagate"), signals)
        if (weights[at] == 0).any():
            yield Finding(f"q of {fault:g}", "the step gets weight 0, so that nobody notices")


# --- in a learner ---------------------------------------------------------------------------------


def in_jax(weighting: Weighting) -> Iterator[Finding]:
    """JAX arrays get the weights of NumPy's, compiled or not, and no gradient."""
    expected = _weights(weighting, draw_signals())
    signals = jax.tree.map(jnp.asarray, draw_signals())
    for how, apply in (("", _apply), (", compiled", jax.jit(_apply, static_argnums=0))):
        if not np.allclose(apply(weighting, signals).weights, expected, rtol=1e-3, atol=1e-5):
            yield Finding(f"JAX{how}", "other weights than for NumPy's arrays")

    def total(q: AnyArray) -> AnyArray:
        return _apply(weighting, signals._replace(q=q)).weights.sum()

    if np.any(np.asarray(jax.grad(total)(signals.q))):
        yield Finding("gradient", "weights are not constant: their gradient by q is not 0")


def metrics(weighting: Weighting) -> Iterator[Finding]:
    """Its metrics are numbers."""
    for name, x in _apply(weighting, draw_signals()).metrics.items():
        if np.ndim(x):
            yield broken(f"metric {name}", "a number", f"shape {np.shape(x)}")


def in_training(weighting: Weighting) -> Iterator[Finding]:
    """QMIX learns with it: an update is traced and has its signals."""
    make_trainer(Experiment(TwoStep(), QMIX(), weighting)).check()
    yield from ()  # whatever is raised is the finding


def in_files(weighting: Weighting) -> Iterator[Finding]:
    """An experiment's file gives it back."""
    data = to_dict(Experiment(TwoStep(), QMIX(), weighting))
    found = from_dict(data, trust=registry.is_import_path(registry.name_of(weighting))).weighting
    if found != weighting:
        yield broken("experiment.json", repr(weighting), repr(found))


PROMISES: tuple[Promise, ...] = (
    *(shapes, signs, scales, ratios, repeated, states, padding, longer_batches, faults),
    *(in_jax, metrics, in_training, in_files),
)
