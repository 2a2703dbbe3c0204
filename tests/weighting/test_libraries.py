"""One implementation for NumPy, JAX and torch: equal numbers, no gradient, same device."""

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo import weighting
from macpo.learners.losses import weighted_squared_error
from macpo.weighting.normalise import Normalise
from tests.support.weighting_kinds import KINDS
from tests.support.weighting_samples import Arrays, fixture, golden, one_step, weigh

MODES = get_args(Normalise)
every_weighting = pytest.mark.parametrize("name", weighting.available())
on_policy = {"on_policy": 5.0}  # so that this factor is seen, too


def torch() -> ModuleType:
    return pytest.importorskip("torch", reason="torch is not installed (extra: macpo[bench])")


def in_all_modes(name: str, batch: Arrays) -> list[Any]:
    """The weights in every normalisation, and capped."""
    options = [*({"normalise": mode} for mode in MODES), {"normalise": "mean", "clip": 1.5}]
    return [weigh(name, batch, **on_policy, **more) for more in options]


@functools.cache
def expected(name: str) -> list[np.ndarray]:
    return in_all_modes(name, fixture())


def agree(given: list[Any], name: str, rtol: float) -> None:
    for weights, reference in zip(given, expected(name), strict=True):
        np.testing.assert_allclose(np.asarray(weights), reference, rtol=rtol)


def as_jax(batch: Arrays) -> Arrays:
    return jax.device_put(batch)


def as_torch(batch: Arrays, dtype: str = "float32", device: str = "cpu") -> Arrays:
    def convert(x: np.ndarray) -> Any:
        kind = None if x.dtype == bool else getattr(torch(), dtype)
        return torch().tensor(x, dtype=kind, device=device)

    return {name: convert(x) for name, x in batch.items()}


# --- equal numbers --------------------------------------------------------------------------------


@every_weighting
def test_single_precision_agrees_with_double(name: str) -> None:
    single = {k: x if x.dtype == bool else np.float32(x) for k, x in fixture().items()}
    agree(in_all_modes(name, single), name, rtol=2e-6)


@every_weighting
def test_jax_agrees_with_numpy(name: str) -> None:  # compiled too: `integration/contract`
    weights = weigh(name, as_jax(fixture()))
    np.testing.assert_allclose(weights, weigh(name, fixture()), rtol=2e-6)


@every_weighting
def test_torch_agrees_with_numpy(name: str) -> None:
    agree(in_all_modes(name, as_torch(fixture(), "float32")), name, rtol=2e-6)
    single = weighting.make(name).needs == ()  # the mask alone is read, in single precision
    agree(in_all_modes(name, as_torch(fixture(), "float64")), name, 2e-6 if single else 1e-12)


def test_jax_and_torch_give_the_worked_numbers_of_macpo() -> None:
    numbers = [golden()["fixture"]["normalised"]["macpo"]]
    call: Callable[..., Any] = jax.jit(lambda batch: weigh("macpo", batch))
    np.testing.assert_allclose(call(as_jax(fixture())), numbers, rtol=2e-6)
    np.testing.assert_allclose(weigh("macpo", as_torch(fixture())).numpy(), numbers, rtol=2e-6)


# --- dtypes and devices ---------------------------------------------------------------------------


@every_weighting
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_gives_float32_weights_in_jax(name: str, dtype: str) -> None:
    narrow = {k: x.astype(dtype) for k, x in as_jax(fixture()).items()}
    assert jax.eval_shape(lambda batch: weigh(name, batch), narrow).dtype == jnp.float32


@every_weighting
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_gives_float32_weights_in_torch(name: str, dtype: str) -> None:
    assert weigh(name, as_torch(fixture(), dtype)).dtype == torch().float32


@every_weighting
def test_double_precision_stays_so_in_torch(name: str) -> None:
    reads_a_signal = weighting.make(name).needs != ()
    dtype = torch().float64 if reads_a_signal else torch().float32
    assert weigh(name, as_torch(fixture(), "float64")).dtype == dtype


@every_weighting
def test_nothing_leaves_the_device_of_the_mask(name: str) -> None:
    # torch's "meta" device holds no data, and refuses arithmetic with other devices
    batch = as_torch(fixture(), device="meta")
    for weights in in_all_modes(name, batch):
        assert weights.device.type == "meta"


def test_signals_on_two_devices_are_refused() -> None:
    batch = as_torch(fixture(), device="meta") | {"mask": torch().ones(1, 5)}
    with pytest.raises(ValueError, match="lie on cpu and meta; move them to one device"):
        weigh("macpo", batch)


# --- weights are constants ------------------------------------------------------------------------


def jax_loss(q: jax.Array, batch: Arrays, name: str, mode: str) -> jax.Array:
    weights = weigh(name, batch | {"q": q}, normalise=mode)
    error, mask = q - batch["target"], batch["mask"] != 0
    if weights.ndim > q.ndim:  # of each agent
        error, mask = jnp.broadcast_to(error[..., None], weights.shape), mask[..., None]
    return weighted_squared_error(error, weights, mask)


@pytest.mark.parametrize("name", KINDS)
def test_the_gradient_of_the_loss_is_that_of_constant_weights(name: str) -> None:
    batch = as_jax(fixture())
    for mode in ("mean", "none"):
        gradient = jax.jit(jax.grad(jax_loss), static_argnums=(2, 3))(batch["q"], batch, name, mode)
        weights = weigh(name, fixture(), normalise=mode)
        weights = weights if weights.ndim == 2 else weights.sum(-1)
        constant = 2 * weights * fixture()["q"] / 4  # y = 0, four valid steps
        np.testing.assert_allclose(gradient, constant, rtol=2e-6)


def test_the_gradient_of_one_step_equals_the_worked_number() -> None:
    numbers = golden()["stop_gradient"]
    batch = as_jax(one_step(numbers["delta"], numbers["gap"], tuple(numbers["pi"])))
    gradient = jax.jit(jax.grad(jax_loss), static_argnums=(2, 3))(
        batch["q"], batch, "macpo", "none"
    )
    assert gradient.item() == pytest.approx(numbers["grad_detached"], rel=1e-6)


@every_weighting
def test_weights_and_running_means_in_torch_carry_no_gradient(name: str) -> None:
    batch = as_torch(fixture())
    for signal in {*batch} - {"mask", "is_greedy", "uniform_noise"}:
        batch[signal].requires_grad_()
    weigh = weighting.make(name, normalise="ema", **on_policy)
    output = weigh.apply(weigh.init(), weighting.Signals(**batch))
    results = [output.weights, *output.state.values(), *output.metrics.values()]
    assert not any(x.requires_grad for x in results)


# --- torch.compile --------------------------------------------------------------------------------


def agrees_compiled(name: str, backend: str) -> None:
    library = torch()
    by_torch = weighting.make(name, normalise="mean", **on_policy)
    library.compiler.reset()
    compiled = library.compile(lambda batch: by_torch(**batch), backend=backend)
    reference = weigh(name, fixture(), **on_policy)
    np.testing.assert_allclose(compiled(as_torch(fixture())).numpy(), reference, rtol=2e-6)


@pytest.mark.filterwarnings("ignore:Dynamo:UserWarning")
@pytest.mark.parametrize("name", KINDS)
def test_compiled_torch_agrees_with_numpy(name: str) -> None:
    agrees_compiled(name, backend="eager")


@pytest.mark.filterwarnings("ignore:Dynamo:UserWarning")
def test_so_it_does_where_torch_traces_gradients_ahead_of_time() -> None:
    agrees_compiled("macpo", backend="aot_eager")
