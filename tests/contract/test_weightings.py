"""What every weighting promises; a new file in `macpo/weighting` is tested without an edit here."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo import registry
from macpo.weighting import Scheme, Signals

B, T, N = 6, 7, 4
LENGTHS = np.array([7, 5, 5, 3, 1, 0])

Arrays = dict[str, Any]


def variants() -> list[tuple[str, str | None]]:
    """Every weighting, in both normalisations where it has the choice."""
    modes = {
        name: ("mean", "none") if "normalise" in cls.__dataclass_fields__ else (None,)
        for name, cls in registry.discover("weighting").items()
    }
    return [(name, mode) for name in modes for mode in modes[name]]


def scheme(name: str, normalise: str | None) -> Scheme:
    options = {} if normalise is None else {"normalise": normalise}
    return registry.make_config("weighting", name, **options).make()


@functools.cache
def _random(seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    q, target, q_star, q_star_greedy = rng.normal(scale=2, size=(4, B, T))
    return {
        "q": q,
        "target": target,
        "q_star": q_star,
        "pi_taken": rng.random((B, T, N)) ** 0.25,
        "is_greedy": rng.random((B, T)) < 0.5,
        "q_star_greedy": q_star_greedy,
        "mask": np.arange(T) < LENGTHS[:, None],
    }


def signals(seed: int = 0) -> Arrays:
    """All signals there are, of episodes of different lengths; float64."""
    return dict(_random(seed))


def where(there: np.ndarray, value: float, x: np.ndarray) -> np.ndarray:
    """x with `value` in the steps marked; flags become true."""
    there = there[..., None] if x.ndim > there.ndim else there
    return there | x if x.dtype == bool else np.where(there, value, x)


every_variant = pytest.mark.parametrize(("name", "normalise"), variants())
every_mean = pytest.mark.parametrize("name", [name for name, mode in variants() if mode == "mean"])
every_weighting = pytest.mark.parametrize("name", list(registry.discover("weighting")))


# --- the numbers ----------------------------------------------------------------------------------


@every_variant
def test_weights_are_finite_and_not_negative(name: str, normalise: str | None) -> None:
    weights = scheme(name, normalise)(**signals())
    assert weights.shape == (B, T)
    assert np.isfinite(weights).all()
    assert (weights >= 0).all()


@every_mean
def test_weights_have_mean_one_over_valid_steps(name: str) -> None:
    weights = scheme(name, "mean")(**signals())
    assert weights[signals()["mask"]].mean() == pytest.approx(1, rel=1e-12)


@every_mean
def test_weights_have_mean_one_in_single_precision_too(name: str) -> None:
    batch = {k: np.repeat(x, 128, 0) for k, x in signals().items()}
    weights = np.asarray(scheme(name, "mean")(**as_jax(batch)))
    assert weights[batch["mask"]].mean(dtype=np.float64) == pytest.approx(1, rel=1e-5)


@every_mean
def test_normalisation_changes_nothing_but_the_scale(name: str) -> None:
    mean, raw = (scheme(name, mode)(**signals()) for mode in ("mean", "none"))
    np.testing.assert_allclose(mean * raw.sum(), raw * mean.sum(), rtol=1e-12)


@every_mean
def test_steps_that_look_alike_weigh_one_even_if_their_raw_weight_is_zero(name: str) -> None:
    for error in (0.0, 1.5):
        batch = {k: x if k == "mask" else np.ones_like(x) for k, x in signals().items()}
        batch["target"] = batch["q"] - error
        weights = scheme(name, "mean")(**batch)
        np.testing.assert_allclose(weights, batch["mask"], rtol=1e-12)


# --- padding --------------------------------------------------------------------------------------


@every_variant
@pytest.mark.parametrize("garbage", [np.nan, np.inf, -np.inf, 1e30])
def test_padding_weighs_zero_and_changes_nothing_whatever_it_holds(
    name: str, normalise: str | None, garbage: float
) -> None:
    mask = signals()["mask"]
    dirty = {k: x if k == "mask" else where(~mask, garbage, x) for k, x in signals().items()}
    weights = scheme(name, normalise)(**dirty)
    assert (weights[~mask] == 0).all()
    np.testing.assert_array_equal(weights, scheme(name, normalise)(**signals()))


@every_variant
def test_appended_padding_changes_nothing(name: str, normalise: str | None) -> None:
    def padded(x: np.ndarray) -> np.ndarray:
        return np.pad(x, [(0, 3), (0, 2), *[(0, 0)] * (x.ndim - 2)])

    weights = scheme(name, normalise)(**{k: padded(x) for k, x in signals().items()})
    expected = padded(scheme(name, normalise)(**signals()))
    np.testing.assert_allclose(weights, expected, rtol=1e-12)


@every_variant
def test_a_batch_of_padding_alone_gets_zeros(name: str, normalise: str | None) -> None:
    batch = signals() | {"mask": np.zeros((B, T), bool)}
    assert not scheme(name, normalise)(**batch).any()


# --- symmetries -----------------------------------------------------------------------------------


@every_variant
def test_permuting_episodes_permutes_their_weights(name: str, normalise: str | None) -> None:
    order = np.random.default_rng(1).permutation(B)
    weights = scheme(name, normalise)(**{k: x[order] for k, x in signals().items()})
    np.testing.assert_allclose(weights, scheme(name, normalise)(**signals())[order], rtol=1e-12)


@every_variant
def test_the_order_of_agents_does_not_matter(name: str, normalise: str | None) -> None:
    order = np.random.default_rng(2).permutation(N)
    batch = signals() | {"pi_taken": signals()["pi_taken"][..., order]}
    expected = scheme(name, normalise)(**signals())
    np.testing.assert_allclose(scheme(name, normalise)(**batch), expected, rtol=1e-12)


# --- inside a learner -----------------------------------------------------------------------------


def as_jax(batch: Arrays) -> Arrays:
    return {name: jnp.asarray(x) for name, x in batch.items()}


@every_variant
def test_compiled_weights_equal_those_of_numpy(name: str, normalise: str | None) -> None:
    compiled = jax.jit(lambda batch: scheme(name, normalise)(**batch))
    expected = scheme(name, normalise)(**signals())
    np.testing.assert_allclose(compiled(as_jax(signals())), expected, rtol=1e-5)


@every_variant
def test_no_gradient_flows_into_the_weights(name: str, normalise: str | None) -> None:
    batch = as_jax(signals())
    differentiable = {k: x for k, x in batch.items() if x.dtype != bool}

    def total(given: Arrays) -> jax.Array:
        weights = scheme(name, normalise)(**batch | given)
        return (weights * jnp.arange(weights.size).reshape(weights.shape)).sum()

    gradients = jax.grad(total)(differentiable)
    assert not any(np.asarray(g).any() for g in gradients.values())


@every_variant
def test_vmap_over_seeds_gives_the_weights_of_each(name: str, normalise: str | None) -> None:
    seeds = [as_jax(signals(seed)) for seed in range(3)]
    together = jax.vmap(lambda batch: scheme(name, normalise)(**batch))(
        jax.tree.map(lambda *x: jnp.stack(x), *seeds)
    )
    alone = jnp.stack([scheme(name, normalise)(**batch) for batch in seeds])
    np.testing.assert_allclose(together, alone, rtol=1e-6)


@every_variant
def test_a_trailing_axis_of_length_one_is_restored(name: str, normalise: str | None) -> None:
    batch = {k: x if k == "pi_taken" else x[..., None] for k, x in signals().items()}
    weights = scheme(name, normalise)(**batch)
    expected = scheme(name, normalise)(**signals())[..., None]
    np.testing.assert_array_equal(weights, expected, strict=True)


@every_weighting
def test_metrics_are_finite_scalars(name: str) -> None:
    _, metrics = scheme(name, None).weigh(Signals(**signals()))
    assert all(np.ndim(value) == 0 and np.isfinite(value) for value in metrics.values())


@every_weighting
def test_the_signals_needed_are_enough(name: str) -> None:
    weigh = scheme(name, None)
    needed = {k: x for k, x in signals().items() if k in {"mask", *weigh.needs}}
    np.testing.assert_array_equal(weigh(**needed), weigh(**signals()))


@every_weighting
def test_every_signal_needed_is_asked_for_by_name(name: str) -> None:
    weigh = scheme(name, None)
    for missing in weigh.needs:
        with pytest.raises(ValueError, match=f"needs the signal '{missing}'"):
            weigh(**signals() | {missing: None})
