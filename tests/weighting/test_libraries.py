"""One implementation for NumPy, JAX and torch: equal numbers, no gradient, same device."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo import weighting
from macpo.losses import weighted_squared_error
from tests.weighting.samples import Arrays, fixture, golden, one_step

SCHEMES: dict[str, dict[str, Any]] = {
    "uniform": {},
    "macpo": {},
    "macpo-approx": {},
    "owqmix": {},
    "cwqmix": {},
}
every_scheme = pytest.mark.parametrize("name", SCHEMES)
modes = pytest.mark.parametrize("normalise", ["mean", "none"])


def torch() -> ModuleType:
    return pytest.importorskip("torch", reason="torch is not installed (extra: macpo[bench])")


def full_fixture() -> Arrays:
    """The worked fixture together with the signals of CW-QMIX."""
    batch = fixture()
    greedy = np.array([[True, False, True, False, False]])
    return batch | {"is_greedy": greedy, "q_star_greedy": np.array([[1.0, -1, 2, 3, 0]])}


def scheme(name: str, normalise: str) -> weighting.Scheme:
    return weighting.make(name, **{} if name == "uniform" else {"normalise": normalise})


def as_jax(batch: Arrays) -> Arrays:
    return {name: jnp.asarray(x) for name, x in batch.items()}


def as_torch(batch: Arrays, dtype: str = "float32", device: str = "cpu") -> Arrays:
    def convert(x: np.ndarray) -> Any:
        kind = None if x.dtype == bool else getattr(torch(), dtype)
        return torch().tensor(x, dtype=kind, device=device)

    return {name: convert(x) for name, x in batch.items()}


def jitted(call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda **batch: jax.jit(lambda b: call(**b))(batch)


# --- equal numbers --------------------------------------------------------------------------------


@modes
@every_scheme
def test_jax_agrees_with_numpy_compiled_and_not(name: str, normalise: str) -> None:
    weigh = scheme(name, normalise)
    expected = weigh(**full_fixture())
    batch = as_jax(full_fixture())
    np.testing.assert_allclose(weigh(**batch), expected, rtol=2e-6)
    np.testing.assert_allclose(jitted(weigh)(**batch), expected, rtol=2e-6)


@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 2e-6), ("float64", 1e-12)])
@modes
@every_scheme
def test_torch_agrees_with_numpy(name: str, normalise: str, dtype: str, rtol: float) -> None:
    weigh = scheme(name, normalise)
    weights = weigh(**as_torch(full_fixture(), dtype))
    np.testing.assert_allclose(weights.numpy(), weigh(**full_fixture()), rtol=rtol)


def test_jax_and_torch_give_the_worked_numbers_of_macpo() -> None:
    expected = [golden()["fixture"]["normalised"]["macpo"]]
    weigh = scheme("macpo", "mean")
    np.testing.assert_allclose(jitted(weigh)(**as_jax(fixture())), expected, rtol=2e-6)
    np.testing.assert_allclose(weigh(**as_torch(fixture())).numpy(), expected, rtol=2e-6)


# --- dtypes and devices ---------------------------------------------------------------------------


@every_scheme
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_gives_float32_weights(name: str, dtype: str) -> None:
    narrow = {k: x.astype(dtype) for k, x in as_jax(full_fixture()).items()}
    assert scheme(name, "mean")(**narrow).dtype == jnp.float32


@every_scheme
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_gives_float32_weights_in_torch(name: str, dtype: str) -> None:
    weights = scheme(name, "mean")(**as_torch(full_fixture(), dtype))
    assert weights.dtype == torch().float32


@every_scheme
def test_nothing_leaves_the_device_of_the_mask(name: str) -> None:
    # torch's "meta" device holds no data, and refuses arithmetic with other devices
    batch = as_torch(full_fixture(), device="meta")
    assert scheme(name, "mean")(**batch).device.type == "meta"


def test_signals_on_two_devices_are_refused() -> None:
    batch = as_torch(fixture(), device="meta") | {"mask": torch().ones(1, 5)}
    with pytest.raises(ValueError, match="lie on cpu and meta; move them to one device"):
        scheme("macpo", "mean")(**batch)


# --- weights are constants ------------------------------------------------------------------------


def jax_loss(q: jax.Array, batch: Arrays, weigh: weighting.Scheme) -> jax.Array:
    weights = weigh(**batch | {"q": q})
    return weighted_squared_error(q - batch["target"], weights, batch["mask"] != 0)


@modes
@every_scheme
def test_the_gradient_of_the_loss_is_that_of_constant_weights(name: str, normalise: str) -> None:
    batch, weigh = as_jax(full_fixture()), scheme(name, normalise)
    gradient = jax.grad(jax_loss)(batch["q"], batch, weigh)
    expected = 2 * weigh(**batch) * (batch["q"] - batch["target"]) / batch["mask"].sum()
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_the_gradient_of_one_step_equals_the_worked_number() -> None:
    numbers = golden()["stop_gradient"]
    batch = as_jax(one_step(numbers["delta"], numbers["gap"], tuple(numbers["pi"])))
    gradient = jax.grad(jax_loss)(batch["q"], batch, scheme("macpo", "none"))
    assert float(gradient[0, 0]) == pytest.approx(numbers["grad_detached"], rel=1e-6)


@every_scheme
def test_weights_in_torch_carry_no_gradient(name: str) -> None:
    batch = as_torch(full_fixture())
    for signal in ("q", "target", "q_star", "pi_taken", "q_star_greedy"):
        batch[signal].requires_grad_()
    weights = scheme(name, "mean")(**batch)
    assert not weights.requires_grad
    (weights * (batch["q"] - batch["target"]) ** 2).sum().backward()
    expected = 2 * weights * (batch["q"] - batch["target"]).detach()
    np.testing.assert_allclose(batch["q"].grad.numpy(), expected.numpy(), rtol=1e-6)
    assert batch["q_star"].grad is None
    assert batch["pi_taken"].grad is None
