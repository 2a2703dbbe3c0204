"""Functions of environments along the last axis, called for one environment or under `vmap`."""

import jax
import numpy as np
import pytest

from macpo.kernels.batch_last import (
    env_axis_first,
    env_axis_last,
    materialised,
    sums_over_others,
)


class Native:
    """Sums positions and counts a clock on; notes the shapes that it is called with."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, positions, clock):
        self.shapes.append(positions.shape)
        return {"total": positions.sum(0), "clock": clock + 1}


POSITIONS = np.arange(24.0).reshape(2, 4, 3)  # 2 × 4 environments with 3 positions each
CLOCK = np.arange(8).reshape(2, 4)


def test_one_environment_is_a_batch_of_one():
    native = Native()
    out = env_axis_last(native)(POSITIONS[1, 2], CLOCK[1, 2])
    assert set(native.shapes) == {(3, 1)}
    assert (out["total"], out["clock"]) == (18 + 19 + 20, 7)
    assert out["total"].shape == ()


@pytest.mark.parametrize("compiled", [False, True])
def test_a_batch_runs_at_once_with_the_environments_last(compiled: bool):
    native = Native()
    batched = jax.vmap(env_axis_last(native))
    out = (jax.jit(batched) if compiled else batched)(POSITIONS[0], CLOCK[0])
    assert native.shapes[-1] == (3, 4)
    np.testing.assert_array_equal(out["total"], [3, 12, 21, 30])
    np.testing.assert_array_equal(out["clock"], [1, 2, 3, 4])


def test_however_deep_the_batch_its_axes_become_one():
    native = Native()
    out = jax.jit(jax.vmap(jax.vmap(env_axis_last(native))))(POSITIONS, CLOCK)
    assert native.shapes[-1] == (3, 8)
    np.testing.assert_array_equal(out["total"], POSITIONS.sum(-1))
    np.testing.assert_array_equal(out["clock"], CLOCK + 1)


def test_what_all_environments_share_is_repeated_for_each():
    out = jax.vmap(env_axis_last(Native()), in_axes=(0, None))(POSITIONS[0], np.array(5))
    np.testing.assert_array_equal(out["total"], [3, 12, 21, 30])
    np.testing.assert_array_equal(out["clock"], [6, 6, 6, 6])


def test_the_batch_may_be_any_axis():
    last = np.moveaxis(POSITIONS[0], 0, -1)
    out = jax.vmap(env_axis_last(Native()), in_axes=(-1, 0))(last, CLOCK[0])
    np.testing.assert_array_equal(out["total"], [3, 12, 21, 30])


@pytest.mark.parametrize("max_envs", [1, 3, 4, 8, 9])
def test_a_wide_batch_runs_in_blocks_and_its_rest(max_envs: int):
    native = Native()
    out = jax.jit(jax.vmap(jax.vmap(env_axis_last(native, max_envs))))(POSITIONS, CLOCK)
    assert max(shape[-1] for shape in native.shapes) == min(max_envs, 8)
    np.testing.assert_array_equal(out["total"], POSITIONS.sum(-1))
    np.testing.assert_array_equal(out["clock"], CLOCK + 1)


def gaps(x: jax.Array, widths: jax.Array, ids: np.ndarray) -> tuple[jax.Array, jax.Array]:
    """Each one's distances to the others, summed, and twice its width: arrays [U, E]."""
    distances = abs(x[:, None] - x)
    return sums_over_others(distances, widths * ids)[0], 2 * widths[:, 0]


PLACES = np.float32([[0, 1, 1, 3], [2, 1, 5, 3], [7, 1, 5, 4]])  # of 3 units in 4 environments
WIDTHS = np.ones((3, 3, 1), np.float32)  # of pairs, in all environments
SUMS = [[9, 0, 8, 1], [7, 0, 4, 1], [12, 0, 4, 2]]


def test_a_function_of_environments_along_the_last_axis_may_run_for_each_apart() -> None:
    ids = np.arange(3)[:, None]
    sums, twice = jax.jit(env_axis_first(gaps))(PLACES, WIDTHS, ids)
    np.testing.assert_array_equal(sums, SUMS)
    np.testing.assert_array_equal(twice, np.full((3, 4), 2))


def test_so_may_one_of_a_single_environment() -> None:
    sums, twice = env_axis_first(gaps)(PLACES[:, :1], WIDTHS, np.arange(3)[:, None])
    np.testing.assert_array_equal(sums, np.array(SUMS)[:, :1])
    np.testing.assert_array_equal(twice, np.full((3, 1), 2))


@pytest.mark.parametrize("n_envs", [1, 4])
def test_sums_over_others_are_those_over_the_second_axis(n_envs: int) -> None:
    x = np.arange(12, dtype=np.float32).reshape(2, 3, 2)[..., :1] + np.float32(np.arange(n_envs))
    x_sums, y_sums = sums_over_others(x, -2 * x)
    np.testing.assert_array_equal(x_sums[:, 0], [0 + 2 + 4, 6 + 8 + 10])
    np.testing.assert_array_equal(x_sums, x.sum(1))
    np.testing.assert_array_equal(y_sums, -2 * x.sum(1))


@pytest.mark.parametrize("values", [[1.5, -2.0, 0.0], [3, -1, 0], [True, False, True]])
def test_what_is_materialised_is_as_it_was(values: list[float]) -> None:
    x = np.array(values)
    out = jax.jit(materialised)(x)
    assert out.dtype == jax.dtypes.canonicalize_dtype(x.dtype)
    np.testing.assert_array_equal(out, x)
