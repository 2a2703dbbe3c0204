"""What is accepted as a signal, and what is said about what is not."""

from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given

from macpo import weighting
from macpo.errors import UsageError
from macpo.weighting import Signals
from macpo.weighting.signals import check_shapes
from tests.support import weighting_libraries as libraries
from tests.support.weighting_samples import Arrays, fixture, one_step, quick, raw, signals, weigh

macpo = weighting.make("macpo")
every_library = pytest.mark.parametrize("library", ["numpy", "jax", "torch"])


def batch_in(library: str, **changes: np.ndarray) -> Arrays:
    asarray = libraries.library(library).asarray
    return {k: asarray(np.array(x)) for k, x in (fixture() | changes).items()}


# --- shapes ---------------------------------------------------------------------------------------


@quick
@given(signals())
def test_a_trailing_axis_of_length_one_is_accepted_and_restored(batch: Arrays) -> None:
    per_agent = ("pi_taken", "dq_tot_dq", "uniform_noise")
    with_axis = {k: x if k in per_agent else x[..., None] for k, x in batch.items()}
    for name in ("macpo", "laber"):
        expected = weigh(name, batch)[..., None]
        np.testing.assert_array_equal(weigh(name, with_axis), expected, strict=True)


def test_a_single_agent_is_no_trailing_axis() -> None:
    batch = {k: x if k == "pi_taken" else x[..., None] for k, x in one_step(pi=(0.25,)).items()}
    assert raw("macpo", batch).tolist() == [[[1.75]]]


@every_library
@pytest.mark.parametrize("name", ["q", "target", "q_star"])
def test_signals_without_the_axis_that_the_mask_has_are_refused(library: str, name: str) -> None:
    """The weights [B, T, 1] would broadcast with the caller's [B, T] to [B, T, T]."""
    batch = {k: x if k == "pi_taken" else x[..., None] for k, x in fixture().items()}
    with pytest.raises(UsageError, match=rf"{name} has shape \(1, 5\) but mask has \(1, 5, 1\)"):
        macpo(**batch_in(library, **batch | {name: fixture()[name]}))


def test_signals_of_different_numbers_of_agents_are_refused() -> None:
    both = macpo.times(weighting.make("differ"))
    with pytest.raises(UsageError, match=r"agents: dq_tot_dq of 2, pi_taken of 3\.$"):
        both(**fixture() | {"dq_tot_dq": np.ones((1, 5, 2))})


def test_a_random_number_for_every_step_is_refused() -> None:
    with pytest.raises(UsageError, match=r"uniform_noise has shape \(1, 5\).* one random number"):
        weighting.make("laber")(**fixture() | {"uniform_noise": np.full((1, 5), 0.5)})


def test_signals_that_a_weighting_does_not_need_are_ignored() -> None:
    weights = weighting.make("uniform")(mask=np.ones((2, 3)), pi_taken=np.ones(7), q=None)
    assert weights.tolist() == [[1, 1, 1]] * 2


def test_a_boolean_mask_and_one_of_numbers_mean_the_same() -> None:
    as_flags = fixture() | {"mask": fixture()["mask"].astype(bool)}
    np.testing.assert_array_equal(weigh("macpo", fixture()), weigh("macpo", as_flags))


@pytest.mark.parametrize("dtype", [np.float16, np.int8])
def test_narrow_input_is_weighed_in_single_precision(dtype: type) -> None:
    batch = {k: x.astype(dtype) for k, x in one_step(delta=2, gap=1, pi=(1.0, 0.0)).items()}
    weights = raw("macpo", batch)
    assert weights.dtype == np.float32
    assert weights[0, 0] == pytest.approx(4 * np.exp(-1), rel=1e-6)


# --- messages -------------------------------------------------------------------------------------


def test_a_missing_signal_is_named_together_with_what_it_is_and_all_that_are_needed() -> None:
    with pytest.raises(UsageError) as error:
        macpo(mask=np.ones((1, 2)), q=np.ones((1, 2)))
    assert str(error.value) == (
        "weighting 'macpo' needs the signal 'target' ([B, T] the target that this value is trained "
        "towards) and did not get it; pass q=…, target=…, q_star=…, pi_taken=… and mask=…"
    )


def test_a_signal_that_a_weighting_asks_for_and_nobody_knows_is_named() -> None:
    known = Signals(mask=np.ones((1, 2)))
    with pytest.raises(UsageError, match=r"'mine' asks for 'q_sta', which is no .*mean 'q_star'"):
        check_shapes("mine", known, ("q_sta",))


def test_an_unknown_signal_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'td_error'"):
        macpo(mask=np.ones((1, 5)), td_error=np.ones((1, 5)))  # type: ignore[call-arg]


