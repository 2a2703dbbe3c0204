"""Arrays of every library that weightings accept."""

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

every_library = pytest.mark.parametrize("name", ["numpy", "jax", "torch"])


def library(name: str) -> ModuleType:
    """The library of this name; skips the test if it is torch and not installed."""
    if name == "torch":
        return pytest.importorskip("torch", reason="torch is not installed (extra: macpo[bench])")
    return {"numpy": np, "jax": jnp}[name]


def given(name: str, *arrays: Any) -> list[Any]:
    """These NumPy arrays in that library."""
    if name == "jax":
        return jax.device_put([*arrays])
    make = library(name).tensor if name == "torch" else np.asarray
    return [make(x) for x in arrays]
