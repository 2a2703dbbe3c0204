"""ReLo: priority to the part of the loss that can still be reduced."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.weighting_samples import Arrays, quick, raw, signals, weigh


def losses(online: list[float], of_target_net: list[float]) -> Arrays:
    """Steps with these squared errors; those of the target network on the other side of y."""
    q, q_bar = np.sqrt([online]), -np.sqrt([of_target_net])
    return {"q": q, "target": 0 * q, "q_of_target_net": q_bar, "mask": np.ones_like(q)}


WORKED = losses([0.25, 4, 0.01, 16], [0.36, 1, 0, 20.25])


def test_the_reducible_loss_equals_the_worked_numbers() -> None:
    weights = raw("relo", WORKED, alpha=1.0)
    assert weights[0].tolist() == pytest.approx([0, 3, 0.01, 0], rel=1e-14)


def test_the_exponent_is_of_the_reducible_loss() -> None:
    weights = raw("relo", WORKED, alpha=0.5)
    assert weights[0].tolist() == pytest.approx([0, 3**0.5, 0.1, 0], rel=1e-14)


@quick
@given(signals())
def test_where_nothing_is_reducible_all_steps_count_the_same(batch: Arrays) -> None:
    for q_bar in (batch["q"], 2 * batch["q"] - batch["target"] + 1):  # as good; as bad or worse
        same = batch | {
            "q_of_target_net": np.where(batch["q"] < batch["target"], batch["q"], q_bar)
        }
        assert not raw("relo", same).any()
        np.testing.assert_array_equal(weigh("relo", same), batch["mask"])


@quick
@given(signals(), st.floats(0, 5))
def test_a_worse_target_network_never_raises_a_weight(batch: Arrays, worse: float) -> None:
    side = np.where(batch["q_of_target_net"] >= batch["target"], 1, -1)
    moved = batch | {"q_of_target_net": batch["q_of_target_net"] + worse * side}
    assert (raw("relo", moved) <= raw("relo", batch) + 1e-12).all()