@every_library
@pytest.mark.parametrize("name", ["q", "target", "q_star"])
def test_a_signal_of_another_shape_is_named_with_both_shapes(library: str, name: str) -> None:
    with pytest.raises(UsageError) as error:
        macpo(**batch_in(library, **{name: np.ones(5)}))
    assert str(error.value).startswith(
        f"weighting 'macpo': {name} has shape (5,) but mask has (1, 5); it must be [B, T] "
    )


@every_library
@pytest.mark.parametrize("shape", [(1, 5), (1, 4, 3), (1, 5, 3, 1), ()])
def test_what_agents_have_needs_their_axis_behind_the_shape_of_the_mask(
    library: str, shape: tuple[int, ...]
) -> None:
    for chosen, name in (("macpo", "pi_taken"), ("differ", "dq_tot_dq")):
        with pytest.raises(UsageError, match=rf"{name} has shape .* it must be \[B, T, N\]"):
            weighting.make(chosen)(**batch_in(library, **{name: np.ones(shape)}))


@every_library
def test_probabilities_without_an_axis_of_agents_are_told_what_is_missing(library: str) -> None:
    with pytest.raises(UsageError) as error:
        macpo(**batch_in(library, pi_taken=np.full((1, 5), 0.5)))
    assert str(error.value) == (
        "weighting 'macpo': pi_taken has shape (1, 5), which lacks an axis of agents; it must be "
        "[B, T, N] each agent's current probability of its stored action (`taken_probs`)."
    )


@every_library
def test_a_mask_of_several_learners_is_refused(library: str) -> None:
    with pytest.raises(UsageError, match=r"mask has shape \(2, 3, 4\), expected \[B, T\]"):
        weighting.make("uniform")(mask=libraries.library(library).ones((2, 3, 4)))


@every_library
@pytest.mark.parametrize("name", ["mask", "q"])
def test_lists_are_refused_by_name(library: str, name: str) -> None:
    given: dict[str, Any] = batch_in(library) | {name: [[1.0] * 5]}
    with pytest.raises(UsageError, match=f"{name} is a list; give an array"):
        macpo(**given)


@pytest.mark.parametrize("other", ["jax", "torch"])
def test_arrays_of_two_libraries_are_refused(other: str) -> None:
    with pytest.raises(UsageError, match=r"come from .*numpy.*; give arrays of one library"):
        macpo(**fixture() | {"q": libraries.library(other).ones((1, 5))})


# --- numbers that cannot be -----------------------------------------------------------------------


@every_library
@pytest.mark.parametrize("wrong", [1.5, -0.25])
def test_what_is_no_probability_is_refused_at_real_steps_only(library: str, wrong: float) -> None:
    pi = fixture()["pi_taken"]
    on_padding, at_a_real_step = pi.copy(), pi.copy()
    on_padding[0, 4], at_a_real_step[0, 2, 1] = wrong, wrong
    weights = macpo(**batch_in(library, pi_taken=on_padding))
    np.testing.assert_array_equal(weights, macpo(**batch_in(library)))
    with pytest.raises(UsageError, match=r"'macpo': pi_taken holds numbers outside \[0, 1\]"):
        macpo(**batch_in(library, pi_taken=at_a_real_step))


def test_what_rounding_adds_to_a_probability_is_no_fault() -> None:
    assert raw("macpo", one_step(pi=(1 + 2**-11, 1.0))) == pytest.approx(1, abs=1e-3)


def test_a_probability_that_is_not_a_number_stays_visible() -> None:
    assert np.isnan(raw("macpo", one_step(pi=(np.nan, 0.5)))).all()


@every_library
@pytest.mark.parametrize("wrong", [-np.inf, np.nan, 0.5, 2.0])
def test_a_mask_of_other_numbers_than_0_and_1_is_refused(library: str, wrong: float) -> None:
    with pytest.raises(UsageError, match=r"'macpo': mask holds numbers other than 0 and 1"):
        macpo(**batch_in(library, mask=np.array([[0, wrong, 0, 0, 0]])))


def test_flags_are_0_and_1_at_real_steps() -> None:
    flags = fixture()["is_greedy"].astype(float)
    flags[0, 4] = -np.inf  # padding
    weights = weigh("cwqmix", fixture() | {"is_greedy": flags})
    np.testing.assert_array_equal(weights, weigh("cwqmix", fixture()))
    flags[0, 1] = -np.inf
    with pytest.raises(UsageError, match="'cwqmix': is_greedy holds numbers other than 0 and 1"):
        weigh("cwqmix", fixture() | {"is_greedy": flags})


@pytest.mark.parametrize("transform", [jax.jit, jax.vmap])
def test_numbers_that_are_only_traced_are_not_looked_at(transform: Any) -> None:
    batch = batch_in("jax", pi_taken=np.full((1, 5, 3), 1.5))
    if transform is jax.vmap:
        batch = {k: x[None] for k, x in batch.items()}
    assert transform(lambda given: macpo(**given))(batch).shape == batch["mask"].shape
