"""What every weighting promises; a new file in `macpo/weighting` is tested without an edit here."""

import functools
from collections.abc import Callable
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from macpo import registry
from macpo.errors import UsageError
from macpo.weighting import MEANING, Signals, Weighting
from macpo.weighting.normalise import Normalise
from macpo.weighting.weighting import WeightingOutput
from tests.support import weighting_samples as samples
from tests.support.weighting_samples import quick

B, T, N = 6, 7, 4
LENGTHS = np.array([7, 5, 5, 3, 1, 0])

NAMES = list(registry.discover("weighting"))
MODES = get_args(Normalise)
PER_AGENT = ("pi_taken", "dq_tot_dq")

# what a weight may depend on besides its own step and sums over the batch
SEES_THE_EPISODE = {"pser", "reaper", "remert"}
PICKS_IN_ORDER = {"laber"}
RANKS = {"per-rank"}  # equal steps by their order

Arrays = dict[str, Any]


def weighting(name: str, **options: Any) -> Weighting:
    return registry.make_config("weighting", name, **options)


def weigh(name: str, batch: Arrays, **options: Any) -> np.ndarray:
    return weighting(name, **options)(**batch)


def apply(name: str, batch: Arrays, **options: Any) -> WeightingOutput:
    weigh = weighting(name, **options)
    return weigh.apply(weigh.init(), Signals(**batch))


