"""Functions of environments along the last axis, called for one environment or under `vmap`."""

import jax
import numpy as np
import pytest

from macpo.kernels.batch_last import env_axis_last


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
    out = jax.vmap(jax.vmap(env_axis_last(native)))(POSITIONS, CLOCK)
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
    out = jax.vmap(jax.vmap(env_axis_last(native, max_envs)))(POSITIONS, CLOCK)
    assert max(shape[-1] for shape in native.shapes) == min(max_envs, 8)
    np.testing.assert_array_equal(out["total"], POSITIONS.sum(-1))
    np.testing.assert_array_equal(out["clock"], CLOCK + 1)
