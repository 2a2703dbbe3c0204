"""A report as JSON."""

import json
from typing import NamedTuple

import numpy as np
import pytest

from macpo.report.plain import to_json


class Pair(NamedTuple):
    left: int
    right: float


def test_tuples_with_names_become_objects() -> None:
    assert json.loads(to_json(Pair(1, 0.5))) == {"left": 1, "right": 0.5}


def test_what_json_lacks_becomes_null() -> None:
    assert to_json(np.array([np.nan, np.inf, -np.inf, 1.0])) == "[null,null,null,1.0]"


def test_numbers_keep_six_significant_digits() -> None:
    assert to_json([123456.789, 0.000123456789, 300_000]) == "[123457.0,0.000123457,300000]"


@pytest.mark.parametrize("scale", [1e-300, 1e-16, 1e-9, 1e-3, 1.0, 40.0, 1e5, 1e6, 1e30])
def test_numbers_of_an_array_are_as_those_of_a_list(scale: float) -> None:
    drawn = np.random.default_rng(0).normal(size=1000)
    edges = [
        0.0,
        -0.0,
        1.0,
        9.99999999,
        99999.9999999999,
        999999.9999999999,
        1e5,
        1e6,
        1e-17,
        1e-16,
    ]
    x = np.array([*drawn, *drawn.round(2), *edges]) * scale
    assert to_json(x) == to_json(x.tolist())


def test_arrays_keep_their_shape() -> None:
    assert to_json(np.zeros((2, 1))) == "[[0.0],[0.0]]"
    assert (to_json(np.zeros((2, 0))), to_json(np.array(0.5))) == ("[[],[]]", "0.5")


def test_text_stays_what_it_is() -> None:
    assert json.loads(to_json({"</script>": "λ · “x”"})) == {"</script>": "λ · “x”"}