@functools.cache
def _random(seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    # values that single precision holds, too
    q, target, q_star, q_star_greedy, q_of_target_net = _short(rng.normal(size=(5, B, T)) * 2)
    return {
        "q": q,
        "target": target,
        "q_star": q_star,
        "pi_taken": _short(rng.random((B, T, N)) ** 0.25),
        "is_greedy": rng.random((B, T)) < 0.5,
        "q_star_greedy": q_star_greedy,
        "q_of_target_net": q_of_target_net,
        "dq_tot_dq": _short(rng.random((B, T, N))),
        "error_estimate": _short(rng.exponential(4, (B, T))),
        "next_error_estimate": _short(rng.exponential(4, (B, T))),
        "log_density_ratio": _short(rng.normal(size=(B, T)) * 8),  # some beyond ±10
        "uniform_noise": np.float64(_short(rng.random())),
        "mask": np.arange(T) < LENGTHS[:, None],
    }


def _short(x: Any) -> Any:
    return np.float64(np.float32(x))


def signals(seed: int = 0) -> Arrays:
    """All signals there are, of episodes of different lengths; float64."""
    return dict(_random(seed))


MASK = signals()["mask"]


@functools.cache
def reference(name: str, mode: str) -> np.ndarray:
    return weigh(name, signals(), normalise=mode)


def changed(change: Callable[[np.ndarray], np.ndarray], batch: Arrays | None = None) -> Arrays:
    """The batch with every signal of steps passed through `change`."""
    batch = signals() if batch is None else batch
    return {k: x if k == "uniform_noise" else change(x) for k, x in batch.items()}


def assert_close(weights: Any, expected: Any) -> None:
    """Equal but for rounding, which is coarser where only the mask, not a signal, is read."""
    rtol = 1e-12 if weights.dtype == np.float64 else 2e-6
    np.testing.assert_allclose(weights, expected, rtol=rtol)


def valid(weights: Any) -> np.ndarray:
    """The weights of valid steps, of all agents if there is one for each."""
    return np.asarray(weights)[MASK]


def as_jax(batch: Arrays) -> Arrays:
    return {name: jnp.asarray(x) for name, x in batch.items()}


def in_all_modes(name: str) -> Callable[[Arrays], Arrays]:
    """The weights of a batch by mode, for one compilation instead of five."""
    return lambda batch: {mode: weigh(name, batch, normalise=mode) for mode in MODES}


every_weighting = pytest.mark.parametrize("name", NAMES)
every_mode = pytest.mark.parametrize("mode", MODES)


def test_the_signals_drawn_here_are_all_there_are() -> None:
    assert set(signals()) == set(samples.fixture()) == set(MEANING)


@every_weighting
def test_every_weighting_has_the_common_options(name: str) -> None:
    assert issubclass(registry.config_class("weighting", name), Weighting)
    assert weighting(name).name == name


# --- the numbers ----------------------------------------------------------------------------------


@every_weighting
@settings(quick, max_examples=20)
@given(samples.signals())
def test_weights_are_finite_not_negative_and_zero_on_padding(name: str, batch: Arrays) -> None:
    for mode in MODES:
        weights = weigh(name, batch, normalise=mode)
        agents = batch["pi_taken"].shape[-1:] if weighting(name).per_agent else ()
        assert weights.shape == (*batch["mask"].shape, *agents)
        assert np.isfinite(weights).all()
        assert (weights >= 0).all()
        assert not weights[~batch["mask"]].any()


@every_weighting
@settings(quick, max_examples=20)
@given(samples.signals())
def test_weights_have_mean_one_sum_one_or_maximum_one_over_valid_steps(
    name: str, batch: Arrays
) -> None:
    mask = batch["mask"]
    if mask.any():
        mean, total, largest = (
            weigh(name, batch, normalise=m)[mask] for m in ("mean", "sum", "max")
        )
        assert_close(mean.mean(), 1)
        assert_close(total.sum(), 1)
        assert_close(largest.max(), 1)


@every_weighting
def test_weights_have_mean_one_in_single_precision_too(name: str) -> None:
    batch = changed(lambda x: np.repeat(x, 128, 0))
    batch = {k: x if x.dtype == bool else np.float32(x) for k, x in batch.items()}
    weights = weigh(name, batch, normalise="mean")
    assert weights.dtype == np.float32
    assert weights[batch["mask"]].mean(dtype=np.float64) == pytest.approx(1, rel=1e-5)


@every_mode
@every_weighting
def test_normalisation_changes_nothing_but_the_scale(name: str, mode: str) -> None:
    raw, weights = reference(name, "none"), reference(name, mode)
    assert raw.any()
    assert_close(weights * raw.sum(), raw * weights.sum())


@every_weighting
def test_raw_weights_are_what_the_metrics_call_so(name: str) -> None:
    metrics = apply(name, signals(), normalise="mean").metrics
    assert metrics["weight_raw_mean"] == pytest.approx(valid(reference(name, "none")).mean())


@pytest.mark.parametrize("name", sorted({*NAMES} - {*PICKS_IN_ORDER, *RANKS, "reaper", "remert"}))
def test_steps_that_look_alike_weigh_one_even_if_their_raw_weight_is_zero(name: str) -> None:
    for error in (0.0, 1.5):
        batch = changed(np.ones_like) | {"mask": MASK}
        batch["target"] = batch["q"] - error
        weights = weigh(name, batch, normalise="mean")
        assert_close(valid(weights), 1)


# --- options --------------------------------------------------------------------------------------


@every_weighting
def test_on_policy_multiplies_raw_weights_by_a_power_of_the_density_ratio(name: str) -> None:
    ratio = np.exp(np.clip(signals()["log_density_ratio"], -10, 10) / 5)
    if weighting(name).per_agent:
        ratio = ratio[..., None]
    weights = weigh(name, signals(), normalise="none", on_policy=5.0)
    rtol = 1e-12 if reference(name, "none").dtype == np.float64 else 2e-6
    np.testing.assert_allclose(weights, reference(name, "none") * ratio, rtol=rtol)


@every_weighting
def test_clip_bounds_raw_weights_by_a_multiple_of_their_mean_and_then_normalises(name: str) -> None:
    raw = reference(name, "none")
    cut = np.minimum(raw, 1.5 * valid(raw).mean())
    expected = {
        "none": cut,
        "mean": cut / valid(cut).mean(),
        "sum": cut / cut.sum(),
        "max": cut / cut.max(),
        "ema": cut / valid(cut).mean(),
    }
    for mode, weights in expected.items():
        clipped = weigh(name, signals(), normalise=mode, clip=1.5)
        assert_close(clipped, weights)


@every_mode
@every_weighting
@pytest.mark.parametrize("fault", [np.nan, np.inf, -np.inf])
def test_an_error_that_is_no_number_never_weighs_zero_unless_asked(
    name: str, mode: str, fault: float
) -> None:
    batch = signals()
    batch["q"] = np.where(np.arange(T) == 2, fault, batch["q"])
    with np.errstate(invalid="ignore"):
        weights = weigh(name, batch, normalise=mode)
    # a loss of NaN or ∞ stays one under any such weight
    assert (weights[:4, 2] != 0).all()


@every_weighting
@pytest.mark.parametrize("fault", [np.nan, np.inf])
def test_faults_leave_weights_finite_if_so_asked(name: str, fault: float) -> None:
    for signal in {*MEANING} - {"mask", "is_greedy", "uniform_noise"}:
        batch = signals()
        first = (np.arange(B) == 0)[:, None] & (np.arange(T) == 2)
        first = first[..., None] if signal in PER_AGENT else first
        batch[signal] = np.where(first, fault, batch[signal])
        with np.errstate(invalid="ignore"):
            weights, state, _ = apply(name, batch, nonfinite="zero")
        assert np.isfinite(weights).all(), signal
        assert np.isfinite([*state.values()]).all(), signal


# --- running means --------------------------------------------------------------------------------


@every_weighting
def test_ema_divides_by_a_running_mean_of_the_batches_means(name: str) -> None:
    weigh, mean = weighting(name, normalise="ema"), None
    plain = weighting(name, normalise="none")
    state, plain_state = weigh.init(), plain.init()
    for seed in range(3):
        weights, state, _ = weigh.apply(state, Signals(**signals(seed)))
        raw, plain_state, _ = plain.apply(plain_state, Signals(**signals(seed)))
        new = valid(raw).mean()
        mean = new if mean is None else mean + 0.01 * (new - mean)
        assert_close(weights, raw / mean)


@every_weighting
def test_the_state_keeps_its_names_and_is_finite(name: str) -> None:
    weigh = weighting(name, normalise="ema")
    state = weigh.apply(weigh.init(), Signals(**signals())).state
    assert state.keys() == weigh.init().keys()
    assert all(np.ndim(x) == 0 and np.isfinite(x) for x in state.values())


@every_weighting
def test_running_means_approach_what_they_see_ever_more_slowly(name: str) -> None:
    weigh = weighting(name)
    assert len(weigh.running_means()) == len(weigh.init())
    steps: dict[str, list[float]] = {m.name: [] for m in weigh.running_means()}
    state = weigh.init()
    for _ in range(3):
        new = weigh.apply(state, Signals(**signals())).state
        for m in steps:
            steps[m].append(new[m] - state[m])
        state = new
    for m in weigh.running_means():
        first, second, third = steps[m.name]
        assert first != 0
        assert second / first == pytest.approx(1 - m.rate)
        assert third / second == pytest.approx(1 - m.rate)


@every_mode
@every_weighting
def test_weighing_twice_is_weighing_once(name: str, mode: str) -> None:
    weigh = weighting(name, normalise=mode)
    state, batch = weigh.init(), signals()
    kept = {k: np.copy(x) for k, x in batch.items()}
    first, second = (weigh.apply(state, Signals(**batch)) for _ in range(2))
    np.testing.assert_array_equal(first.weights, second.weights)
    assert first.state == second.state
    assert state == weigh.init()
    for k, x in batch.items():
        np.testing.assert_array_equal(x, kept[k])


# --- padding --------------------------------------------------------------------------------------


@every_weighting
@pytest.mark.parametrize("garbage", [np.nan, np.inf, -np.inf, 1e30])
def test_padding_weighs_zero_and_changes_nothing_whatever_it_holds(
    name: str, garbage: float
) -> None:
    def dirty(x: np.ndarray) -> np.ndarray:
        there = ~MASK[..., None] if x.ndim > MASK.ndim else ~MASK
        return there | x if x.dtype == bool else np.where(there, garbage, x)

    batch = changed(dirty) | {"mask": MASK}
    for mode in MODES:
        weights = weigh(name, batch, normalise=mode)
        assert not weights[~MASK].any()
        np.testing.assert_array_equal(weights, reference(name, mode))


@every_mode
@every_weighting
def test_appended_padding_and_episodes_of_padding_change_nothing(name: str, mode: str) -> None:
    def padded(x: np.ndarray) -> np.ndarray:
        return np.pad(x, [(0, 3), (0, 2), *[(0, 0)] * (x.ndim - 2)])

    weights = weigh(name, changed(padded), normalise=mode)
    assert_close(weights, padded(reference(name, mode)))


@every_mode
@every_weighting
def test_a_batch_of_padding_alone_gets_zeros_and_moves_no_mean(name: str, mode: str) -> None:
    weigh = weighting(name, normalise=mode)
    state = weigh.apply(weigh.init(), Signals(**signals())).state
    empty = Signals(**signals() | {"mask": np.zeros((B, T), bool)})
    weights, after, metrics = weigh.apply(state, empty)
    assert not weights.any()
    assert after == state
    assert metrics["weight_fallback"] == 0


# --- symmetries -----------------------------------------------------------------------------------


@every_mode
@pytest.mark.parametrize("name", sorted({*NAMES} - PICKS_IN_ORDER))
def test_permuting_episodes_permutes_their_weights(name: str, mode: str) -> None:
    order = np.random.default_rng(1).permutation(B)
    weights = weigh(name, changed(lambda x: x[order]), normalise=mode)
    assert_close(weights, reference(name, mode)[order])


@every_mode
@pytest.mark.parametrize("name", sorted({*NAMES} - PICKS_IN_ORDER - SEES_THE_EPISODE))
def test_permuting_time_permutes_the_weights(name: str, mode: str) -> None:
    order = np.random.default_rng(3).permutation(T)
    weights = weigh(name, changed(lambda x: x[:, order]), normalise=mode)
    assert_close(weights, reference(name, mode)[:, order])


@every_mode
@every_weighting
def test_the_order_of_agents_does_not_matter(name: str, mode: str) -> None:
    order = np.random.default_rng(2).permutation(N)
    batch = signals() | {k: signals()[k][..., order] for k in PER_AGENT}
    expected = reference(name, mode)
    if weighting(name).per_agent:
        expected = expected[..., order]
    assert_close(weigh(name, batch, normalise=mode), expected)


# --- inside a learner -----------------------------------------------------------------------------


@every_weighting
def test_compiled_weights_equal_those_of_numpy(name: str) -> None:
    compiled = jax.jit(in_all_modes(name))(as_jax(signals()))
    for mode in MODES:
        np.testing.assert_allclose(compiled[mode], reference(name, mode), rtol=1e-5, err_msg=mode)


@pytest.mark.parametrize("mode", ["none", "mean", "max"])
@pytest.mark.parametrize(("name", "options"), [("uniform", {}), ("per", {"alpha": 0.0})])
def test_equal_weights_are_one_to_the_last_bit_however_normalised(
    name: str, options: dict[str, float], mode: str
) -> None:
    compiled = jax.jit(lambda batch: weigh(name, batch, normalise=mode, **options))
    np.testing.assert_array_equal(compiled(as_jax(signals())), MASK)


@every_weighting
def test_the_state_can_be_carried_through_a_scan(name: str) -> None:
    weigh = weighting(name, normalise="ema")
    batches = [signals(seed) for seed in range(3)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *map(as_jax, batches))

    def step(state: Any, batch: Arrays) -> Any:
        weights, state, _ = weigh.apply(state, Signals(**batch))
        return state, weights

    state, together = jax.lax.scan(step, weigh.init(), stacked)
    expected = weigh.init()
    for batch, weights in zip(batches, together, strict=True):
        one_by_one, expected, _ = weigh.apply(expected, Signals(**batch))
        np.testing.assert_allclose(weights, one_by_one, rtol=1e-5)
    for k, x in state.items():
        assert float(x) == pytest.approx(float(expected[k]), rel=1e-5)


@every_weighting
def test_no_gradient_flows_into_the_weights(name: str) -> None:
    batch = as_jax(signals())
    differentiable = {k: x for k, x in batch.items() if x.dtype != bool}

    def total(given: Arrays) -> jax.Array:
        made = in_all_modes(name)(batch | given).values()
        return sum(jnp.sum(w * jnp.arange(w.size).reshape(w.shape)) for w in made)

    gradients = jax.jit(jax.grad(total))(differentiable)
    assert not any(np.asarray(g).any() for g in gradients.values())


@every_weighting
def test_vmap_over_seeds_gives_the_weights_of_each(name: str) -> None:
    seeds = [as_jax(signals(seed)) for seed in range(3)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *seeds)
    together = jax.jit(jax.vmap(in_all_modes(name)))(stacked)
    for seed in range(3):
        alone = in_all_modes(name)(signals(seed))
        for mode in MODES:
            np.testing.assert_allclose(together[mode][seed], alone[mode], rtol=1e-5, err_msg=mode)


@every_mode
@every_weighting
def test_a_trailing_axis_of_length_one_is_accepted_and_restored(name: str, mode: str) -> None:
    batch = changed(lambda x: x[..., None])
    batch |= {k: signals()[k] for k in PER_AGENT}
    weights, expected = weigh(name, batch, normalise=mode), reference(name, mode)
    expected = expected if weighting(name).per_agent else expected[..., None]
    np.testing.assert_array_equal(weights, expected, strict=True)


@every_weighting
def test_half_precision_is_weighed_in_single_precision(name: str) -> None:
    narrow = changed(lambda x: x if x.dtype == bool else x.astype(np.float16))
    for mode in MODES:
        weights = weigh(name, narrow, normalise=mode)
        wide = changed(lambda x: x if x.dtype == bool else x.astype(np.float32), narrow)
        expected = weigh(name, wide, normalise=mode)
        np.testing.assert_array_equal(weights, expected, strict=True)
        assert weights.dtype == np.float32


@every_mode
@every_weighting
def test_metrics_are_finite_scalars(name: str, mode: str) -> None:
    metrics = apply(name, signals(), normalise=mode).metrics
    assert metrics["weight_fallback"] == metrics["weight_n_nonfinite"] == 0
    assert all(np.ndim(value) == 0 and np.isfinite(value) for value in metrics.values())


# --- what it needs --------------------------------------------------------------------------------


@every_weighting
def test_the_signals_needed_are_enough(name: str) -> None:
    for options in ({}, {"on_policy": 5.0}):
        weigh = weighting(name, **options)
        needed = {k: x for k, x in signals().items() if k in {"mask", *weigh.needs}}
        np.testing.assert_array_equal(weigh(**needed), weigh(**signals()))


@every_weighting
def test_a_missing_signal_is_named_with_the_weighting_and_its_meaning(name: str) -> None:
    weigh = weighting(name, on_policy=1.0)
    assert "log_density_ratio" in weigh.needs
    for missing in weigh.needs:
        with pytest.raises(UsageError) as error:
            weigh(**signals() | {missing: None})
        expected = f"weighting {name!r} needs the signal {missing!r} ({MEANING[missing]})"
        assert str(error.value).startswith(expected)


@every_weighting
@pytest.mark.parametrize("option", ["clip", "on_policy"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_the_common_options_are_numbers_from_zero(name: str, option: str, value: float) -> None:
    with pytest.raises(
        UsageError, match=f"{name}: {option} must be at least 0( and finite)?, not {value}"
    ):
        weighting(name, **{option: value})


@every_weighting
@pytest.mark.parametrize("option", ["normalise", "nonfinite"])
def test_an_unknown_choice_is_answered_with_those_there_are(name: str, option: str) -> None:
    with pytest.raises(UsageError, match=f"^{name}: {option} must be one of '.*', not 'median'"):
        weighting(name, **{option: "median"})


@every_weighting
def test_no_option_that_is_a_number_may_be_minus_one_or_nan(name: str) -> None:
    config = registry.config_class("weighting", name)
    numbers = [k for k, f in config.__dataclass_fields__.items() if type(f.default) in (int, float)]
    for option in numbers:
        for value in (-1.0, float("nan")):
            with pytest.raises(UsageError, match=f"{name}: {option} must "):
                weighting(name, **{option: value})
