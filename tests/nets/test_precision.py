"""Matrix products in float32, or from factors that are rounded to bfloat16."""

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import Jaxpr

from macpo import Experiment, Run
from macpo.nets.precision import in_precision, matmul
from macpo.training.trainer import make_trainer

short = in_precision("bf16", matmul)


def test_factors_are_rounded_to_eight_bits_and_sums_are_not():
    # 257 needs nine bits: as a factor it is 256, as a sum it stays what it is
    assert short(np.array([[257.0]]), np.array([[1.0]])) == 256.0
    assert short(np.array([[256.0, 1.0]]), np.array([[1.0], [1.0]])) == 257.0


def test_nothing_is_rounded_in_float32_whatever_jax_is_set_to():
    assert matmul(np.array([[257.0]]), np.array([[1.0]])) == 257.0
    with jax.default_matmul_precision("bfloat16"):
        assert in_precision("float32", matmul)(np.array([[257.0]]), np.array([[1.0]])) == 257.0


def test_gradients_are_products_of_rounded_factors_too():
    x, weight = np.array([[257.0], [3.0]]), np.array([[259.0, 1.0]])  # rounded: 256, 3; 260, 1

    def loss(x: jax.Array, weight: jax.Array) -> jax.Array:
        return (short(x, weight) * np.array([[1.0, 2.0], [0.0, 513.0]])).sum()  # 513: 512

    d_x, d_weight = jax.grad(loss, (0, 1))(x, weight)
    np.testing.assert_array_equal(d_x, [[260 + 2], [512]])
    np.testing.assert_array_equal(d_weight, [[256, 2 * 256 + 3 * 512]])


def test_weights_of_their_own_for_each_stack_of_rows_have_gradients_of_their_own():
    x, weight = np.ones((2, 5, 3)), np.ones((2, 3, 4))
    assert short(x, weight).shape == (2, 5, 4)
    d_weight = jax.grad(lambda weight: short(x, weight)[1].sum())(weight)
    np.testing.assert_array_equal(d_weight[0], 0)
    np.testing.assert_array_equal(d_weight[1], 5)


def products(jaxpr: Jaxpr) -> Iterator[tuple[Any, float]]:
    """(type of the factors, multiplications) of every product of matrices that is written."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            factor = equation.invars[0].aval
            n = math.prod(equation.outvars[0].aval.shape)
            yield factor.dtype, n * math.prod(factor.shape[axis] for axis in contracted)
        for inner in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")
        ):
            if hasattr(inner, "eqns"):
                yield from products(getattr(inner, "jaxpr", inner))


ALGORITHMS: dict[str, dict[str, int]] = {
    "cwqmix": {"batch_size": 8},
    "qplex": {"batch_size": 8},
    "coma": {"batch_size": 8, "batch_size_run": 8, "buffer_size": 8},
}


def update_of(name: str, precision: Any) -> tuple[Any, Any]:
    """(the update of an algorithm, its inputs as shapes)"""
    sizes = {"buffer_size": 16, "updates_per_iteration": 1, **ALGORITHMS[name]}
    run = Run(**sizes, precision=precision)
    trainer = make_trainer(Experiment(algorithm=name, weighting="uniform", run=run))
    one = trainer.seed_shapes
    args = one, jax.eval_shape(jax.random.key, 0), jax.ShapeDtypeStruct((), np.float32)
    # placed as the trainer places them, so that the update is traced once
    return trainer._improve, jax.tree.map(lambda x: x.update(sharding=trainer.sharding), args)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_nearly_all_multiplications_of_an_update_have_rounded_factors(name: str):
    def share(precision: str) -> float:
        update, args = update_of(name, precision)
        found = list(products(jax.make_jaxpr(update)(*args).jaxpr))
        assert found
        short = sum(n for dtype, n in found if dtype == jnp.bfloat16)
        return short / sum(n for _, n in found)

    assert share("bf16") > 0.95
    assert share("float32") == 0


def test_an_update_is_that_of_float32_but_for_rounding_and_leaves_parameters_in_float32():
    def trained(precision: Any) -> tuple[Any, dict[str, Any]]:
        # two seeds, whose batches are shared by two devices
        run = Run(seeds=2, batch_size=16, batch_size_run=16, buffer_size=16, precision=precision)
        trainer = make_trainer(Experiment("two-step", "qmix", "uniform", run=run))
        state, metrics = trainer.chunk(trainer.init(), np.asarray(1, np.int32), 1)
        return state.learner, {name: values[:, 0] for name, values in metrics.items()}

    (exact, metrics), (rounded, others) = trained("float32"), trained("bf16")
    for name in ("loss", "grad_norm"):
        assert (others[name] != metrics[name]).all()
        np.testing.assert_allclose(others[name], metrics[name], rtol=0.02)
    kinds = {x.dtype for x in jax.tree.leaves((rounded.params, rounded.opt_state))}
    assert kinds == {x.dtype for x in jax.tree.leaves((exact.params, exact.opt_state))}
    assert jnp.bfloat16 not in kinds
