"""A report as JSON."""

import json
from typing import NamedTuple

import numpy as np

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


def test_text_stays_what_it_is() -> None:
    assert json.loads(to_json({"</script>": "λ · “x”"})) == {"</script>": "λ · “x”"}
