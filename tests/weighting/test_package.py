"""The package: what it exports, its examples, and that it needs neither JAX nor torch."""

import doctest
import importlib
import pkgutil
from dataclasses import is_dataclass

import pytest

from macpo import registry, weighting
from tests.support.without_jax import run_without_jax

MODULES = [f"macpo.weighting.{module.name}" for module in pkgutil.iter_modules(weighting.__path__)]
OWN = [cls for cls in registry.discover("weighting").values() if cls.__module__ in MODULES]


def test_every_weighting_is_exported_under_its_class_name() -> None:
    assert {cls.__name__ for cls in OWN} <= set(weighting.__all__)
    assert [getattr(weighting, cls.__name__) for cls in OWN] == OWN
    assert len(OWN) == 22


def test_everything_exported_exists() -> None:
    assert [name for name in weighting.__all__ if not hasattr(weighting, name)] == []


@pytest.mark.parametrize("cls", OWN, ids=lambda cls: cls.__name__)
def test_every_weighting_has_an_example(cls: type) -> None:
    assert is_dataclass(cls)
    assert f">>> {cls.__name__}(" in cls.__doc__ or f" {cls.__name__}(" in cls.__doc__
    assert "array([[" in cls.__doc__


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_give_the_numbers_printed_there(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0


WITHOUT = """
import numpy as np
import macpo.weighting

q, mask = np.array([[2.0, 1.0]]), np.ones((1, 2))
pi = np.array([[[0.5, 0.5], [1.0, 1.0]]])
weigh = macpo.weighting.make("macpo", normalise="none")
weights = weigh(q=q, target=0 * q, q_star=q, pi_taken=pi, mask=mask)
loss = macpo.weighting.weighted_loss(q**2, weights, mask)
taken = macpo.weighting.taken_probs(np.zeros((1, 4)), np.array([1]))
print(weights.round(6).tolist(), round(float(loss), 6), taken.tolist())
"""


def test_weights_of_numpy_arrays_need_no_jax() -> None:
    done = run_without_jax(WITHOUT)
    assert done.stderr == ""
    assert done.stdout == "[[3.0, 1.0]] 6.5 [0.25]\n"  # (3 · 4 + 1 · 1) / 2
