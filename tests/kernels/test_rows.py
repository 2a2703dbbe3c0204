"""One row of an array at an index within bounds."""

import jax
import numpy as np

from macpo.kernels.rows import row, with_row

TABLE = np.arange(12.0).reshape(4, 3)


def test_a_row_is_the_one_at_the_index():
    assert np.array_equal(row(TABLE, 2), [6, 7, 8])
    assert np.array_equal(jax.jit(row)(TABLE, np.int32(3)), [9, 10, 11])


def test_a_row_is_replaced_and_no_other():
    after = with_row(TABLE, np.array([-1.0, -2.0, -3.0]), np.int32(1))
    assert np.array_equal(after, [[0, 1, 2], [-1, -2, -3], [6, 7, 8], [9, 10, 11]])


def test_no_operation_looks_whether_the_index_is_negative():
    read = jax.make_jaxpr(row)(TABLE, np.int32(1))
    written = jax.make_jaxpr(with_row)(TABLE, TABLE[0], np.int32(1))
    assert "select_n" in str(jax.make_jaxpr(lambda x, i: x[i])(TABLE, np.int32(1)))
    assert "select_n" not in str(read) and "select_n" not in str(written)
