"""A maximum over seeds that `vmap` sees as one number."""

import jax
import numpy as np

from macpo.kernels.common_max import common_max


def test_without_vmap_it_is_the_number_itself():
    assert common_max(np.array(-3)) == -3


def test_under_vmap_it_is_the_maximum_and_not_batched():
    # out_axes=None is an error if the output has a batch axis
    assert jax.vmap(common_max, out_axes=None)(np.array([2, 7, -1])) == 7


def test_under_two_vmaps_it_is_the_maximum_over_both():
    nested = jax.vmap(jax.vmap(common_max, out_axes=None), out_axes=None)
    assert nested(np.array([[2, 7], [9, -1], [3, 3]])) == 9


def test_a_number_common_to_all_seeds_stays_as_it_is():
    def f(x: jax.Array, common: jax.Array) -> jax.Array:
        return x + common_max(common)

    out = jax.vmap(f, in_axes=(0, None))(np.array([1, 2]), np.array(5))
    assert out.tolist() == [6, 7]


def test_a_loop_with_a_common_bound_runs_as_often_for_every_seed():
    def turns(bound: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, common_max(bound), lambda _, n: n + 1, bound * 0)

    assert jax.jit(jax.vmap(turns))(np.array([1, 4, 2])).tolist() == [4, 4, 4]
