"""What is accepted as a signal, and what is said about what is not."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from macpo import weighting
from macpo.errors import UsageError
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
    batch = one_step(pi=(0.25,)) | {"mask": np.ones((1, 1, 1))}
    assert raw("macpo", batch).tolist() == [[[1.75]]]


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
